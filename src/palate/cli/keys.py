"""Keys from a terminal, one by one, or lines from a pipe."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

_ESCAPE, _END = b"\x1b", b"\x04"  # the beginning of an arrow key and its like; Ctrl-D
_LEADS = [b"\xc0", b"\xe0", b"\xf0"]  # first bytes from which a letter of UTF-8 has 1, 2, 3 more


@contextmanager
def keys(console: Console) -> Iterator[Callable[[], str]]:
    """Gives a function that waits for the next key and raises EOFError at the end of the input.

    Where the input is no terminal a key is a line. A terminal hands over its keys at once while the block runs and is
    then as it was; keys pressed early are kept for the next question, and Ctrl-C interrupts as ever.
    """
    signal.siginterrupt(signal.SIGINT, True)  # Polars' handler would let the waiting read go on after Ctrl-C
    if not sys.stdin.isatty():
        yield _read_line
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSADRAIN)
    try:
        yield lambda: _prompted(console, terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _read_line() -> str:
    text = sys.stdin.readline()
    if not text:
        raise EOFError
    return text


def _prompted(console: Console, terminal: int) -> str:
    console.print("   > ", end="")
    key = _read_key(terminal)
    console.print(key if key.isprintable() else "")
    return key


def _read_key(terminal: int) -> str:
    """One key, which may be several bytes: an escape sequence, or a letter beyond ASCII."""
    key = os.read(terminal, 1)
    if key == _ESCAPE:
        key += _escaped(terminal)
    elif key >= _LEADS[0]:
        for _ in range(bisect_right(_LEADS, key)):
            key += _waiting(terminal)
    if key in (b"", _END):
        raise EOFError
    return key.decode(errors="replace")


def _escaped(terminal: int) -> bytes:
    """What follows an escape: two bytes or more, up to a letter or a tilde."""
    sequence = b""
    while byte := _waiting(terminal):
        sequence += byte
        if len(sequence) > 1 and (byte.isalpha() or byte == b"~"):
            break
    return sequence


def _waiting(terminal: int) -> bytes:
    """The next byte, if there is one already."""
    return os.read(terminal, 1) if select.select([terminal], [], [], 0)[0] else b""
