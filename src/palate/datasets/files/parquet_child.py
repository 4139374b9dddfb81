"""The process in which Parquet files from anywhere are decoded: a damaged one can end it, or ask for any memory.

It is run by its path, imports nothing of Palate but :mod:`palate.machine`, and knows no path: files come as open
descriptors over a socket. What it says back is tables, or a code and a few words; the other side
(:mod:`palate.datasets.files.parquet`) checks the tables again.

What a file says of its own size is not believed: a dictionary column packs fifty gigabytes of text into five megabytes.
Text columns are therefore first streamed as dictionaries and the length of each value is added up, which costs no more
memory than the codes.

Usage: ``python parquet_child.py MEMORY_BYTES``, with a socket as standard input
"""

from __future__ import annotations

import os
import resource
import socket
import struct
import sys
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from palate.machine import give_up_rights

REQUEST = struct.Struct("<4Q")
"""Most rows, columns and decoded bytes of a file, and rows a table, with the file's descriptor."""

FRAME = struct.Struct("<BQ")
"""A code, and how many bytes follow: of an Arrow stream for TABLE, else of text."""

COUNTED_ROWS = 1 << 16
PROCESSOR_SECONDS = 1_800  # for all files together; a decoder that goes in circles ends


class Code(IntEnum):
    """What comes next, or why there is no more of a file."""

    TABLE = 0  # some rows; the first table has none, and the columns
    END = 1
    ROWS = 2  # more than the limit: so many
    COLUMNS = 3  # likewise
    TWICE = 4  # a column of this name
    LARGE = 5  # more decoded bytes than the limit
    UNREADABLE = 6  # in the words of the library
    MEMORY = 7  # more than this process may have
    LOST = 8  # this process is gone; said by the other side


class Refused(Exception):
    """A file that is not decoded."""

    def __init__(self, code: Code, detail: object = "") -> None:
        super().__init__(code.name)
        self.code, self.detail = code, str(detail)


def tables(file: Any, rows: int, columns: int, decoded: int, each: int) -> Iterator[pa.Table]:
    """The file's rows, ``each`` at a time, after a table of none of them.

    Raises:
        Refused: If it is over a limit; nothing was materialised then.
    """
    _check_shape(pq.ParquetFile(file), rows, columns, decoded)
    _check_decoded(file, decoded)
    whole = pq.ParquetFile(file)
    yield known_types(pa.Table.from_batches([], schema=whole.schema_arrow))
    for batch in whole.iter_batches(batch_size=each, use_threads=False):
        yield known_types(pa.Table.from_batches([batch]))


def _check_shape(file: pq.ParquetFile, rows: int, columns: int, decoded: int) -> None:
    metadata, names = file.metadata, file.schema_arrow.names
    if metadata.num_rows > rows:
        raise Refused(Code.ROWS, metadata.num_rows)
    if metadata.num_columns > columns:
        raise Refused(Code.COLUMNS, metadata.num_columns)
    if repeated := [column for column in names if names.count(column) > 1]:
        raise Refused(Code.TWICE, repeated[0])
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
    # a value takes a byte at least, and a page is never larger than its column chunk says
    if sum(max(chunk.total_uncompressed_size, chunk.num_values) for chunk in chunks) > decoded:
        raise Refused(Code.LARGE)


def _check_decoded(file: Any, limit: int) -> None:
    schema = pq.ParquetFile(file).schema
    leaves = [schema.column(place) for place in range(len(schema))]
    texts = [leaf.path for leaf in leaves if leaf.physical_type in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")]
    if not texts:
        return
    packed, decoded = pq.ParquetFile(file, read_dictionary=texts, pre_buffer=False), 0
    for batch in packed.iter_batches(batch_size=COUNTED_ROWS, columns=texts, use_threads=False):
        decoded += sum(_text_bytes(column) for column in batch.columns)
        if decoded > limit:
            raise Refused(Code.LARGE)


def _text_bytes(values: pa.Array) -> int:
    """Bytes of all text in an array, dictionaries written out, lists and structs flattened."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(values.dictionary)
        return int(pc.sum(lengths.take(values.indices)).as_py() or 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _text_bytes(values.flatten())
    if pa.types.is_struct(kind):
        return sum(_text_bytes(field) for field in values.flatten())
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        return int(pc.sum(pc.binary_length(values)).as_py() or 0)
    return int(values.nbytes)


def known_types(table: pa.Table) -> pa.Table:
    """Without what Polars panics at: decimals of 256 bits, and time zones that it does not know (all become UTC)."""
    for place, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_decimal256(kind):
            table = table.set_column(place, field.name, table[place].cast(pa.float64()))
        elif pa.types.is_timestamp(kind) and kind.tz is not None:
            table = table.set_column(place, field.name, table[place].cast(pa.timestamp(kind.unit, "UTC")))
    return table


def answer(file: Any, request: bytes) -> Iterator[tuple[Code, bytes]]:
    """The frames for one file."""
    try:
        for table in tables(file, *REQUEST.unpack(request)):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
            yield Code.TABLE, sink.getvalue()
        yield Code.END, b""
    except Refused as refused:
        yield refused.code, refused.detail.encode("utf-8", "replace")
    except MemoryError:
        yield Code.MEMORY, b""
    except Exception as error:  # noqa: BLE001  # whatever a damaged file makes a library raise
        yield Code.UNREADABLE, (str(error) or type(error).__name__).encode("utf-8", "replace")


def serve(requests: socket.socket, responses: BinaryIO) -> None:
    """Answer requests until there are none."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, REQUEST.size, 1)
        if not descriptors:
            return
        with os.fdopen(descriptors[0], "rb") as file:
            for code, content in answer(file, request):
                responses.writelines([FRAME.pack(code, len(content)), content])
        responses.flush()


def main() -> None:
    """Serve on standard input and output, which libraries no longer reach."""
    requests, responses = socket.socket(fileno=os.dup(0)), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    give_up_rights(int(sys.argv[1]), files=nowhere + 2, threads=True)
    serve(requests, responses)


if __name__ == "__main__":
    main()
