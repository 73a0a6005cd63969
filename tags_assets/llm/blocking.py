"""Coroutines for callers that are not: assets, the command line, notebooks."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


def run_blocking(main: Callable[[], Coroutine[object, object, T]]) -> T:
    """Run a coroutine to its end, also where this thread's event loop is running already (a notebook).

    It has a thread of its own, so that an interruption reaches the thread that waits: a signal's handler that
    raises amid the loop (Dagster's does) would end whatever task happens to run, and the rest would go on.
    """
    result: list[T] = []
    errors: list[BaseException] = []
    loop = asyncio.new_event_loop()
    task: list[asyncio.Task[T]] = []

    async def guarded() -> None:
        task.append(asyncio.ensure_future(main()))
        result.append(await task[0])

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(guarded())
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=work, name="llm-run", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        if task:
            loop.call_soon_threadsafe(task[0].cancel)
        thread.join(timeout=5)
        raise
    if errors:
        raise errors[0]
    return result[0]
