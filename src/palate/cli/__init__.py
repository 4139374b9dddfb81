"""The command line: a thin shell around :class:`palate.Learner`. What is heavy loads when a command needs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave: 0 success, 2 wrong use or wrong input, 1 anything else, 130 interrupted.

    Args:
        arguments: Without the program's name; those of the process if None.
    """
    try:
        from palate.cli.app import run

        code = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # before the commands are loaded
        code = 130
    sys.exit(code)
