from __future__ import annotations

import polars as pl
import pytest

from tags_assets.store.artifacts import ArtifactStore


@pytest.fixture
def store(tmp_path):
    store = ArtifactStore(tmp_path / "home")
    yield store
    store.close()


@pytest.fixture
def rows():
    return pl.DataFrame({"instance_id": ["a", "b", "c"], "rank": [1, 2, 3]})
