import os
import signal

import pytest

from tags_assets.method.tagging import keyphrase, workers
from tags_assets.method.tagging.keyphrase import KeyphraseTagger

PROMPTS = ["Explain the quadratic formula.", "What does a list comprehension do in Python?"]
RESPONSES = ["It gives the roots of a quadratic equation.", "It builds a list from an iterable."]


@pytest.fixture
def ahead():
    with workers.started_ahead():
        yield workers._ahead[-1]


@pytest.mark.usefixtures("ahead")
def test_the_worker_that_was_started_ahead_reads_what_is_read_here(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(keyphrase, "read_by_one_ahead", lambda _: None)
        here = KeyphraseTagger().extract(PROMPTS, RESPONSES)
    monkeypatch.setattr(keyphrase, "extract", lambda _: pytest.fail("read in this process"))
    assert KeyphraseTagger().extract(PROMPTS, RESPONSES) == here


def test_rows_are_read_here_where_the_worker_was_killed(ahead):
    for process in ahead._processes:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(KeyphraseTagger().extract(PROMPTS, RESPONSES)) == 2


def test_the_worker_does_not_outlive_its_block():
    with workers.started_ahead():
        processes = list(workers._ahead[-1]._processes)
    assert [process.poll() is not None for process in processes] == [True]
    assert workers.read_by_one_ahead([]) is None
