"""Parquet files, Arrow files and Arrow streams, batch by batch."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from tags_assets.errors import UserError
from tags_assets.formats.readers.streams import cannot_be_read
from tags_assets.formats.readers.table_row import records_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tags_assets.formats.readers.record import Position, Record

_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_ROWS_A_BATCH, _BYTES_A_BATCH = 1024, 32 * 2**20


def read_parquet(path: Path, position: Position) -> Iterator[Record]:
    """Yield the rows of a Parquet file."""
    with _clear_errors(path, "Parquet"), pq.ParquetFile(path, buffer_size=2**20) as file:
        size, rows = path.stat().st_size, max(file.metadata.num_rows, 1)
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        at_once = min((_at_once(g.num_rows, g.total_byte_size) for g in groups), default=1)
        number = 1
        for batch in file.iter_batches(batch_size=at_once):
            yield from _records(batch, number)
            number += batch.num_rows
            position.done = size * (number - 1) // rows
        position.done = size


def read_arrow(path: Path, position: Position, *, stream: bool) -> Iterator[Record]:
    """Yield the rows of an Arrow IPC stream (what ``save_to_disk`` writes) or file (Feather).

    The file is read, not mapped: one that is cut short meanwhile would end the process.
    """
    with _clear_errors(path, "Arrow"), pa.OSFile(str(path)) as file:
        number = 1
        if stream:
            for batch in pa.ipc.open_stream(file):
                batch.validate(full=True)  # a damaged one points outside of its buffers
                yield from _records(batch, number)
                number += batch.num_rows
                position.done = file.tell()
            file.seek(max(file.tell() - len(_END), 0))
            if (
                file.read(len(_END)) != _END
            ):  # Arrow takes a stream that was cut between two batches for whole
                raise EOFError("the end of the stream is missing")
        else:
            reader = pa.ipc.open_file(file)
            for place in range(reader.num_record_batches):
                batch = reader.get_batch(place)
                batch.validate(full=True)  # a damaged one points outside of its buffers
                yield from _records(batch, number)
                number += batch.num_rows
        position.done = path.stat().st_size


def _records(batch: pa.RecordBatch, first: int) -> Iterator[Record]:
    """Yield the records of a batch, a part at a time: Python objects take many times the memory."""
    at_once = _at_once(batch.num_rows, batch.nbytes)
    for start in range(0, batch.num_rows, at_once):
        yield from records_of(batch.slice(start, at_once), first + start)


def _at_once(n_rows: int, n_bytes: int) -> int:
    return max(1, min(_ROWS_A_BATCH, _BYTES_A_BATCH * n_rows // max(n_bytes, 1)))


@contextmanager
def _clear_errors(path: Path, kind: str) -> Iterator[None]:
    """Turn what Arrow says of a file that is damaged or cut short into one line."""
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise cannot_be_read(path, error) from error
        raise UserError(
            f"the {kind} file is damaged or cut short ({str(error).splitlines()[0][:120]})",
            where=str(path),
            fix="Fetch the file again.",
        ) from error
