"""What a run can be told in Dagster, and what it reads."""

import os
from uuid import uuid4

import dagster as dg
import polars as pl
import pytest
from dagster_duckdb import DuckDBResource

from tags_assets.graph.leftovers import rubbish
from tags_assets.resources.run import Run, RunResource, run_resource
from tags_assets.settings.home import Home, PoolSettings
from tags_assets.store.opening import open_store

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

SAFE = {"pool", "retry_failed"}


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home").prepare()
    home.save_pool("other", PoolSettings(seed=2))
    home.save_pool("default", PoolSettings(seed=1))
    return home


@dg.op
def seed(context: dg.OpExecutionContext, run: RunResource) -> None:
    context.add_output_metadata({"seed": run.pool.seed, "retry": run.retry_failed})


def told(home, config=None):
    result = dg.GraphDefinition("one", node_defs=[seed]).execute_in_process(
        resources={"run": run_resource(home)},
        run_config={"resources": {"run": {"config": config or {}}}},
    )
    [output] = [event for event in result.all_events if event.is_successful_output]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def test_a_run_can_be_told_its_pool_and_no_more(home):
    assert told(home) == {"seed": 1, "retry": False}
    assert told(home, {"pool": "other", "retry_failed": True}) == {"seed": 2, "retry": True}
    for name in ("home", "base_url", "key_variable", "llm", "memory_limit"):
        with pytest.raises(dg.DagsterInvalidConfigError):
            told(home, {name: "x"})


def test_no_variable_of_the_environment_can_be_read_by_a_run_s_configuration(home, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with pytest.raises(dg.DagsterInvalidConfigError) as error:
        told(home, {"pool": {"env": "OPENAI_API_KEY"}})
    assert "sk-secret" not in str(error.value)


def test_no_job_takes_an_address_a_key_or_a_folder_from_its_configuration(home):
    from tags_assets.graph.definitions import graph_of

    graph = graph_of(home)
    for name in ("everything", "read_pool", "one_target", "dry_run", "prune"):
        job = graph.resolve_job_def(name)
        taken = {
            resource: set(getattr(definition.config_schema.as_field().config_type, "fields", {}))
            for resource, definition in job.resource_defs.items()
        }
        assert {name: fields for name, fields in taken.items() if fields} == {"run": SAFE}
        assert job.resource_defs["io_manager"] is dg.mem_io_manager  # takes a folder from nobody
        for resource, config in (
            ("llm", {"base_url": "http://attacker.example"}),
            ("store", {"home": "elsewhere"}),
            ("run", {"home": "elsewhere"}),
        ):
            with pytest.raises(dg.DagsterInvalidConfigError):
                job.execute_in_process(run_config={"resources": {resource: {"config": config}}})


def test_pruning_of_another_folder_cannot_be_asked_for(home, tmp_path):
    from tags_assets.graph.definitions import graph_of

    victim = tmp_path / "victim"
    (victim / "exports" / "maths" / "v1").mkdir(parents=True)
    (victim / "exports" / "maths" / "v1" / "thesis.txt").write_text("mine")
    job = graph_of(home).resolve_job_def("prune")
    for config in (
        {"resources": {"store": {"config": {"home": str(victim)}}}},
        {"resources": {"run": {"config": {"home": str(victim)}}}},
        {"ops": {"free_old_versions": {"config": {"home": str(victim)}}}},
        {"ops": {"free_old_versions": {"config": {"keep_last": {"env": "HOME"}}}}},
    ):
        with pytest.raises(dg.DagsterInvalidConfigError):
            job.execute_in_process(run_config=config)
    for config in ({"keep_last": 0}, {"grace_minutes": -1.0}, {"unused_days": float("nan")}):
        run_config = {"ops": {"free_old_versions": {"config": config}}}
        assert not job.execute_in_process(run_config=run_config, raise_on_error=False).success
    assert (victim / "exports" / "maths" / "v1" / "thesis.txt").exists()


def test_a_run_keeps_its_settings_whatever_is_written_meanwhile(home):
    run_id = str(uuid4())
    assert Run(home, run_id).pool.seed == 1
    home.save_pool("default", PoolSettings(seed=7))
    home.save_pool("other", PoolSettings(seed=8))
    assert Run(home, run_id).pool.seed == 1
    assert Run(home, str(uuid4())).pool.seed == 8
    assert Run(home, str(uuid4()), parent=run_id).pool.seed == 1  # a run that repeats another one


def test_old_records_are_swept_and_new_ones_stay(home):
    old, new = str(uuid4()), str(uuid4())
    paths = [Run(home, run_id).record.path for run_id in (old, new)]
    os.utime(paths[0], (0, 0))
    found = [one.path for one in rubbish(home, open_store(home.path), unused_days=0)]
    assert found == [paths[0]]


def test_an_id_that_leads_out_of_the_folder_is_refused(home):
    with pytest.raises(dg.Failure, match="not the id of a run"):
        _ = Run(home, "../../x").pool
    with pytest.raises(dg.Failure, match="not the id of a run"):
        _ = Run(home, str(uuid4()), parent="../pools/default").pool


def test_a_home_has_one_store_in_a_process_with_connections_of_dagsters_resource(home, monkeypatch):
    opened = []
    original = DuckDBResource.get_connection
    monkeypatch.setattr(
        DuckDBResource, "get_connection", lambda self: opened.append(self.database) or original(self)
    )
    store = Run(home, str(uuid4())).store
    assert store is Run(home, str(uuid4())).store is open_store(home.path)
    store.write("made", "v", pl.DataFrame({"x": [1]}))
    for _ in range(5):
        store.read("made")
    assert opened == [":memory:"]  # an idle instance, to which nothing is attached, is used again
