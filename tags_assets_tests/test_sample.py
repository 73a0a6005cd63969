"""The sample data: made by its generator, right where it can be computed, and as its README says."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import sys

import polars as pl
import pytest
import yaml

from tags_assets.formats.pool import expand_pool, read_pool
from tags_assets_tests.requirements_of_tests import CHECKOUT

SAMPLE = CHECKOUT / "sample"


def content(path):
    """What a file says, whatever the version of the library that packed it."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".parquet":
        return pl.read_parquet(io.BytesIO(path.read_bytes())).rows()
    return path.read_bytes()


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return read_pool(expand_pool([SAMPLE / "pool"]), cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def instances(pool):
    return pool.instances.lazy().collect()


def test_generator_writes_the_pool_that_is_committed(tmp_path):
    subprocess.run([sys.executable, str(SAMPLE / "generate.py"), str(tmp_path)], check=True, cwd=tmp_path)
    committed = {path.name: content(path) for path in (SAMPLE / "pool").iterdir()}
    assert {path.name: content(path) for path in tmp_path.iterdir()} == committed


def test_readme_states_the_rows_of_every_file(pool):
    stated = dict(re.findall(r"^\| `([\w.]+)` \| (\d+) \|", (SAMPLE / "README.md").read_text(), re.MULTILINE))
    counts = {
        name.rsplit("/", 1)[-1]: str(rows) for name, rows in pool.counts.select("file", "rows_in").iter_rows()
    }
    assert stated == counts
    assert f"{sum(map(int, counts.values()))} rows of" in (SAMPLE / "README.md").read_text()


def test_every_layout_and_several_languages_are_there(instances):
    assert set(instances["format"]) == {"alpaca", "sharegpt", "messages", "prompt_completion"}
    assert {"en", "de", "fr", "es"} <= set(instances["language"])
    assert instances["source"].n_unique() >= 12


def test_faulty_lines_are_rejected_and_repeated_rows_found(pool, instances):
    assert pool.rejected.height == 8
    repeated = instances.filter(pl.col("duplicate_of").is_not_null())
    assert repeated.height == 11
    assert repeated["near_duplicate"].sum() == 5
    assert instances.height + pool.rejected.height == pool.counts["rows_in"].sum()


def test_every_python_answer_does_what_it_says():
    for task in yaml.safe_load((SAMPLE / "written" / "python_tasks.yaml").read_text()):
        names = {"__name__": "answer"}
        exec(compile(task["code"], "answer", "exec", dont_inherit=True), names)  # noqa: S102 - the sample's own answers
        assert eval(task["check"], names), task["q"]  # noqa: S307
