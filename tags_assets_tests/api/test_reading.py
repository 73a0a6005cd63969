from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

import tags_assets
from tags_assets.errors import UserError
from tags_assets.store.opening import open_store


@pytest.fixture
def home(tmp_path):
    open_store(tmp_path).write(
        "raw_instances", "v1", {"data": pl.DataFrame({"instance_id": ["a"], "n": [1]})}
    )
    return tmp_path


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "selct 1",
            'the query failed: Parser Error: syntax error at or near "selct". `tags-assets describe`',
        ),
        ("select nothing from raw_instances", 'Referenced column "nothing" not found'),
        ("from raw_instanes", 'Did you mean "raw_instances"'),
        ("select $missing", "Values were not provided for the following parameters: missing"),
        ("select interval 1 day as i", "the query failed: "),
        ("", "the query is empty"),
        ("-- nothing", "the query is empty"),
    ],
)
def test_a_query_that_fails_is_one_line(home, sql, message):
    with pytest.raises(UserError) as caught:
        tags_assets.query(sql, home=home)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "LINE 1" not in str(caught.value)


def test_ctrl_c_ends_a_query(home):
    code = (
        "import os, signal, threading, tags_assets\n"
        f"tags_assets.query('from raw_instances', home={str(home)!r})\n"
        "threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "slow = 'select count(*) from range(1000000000000) t(i) where i % 7 = 9'\n"
        f"try:\n    tags_assets.query(slow, home={str(home)!r})\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
    )
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout == "interrupted\n"
