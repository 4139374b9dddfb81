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
from dataclasses import dataclass
from typing import Any

from rich.console import Console

_ESCAPE, _END = b"\x1b", b"\x04"  # the beginning of an arrow key and its like; Ctrl-D
_LEADS = [b"\xc0", b"\xe0", b"\xf0"]  # first bytes from which a letter of UTF-8 has 1, 2, 3 more


class Stopped(Exception):
    """Whoever sits at the terminal has had enough for now."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What is typed: functions that wait for the next ``key``, or ``line``, and raise EOFError at the end."""

    key: Callable[[], str]
    line: Callable[[], str]


@contextmanager
def keys(console: Console) -> Iterator[Typed]:
    """Gives what is typed.

    Where the input is no terminal a key is a line. A terminal hands over its keys at once while the block runs and is
    then as it was; keys pressed early are kept for the next question, and Ctrl-C interrupts as ever.
    """
    signal.siginterrupt(signal.SIGINT, True)  # Polars' handler would let the waiting read go on after Ctrl-C
    if not sys.stdin.isatty():
        yield Typed(_read_line, _read_line)
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSADRAIN)
    try:
        yield Typed(lambda: _prompted(console, terminal), lambda: _line(console, terminal, before))
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


def _line(console: Console, terminal: int, cooked: list[Any]) -> str:
    """A line, which can be corrected as it is typed; the terminal is then as it was."""
    raw = termios.tcgetattr(terminal)
    termios.tcsetattr(terminal, termios.TCSADRAIN, cooked)  # before the prompt, which invites typing
    try:
        console.print("   > ", end="")
        line = os.read(terminal, 4096)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, raw)
    if not line:
        raise EOFError
    return line.decode(errors="replace")


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
