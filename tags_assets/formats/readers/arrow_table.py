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

_ROWS_A_BATCH = 1024


def read_parquet(path: Path, position: Position) -> Iterator[Record]:
    """Yield the rows of a Parquet file."""
    with _clear_errors(path, "Parquet"), pq.ParquetFile(path) as file:
        size, rows = path.stat().st_size, max(file.metadata.num_rows, 1)
        number = 1
        for batch in file.iter_batches(batch_size=_ROWS_A_BATCH):
            yield from records_of(batch, number)
            number += batch.num_rows
            position.done = size * (number - 1) // rows
        position.done = size


def read_arrow(path: Path, position: Position, *, stream: bool) -> Iterator[Record]:
    """Yield the rows of an Arrow IPC stream (what ``save_to_disk`` writes) or file (Feather)."""
    with _clear_errors(path, "Arrow"), pa.memory_map(str(path)) as file:
        number = 1
        if stream:
            for batch in pa.ipc.open_stream(file):
                batch.validate(full=True)  # a damaged one points outside of the file, which ends the process
                yield from records_of(batch, number)
                number += batch.num_rows
                position.done = file.tell()
        else:
            reader = pa.ipc.open_file(file)
            for place in range(reader.num_record_batches):
                batch = reader.get_batch(place)
                batch.validate(full=True)
                yield from records_of(batch, number)
                number += batch.num_rows
        position.done = path.stat().st_size


@contextmanager
def _clear_errors(path: Path, kind: str) -> Iterator[None]:
    """Turn what Arrow says of a file that is damaged or cut short into one line."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise cannot_be_read(path, error) from error
        raise UserError(
            f"the {kind} file is damaged or cut short ({str(error).splitlines()[0][:120]})",
            where=str(path),
            mend="Fetch the file again.",
        ) from error
