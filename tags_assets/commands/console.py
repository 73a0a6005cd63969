"""The terminal: progress on stderr, results on stdout."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, RenderHook
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from tags_assets.errors import printable
from tags_assets.progress import Throttled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import ConsoleOptions, ConsoleRenderable, RenderResult
    from rich.progress import TaskID
    from rich.table import Table


class _Printable(RenderHook):
    """Makes all that is printed safe for a terminal, whatever names, rows and servers put into it."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Cleaned(each) for each in renderables]


class _Cleaned:
    def __init__(self, content: ConsoleRenderable) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._content, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


out = Console(highlight=False, soft_wrap=True)
"""Results."""

err = Console(stderr=True, highlight=False)
"""Progress and remarks."""

out.push_render_hook(_Printable())
err.push_render_hook(_Printable())


def print_table(table: Table) -> None:
    """Print a table at its full width: a narrow terminal breaks its lines, and no cell breaks a word."""
    wide = out.options.update(max_width=10_000)
    out.print(table, width=Measurement.get(out, wide, table).maximum, crop=False)


class TerminalWatcher:
    """Shows each task as a bar where stderr is a terminal.

    Where it is not (a log file), only work that may take hours, a language model's, leaves a line a minute.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._said = Throttled(_say, seconds=60.0)

    def step(self, task: str, done: int, total: int, note: str = "") -> None:
        """Move the bar of the task; its note stands behind it."""
        if note and not err.is_terminal:
            self._said(f"{task}: {done:,}/{total:,}, {note}")
        if task not in self._tasks:
            for other in self._tasks.values():
                self._progress.update(other, visible=False)
            self._tasks[task] = self._progress.add_task(task, total=total, note="")
        self._progress.update(self._tasks[task], completed=done, total=total, note=note)


def _say(line: str) -> None:
    err.print(line, markup=False)


@contextmanager
def terminal_watcher() -> Iterator[TerminalWatcher]:
    """Show progress bars for as long as the block lasts."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield TerminalWatcher(progress)
