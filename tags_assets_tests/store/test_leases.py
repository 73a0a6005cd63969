"""What a living process reads is not removed, and what one makes is not made twice: with real processes."""

from __future__ import annotations

import multiprocessing

import pytest

from tags_assets.errors import UserError
from tags_assets.store.health import home_health
from tags_assets.store.retention import prune_versions
from tags_assets_tests.store import processes

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tags_assets_tests.store.processes"])


@pytest.fixture
def old(store, rows):
    """Three versions of a tree; the first would go."""
    for number in range(3):
        store.write("tree", f"t{number}", rows)
    return store.find("tree", "t0")


@pytest.fixture
def child(store):
    """Start a process that holds something until it is told to let go, or killed."""
    started = []

    def start(function, *arguments):
        ready, stop = CONTEXT.Event(), CONTEXT.Event()
        process = CONTEXT.Process(target=function, args=(store.home, *arguments, ready, stop), daemon=True)
        process.start()
        assert ready.wait(60)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.mark.parametrize("holder", [processes.lease_version, processes.open_version])
def test_what_another_process_uses_stays_until_that_process_is_gone(store, old, child, holder):
    process = child(holder, "tree", "t0")
    pruning = prune_versions(store, 2, dry_run=False)
    assert pruning.removed == ()
    assert old.path.exists()
    process.kill()
    process.join()
    assert prune_versions(store, 2, dry_run=False).removed == (old,)
    assert not old.path.exists()


def test_a_version_that_is_gone_cannot_be_leased_or_made_current(store, old):
    prune_versions(store, 2, dry_run=False)
    for use in (lambda: store.set_current(old), lambda: store.using([old]).__enter__()):
        with pytest.raises(UserError, match="removed a moment ago"):
            use()


def test_of_two_processes_that_want_one_version_one_makes_it_and_one_waits(store, child):
    process = child(processes.make_version, "tree", "slow")
    waits = []
    process_is_there = []

    def waiting():
        waits.append(True)
        process.kill()  # the one that makes it dies: whoever waits takes over

    with store.making("tree", "slow", waiting=waiting):
        process_is_there.append(store.find("tree", "slow"))
    assert waits == [True]
    assert process_is_there == [None]
    assert home_health(store).abandoned == ()
