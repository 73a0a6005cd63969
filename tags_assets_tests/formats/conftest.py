"""What the tests of formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tags_assets.formats.pool import PoolRead, expand_pool, read_pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def read_once(tmp_path_factory) -> Callable[[Path], PoolRead]:
    """Read a pool into a cache that the whole test run shares."""
    cache = tmp_path_factory.mktemp("cache")
    return lambda path: read_pool(expand_pool([path]), cache=cache)


@pytest.fixture
def read(tmp_path) -> Callable[..., PoolRead]:
    """Read a pool into a cache of this test's own."""
    return lambda *paths, **options: read_pool(expand_pool(paths), cache=tmp_path / ".cache", **options)
