from __future__ import annotations

import pytest
from dagster_shared.error import SerializableErrorInfo

from tags_assets.graph.runner import _is_interruption


def error(kind, message, cause=None):
    return SerializableErrorInfo(message, [], kind, cause)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("DagsterExecutionInterruptedError", ""),
        ("RuntimeError", "RuntimeError: Query interrupted"),
        ("InterruptException", "INTERRUPT Error: Interrupted!"),
        ("InvalidInputException", "reading 'incoming' failed: DagsterExecutionInterruptedError:"),
    ],
)
def test_an_interruption_is_known_however_a_library_reports_it(kind, message):
    assert _is_interruption(error(kind, message))
    assert _is_interruption(error("DagsterExecutionStepExecutionError", "failed", error(kind, message)))


def test_another_error_is_no_interruption():
    assert not _is_interruption(error("RuntimeError", "the query is wrong"))
