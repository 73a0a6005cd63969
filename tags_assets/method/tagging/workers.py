"""Processes that read rows: lean ones, which load the language model and nothing else of their parent.

``multiprocessing`` would import the parent's main module into each worker, which with an orchestrator in it
is half a gigabyte a process; and it needs a main module that may be imported, which notebooks have not.
These workers speak JSON lines over their pipes and end when their parent does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import orjson

from tags_assets.method.tagging.extraction import Row, encode, extract, tagger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Self


_LOAD = "--load"

_ahead: list[Workers] = []
"""The worker that was started ahead, where there is one."""


class Workers:
    """A handful of worker processes, as a context manager.

    Parameters
    ----------
    n_processes
        How many.
    load
        Whether they load the language model at once, and not when the first rows come.
    """

    def __init__(self, n_processes: int, *, load: bool = False) -> None:
        package = str(Path(__file__).resolve().parents[3])
        named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        # An empty or relative entry, and -m without -P, would have them run files of the current folder.
        path = os.pathsep.join([package, *filter(os.path.isabs, named)])
        # One thread each: the processes are the parallelism.
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._processes = [
            subprocess.Popen(  # noqa: S603 (this module, by this interpreter)
                [sys.executable, "-P", "-m", __name__, *([_LOAD] if load else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **single, "PYTHONPATH": path},
                process_group=0,  # Ctrl-C is for the parent, which ends them without a traceback each
            )
            for _ in range(n_processes)
        ]
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for process in self._processes:
            self._idle.put(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            if process.stdin is not None:
                with suppress(BrokenPipeError):  # one that was killed has not read what it was sent
                    process.stdin.close()
        if kind is not None:
            self.end()
        for process in self._processes:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def end(self) -> None:
        """End the processes now, whatever they are at."""
        for process in self._processes:
            process.kill()

    def map(self, batches: Sequence[Sequence[Row]]) -> Iterator[list[bytes]]:
        """Extract the candidates of each batch of bounded rows, encoded, in order."""
        with ThreadPoolExecutor(len(self._processes)) as pool:
            yield from pool.map(self._ask, batches)

    def _ask(self, batch: Sequence[Row]) -> list[bytes]:
        process = self._idle.get()
        try:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("a tagging worker has no pipes")
            process.stdin.write(orjson.dumps([list(row) for row in batch]) + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:
            answer = b""
        finally:
            self._idle.put(process)
        if not answer:
            raise RuntimeError(f"a tagging worker ended with exit code {process.wait()}")
        return [found.encode() for found in orjson.loads(answer)]


@contextmanager
def started_ahead() -> Iterator[None]:
    """Start one worker now, for whoever has few rows to read within the block.

    Loading the model takes longer than reading some rows, and this process has other things to load.
    """
    with Workers(1, load=True) as workers:
        _ahead.append(workers)
        try:
            yield
        finally:
            _ahead.remove(workers)
            workers.end()


def read_by_one_ahead(batches: Sequence[Sequence[Row]]) -> list[list[bytes]] | None:
    """Extract as `Workers.map` does by the worker that was started ahead; None where none is at work."""
    if not _ahead:
        return None
    try:
        return list(_ahead[-1].map(batches))
    except RuntimeError:  # it was killed: the rows can be read here as well
        return None


def _serve() -> None:
    if _LOAD in sys.argv:
        tagger()
    for line in sys.stdin.buffer:
        rows = [Row(*row) for row in orjson.loads(line)]
        sys.stdout.buffer.write(orjson.dumps([encode(found).decode() for found in extract(rows)]) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
