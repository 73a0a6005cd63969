"""One file declares an asset: whatever else knows assets learns of it from there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tags_assets.assets.registry import declarations, parents, target_assets
from tags_assets_tests.requirements_of_tests import CHECKOUT

ASSET = '''
"""`pick_words` [target]: how long the picks are."""

import dagster as dg
import polars as pl

from tags_assets.assets.checks import FigureCheck
from tags_assets.assets.declaration import Declaration, Table
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.resources.run import RunResource

SCHEMA = pl.Schema({"instance_id": pl.String(), "length": pl.Int64()})
LONGEST = pl.Schema({"instance_id": pl.String()})

DECLARATION = Declaration(
    "pick_words",
    group="sampling",
    grain="One row per pick, with its length.",
    schema=SCHEMA,
    meanings={"length": "Tokens of prompt and response."},
    tables={"longest": Table("The longest pick.", LONGEST, {"instance_id": "Id of the longest pick."})},
    of_target=True,
    plotted={"longest": "tokens of the longest pick"},
    checks=(
        FigureCheck("not_empty", "There are picks.", lambda judged: (judged.figures["picks"] > 0, "counted")),
    ),
)


@dg.asset(deps=["raw_instances", "selected_subset"], code_version="1", **DECLARATION.options())
def pick_words(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Count."""

    def compute(inputs: Inputs, _name: str) -> Artifact:
        rows = inputs.read("raw_instances", columns=["instance_id", "prompt_tokens", "response_tokens"])
        picks = inputs.read("selected_subset", columns=["instance_id"])
        length = pl.col("prompt_tokens") + pl.col("response_tokens")
        table = picks.join(rows, on="instance_id").select("instance_id", length.alias("length")).cast(SCHEMA)
        longest = table.sort("length").tail(1).select("instance_id")
        figures = {"picks": len(table), "longest": table["length"].max()}
        return Artifact({"data": table, "longest": longest}, figures)

    return materialize(context, run, compute)
'''

USE = """
import json, sys, warnings
warnings.simplefilter("ignore")
folder, docs = sys.argv[1:]
sys.path.insert(0, docs)
import tags_assets.assets
tags_assets.assets.__path__.append(folder)

import generate
from tags_assets.assets.dagster_internals import DATA_VERSION_TAG
from tags_assets.assets.registry import check_limits, declarations
from tags_assets.commands.versions import versions
from tags_assets.explanation.lineage import Lineage
from tags_assets.graph.definitions import graph_of
from tags_assets.graph.instance import open_instance
from tags_assets.graph.runner import run_target
from tags_assets.settings.home import Home
from tags_assets.settings.limits import Limits
from tags_assets.store.opening import open_store
from tags_assets.store.warehouse import Warehouse
import dagster as dg

class Silent:
    def step(self, task, done, total): pass

home = Home.resolve()
graph = graph_of(home)
node = graph.resolve_asset_graph().get(dg.AssetKey("pick_words"))
ran = {run.asset: run.status for run in run_target(home, "maths", Silent())}
with open_instance(home) as instance:
    [event] = instance.fetch_materializations(node.key, limit=1).records
    told = event.asset_materialization.metadata
store = open_store(home.path)
with Warehouse(store).open() as warehouse:
    comments = dict(warehouse.sql(
        "select table_name || '.' || column_name, comment from duckdb_columns() "
        "where table_name ^@ 'pick_words'"
    ).fetchall())
    listed = warehouse.sql("select partition from asset_versions where asset = 'pick_words'").fetchall()
versions(None, None)
page = generate.pages()[generate.DOCS / "reference" / "tables.md"]
print(json.dumps({
    "partitioned": node.is_partitioned,
    "group": node.group_name,
    "follows": str(node.automation_condition)
        == str(graph.resolve_asset_graph().get(dg.AssetKey("exported_subset")).automation_condition),
    "one_target": node.key in graph.resolve_job_def("one_target").asset_layer.executable_asset_keys,
    "waits": "pick_words" in repr(node.automation_condition),
    "grain": declarations()["pick_words"].grain,
    "checks": [check.name for check in node.check_keys],
    "blocking": check_limits(Limits(blocking=["not_empty"])).blocking,
    "ran": ran,
    "plot": told["tokens of the longest pick"].value,
    "schema": [column.description for column in told["dagster/column_schema"].value.columns],
    "comments": comments,
    "listed": listed,
    "asked": Lineage.of(store, "maths").ask("select count(*) as n from raw_instances")["n"][0],
    "page": page[page.index("### pick_words"):][:600],
    "picture": "selected_subset --> pick_words" in generate.picture(),
}))
"""


def test_an_asset_is_added_by_adding_a_file(selected_home, tmp_path):
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "pick_words.py").write_text(ASSET.lstrip(), encoding="utf-8")
    shutil.copytree(selected_home.parent, tmp_path / "work")
    done = subprocess.run(
        [sys.executable, "-c", USE, str(folder), str(CHECKOUT / "docs")],
        cwd=CHECKOUT,
        env=os.environ
        | {"TAGS_HOME": str(tmp_path / "work" / "home"), "TAGS_TARGETS": str(tmp_path / "work" / "targets")},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    *versions, told = done.stdout.splitlines()
    found = json.loads(told)
    assert any(line.startswith("maths") and "complete" in line for line in versions)
    assert (found["partitioned"], found["group"], found["one_target"]) == (True, "sampling", True)
    assert found["follows"]
    assert found["waits"]
    assert found["grain"] == "One row per pick, with its length."
    assert (found["checks"], found["blocking"]) == (["not_empty"], ["not_empty"])
    assert {name for name, status in found["ran"].items() if status == "ran"} == {"pick_words"}
    assert found["plot"] > 0
    assert found["schema"][1] == found["comments"]["pick_words.length"] == "Tokens of prompt and response."
    assert found["comments"]["pick_words_longest.instance_id"] == "Id of the longest pick."
    assert found["listed"] == [["maths"]]
    assert "`pick_words_longest`: The longest pick." in found["page"]
    assert found["picture"]


def test_assets_are_ordered_by_depth_then_name():
    names = [*declarations()]
    assert names[:3] == ["landing", "raw_instances", "rejected_rows"]
    for name in names:
        assert all(names.index(parent) < names.index(name) for parent in parents(name))


def test_what_is_made_from_a_targets_asset_is_of_a_target():
    read = {name for name in declarations() if parents(name) & target_assets()}
    assert read <= target_assets()


@pytest.mark.parametrize("name", ["pages", "versioned"])
def test_a_module_that_declares_nothing_is_no_asset(name):
    assert name not in declarations()
