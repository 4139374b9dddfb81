"""How large an input may be. A file over a limit is refused before it can hurt, and the message names the limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one input file.

    Attributes:
        line_bytes: Longest line of a text file; a longer line is a reject, a longer header an error.
        columns: Most columns of a table.
        rows: Most rows of a table.
        decoded_bytes: Most bytes after decompression (gzip) or decoding (Parquet: text at its full length, however
            well the file packs it).
        empty_cells: Most cells that JSON lines leave empty where rows have different keys, beyond 20 for each value:
            a table of rare keys takes memory that its file does not show.
    """

    line_bytes: int = 1 << 20
    columns: int = 4096
    rows: int = 200_000_000
    decoded_bytes: int = 4 << 30
    empty_cells: int = 1 << 22


DEFAULT_LIMITS = Limits()
