"""`tags-assets select`: several at once on one home, and what is refused in one line."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import dagster as dg
import pytest

from tags_assets.commands.select import run_dry, run_select
from tags_assets.errors import UserError
from tags_assets.llm.settings import ModelSettings
from tags_assets.settings.home import Home
from tags_assets.store.opening import open_store
from tags_assets_tests.assets.test_language_model import choices, obliging
from tags_assets_tests.llm.loopback import Loopback, Reply
from tags_assets_tests.small_pool import write_pool, write_target

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

MARK = "Confidential"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAGS_TARGETS", str(tmp_path / "targets"))
    monkeypatch.setenv("TAGS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    write_pool(tmp_path / "public")
    write_pool(tmp_path / "private")
    [file] = (tmp_path / "private").rglob("*.jsonl")
    file.write_text(file.read_text().replace("This is example", f"{MARK}. This is example"))
    write_target(tmp_path / "targets")
    write_target(tmp_path / "targets", "other", budget={"rows": 9})
    Home.resolve().prepare()
    return tmp_path


@pytest.fixture
def server():
    loopback = Loopback(obliging)
    yield loopback
    loopback.close()


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tags_assets", "select", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    said, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    return said


@pytest.mark.slow
def test_two_selects_on_one_home_do_not_exchange_their_rows(project, server):
    # The public rows wait for their server until the private run has begun and is well under way.
    private: list[subprocess.Popen[str]] = []

    def slowly(call):
        if call.path.endswith("/chat/completions") and not private:
            private.append(
                start("private", "--pool", "b", "--target", "maths", "--budget", "8", "--out", "out-b")
            )
        reply = obliging(call)
        return Reply(reply.body, delay_s=2.0 if len(server.chats) < 40 else 0.0)

    server.behave = slowly
    public = start(
        "public", "--pool", "a", "--target", "maths", "--budget", "7", "--out", "out-a",
        "--tagger", "llm", "--judge", "llm", "--model", "test", "--base-url", server.url,
        "--llm", "concurrency=2",
    )  # fmt: skip
    finish(public)
    finish(private[0])
    rows = {name: (project / f"out-{name}" / "subset.jsonl").read_text().splitlines() for name in "ab"}
    assert (len(rows["a"]), len(rows["b"])) == (7, 8)
    assert not [row for row in rows["a"] if MARK in row]
    assert all(MARK in row for row in rows["b"])
    assert server.chats
    assert not [call for call in server.calls if MARK in json.dumps(call.body)]  # private rows stay here
    for name in "ab":
        manifest = json.loads((project / f"out-{name}" / "manifest.json").read_text())
        store = open_store(Home.resolve().path)
        read = store.require("raw_instances", manifest["selection"]["raw_instances"])
        for asset in ("selected_subset", "instance_scores", "knowledge_tree", "atomic_tags"):
            made = manifest["assets"][asset]["data_version"]
            version = store.locate(asset, made)
            assert version.upstream.get("raw_instances", read.data_version) == read.data_version
        assert (MARK in (project / f"out-{name}" / "report.html").read_text()) == (name == "b")


@pytest.mark.slow
def test_settings_that_are_edited_during_a_run_do_not_reach_it(project, server):
    home = Home.resolve()

    def editing(call):
        pool = home.pool("default")
        home.save_pool(
            "default", pool.model_copy(update={"paths": [str(project / "private")], "judge": "llm"})
        )
        home.save_pool("elsewhere", pool)
        write_target(project / "targets", budget={"rows": 3})
        return obliging(call)

    server.behave = editing
    run_select(home, choices(server, pool=["public"], tagger="llm", out=project / "out"))
    rows = (project / "out" / "subset.jsonl").read_text().splitlines()
    assert len(rows) == 12
    assert not [row for row in rows if MARK in row]
    asked = {call.body["response_format"]["json_schema"]["name"] for call in server.chats}
    assert asked == {"tag"}


@pytest.mark.slow
def test_a_dry_run_leaves_what_is_current_as_it_is_and_two_at_once_count_their_own_rows(project, server):
    home = Home.resolve()
    run_select(home, choices(server, pool=("public",), base_url=None, model=None))
    before = {key: version.data_version for key, version in open_store(home.path).snapshot().items()}
    (project / "few").mkdir()
    [file] = (project / "private").rglob("*.jsonl")
    (project / "few" / "rows.jsonl").write_text("".join(file.read_text().splitlines(keepends=True)[:5]))
    asks = ("--dry-run", "--tagger", "llm", "--model", "test", "--base-url", server.url)
    many, few = start("private", *asks), start("few", *asks, "--pool", "b")
    counts = [int(re.search(r"tagging with test: (\d+) of", finish(one)).group(1)) for one in (many, few)]
    assert counts[0] == 72
    assert counts[1] <= 5
    assert not server.calls
    assert {k: v.data_version for k, v in open_store(home.path).snapshot().items()} == before
    assert home.pool().tagger == "keyphrase"
    assert not list((home.path / "pools").glob("b*"))


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_rows_of_another_pool_are_not_shown_to_this_pool_s_server(server):
    from tags_assets.graph.definitions import graph_of

    home = Home.resolve()
    run_select(home, choices(server, pool=("private",), base_url=None, model=None))
    pool = home.pool("default")
    llm = ModelSettings(base_url=server.url, model="test")
    home.save_pool("b", pool.model_copy(update={"tagger": "llm", "llm": llm}))
    tags = graph_of(home).resolve_implicit_global_asset_job_def()
    result = tags.execute_in_process(asset_selection=[dg.AssetKey("atomic_tags")], raise_on_error=False)
    assert not result.success
    assert not server.calls


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"limits": ("rejected=\u00b2%",)}, "rejected"),
        ({"limits": ("rejected=nan",)}, "rejected"),
        ({"limits": ("rejected=[[[",)}, "rejected"),
        ({"limits": ("rejected=%",)}, "rejected"),
        ({"limits": ("blocking=,",)}, "no check"),
        ({"limits": ("rejectd=5%",)}, "Did you mean 'rejected'"),
        ({"limits": ("rejected=1%", "rejected=2%")}, "twice"),
        ({"llm": ("parameters={a: &a [*a]}",)}, "aliases"),
        ({"llm": ("parameters=" + "[" * 5000,)}, "YAML"),
        ({"llm": ("concurrency=true",)}, "concurrency"),
        ({"llm": ("concurrency=2020-01-01",)}, "concurrency"),
        ({"llm": ("timeout_s=.inf",)}, "timeout_s"),
        ({"llm": ("model={a: b}",)}, "model"),
        ({"llm": ("price=5",)}, "price"),
        ({"llm": ("concurency=5",)}, "Did you mean 'concurrency'"),
        ({"llm": ("base_url=http://me:hunter2@127.0.0.1/v1",), "base_url": None}, "password"),
        ({"llm": ("base_url=http://127.0.0.1/v1?api-key=hunter2",), "base_url": None}, "query"),
        ({"base_url": "http://127.0.0.1/v1?token=hunter2"}, "query"),
        ({"pool": (), "target": "maths"}, "tags-assets select DATA"),
        ({"pool": ("nowhere",)}, "nowhere"),
    ],
)
@pytest.mark.usefixtures("project")
def test_what_is_wrong_is_one_line_and_nothing_of_it_is_remembered(chosen, said):
    home = Home.resolve()
    every = {"pool": ("public",), "base_url": None, "model": None, **chosen}
    for run in (lambda: run_select(home, as_written(every)), lambda: run_dry(home, as_written(every))):
        with pytest.raises(UserError, match=re.escape(said)) as error:
            run()
        assert "\n" not in str(error.value)
        assert "hunter2" not in str(error.value)
        assert len(str(error.value)) < 500
        assert not (home.path / "pools" / "default.yaml").exists()


def as_written(chosen):
    class NoServer:
        url = None

    made = choices(NoServer(), **chosen)
    return made.model_copy(update={"llm": list(chosen.get("llm", ()))})


def test_words_of_yaml_1_1_mean_in_a_pool_s_file_what_they_mean_in_a_target_s(project):
    home = Home.resolve()
    (home.path / "pools" / "default.yaml").write_text(
        f"paths: [{project / 'public'}]\npii: off\nfreshness_hours:\nllm: {{batch_wait: false}}\n"
    )
    pool = home.pool("default")
    assert (pool.pii, pool.freshness_hours, pool.llm.batch_wait) == ("off", None, False)
    home.save_pool("default", pool)
    assert home.pool("default") == pool
    for text in (
        "llm: {base_url: 'http://me:hunter2@127.0.0.1/v1'}",
        "llm: {base_url: 'http://h/?key=hunter2'}",
    ):
        (home.path / "pools" / "default.yaml").write_text(text)
        with pytest.raises(UserError) as error:
            home.pool("default")
        assert "hunter2" not in str(error.value)


@pytest.mark.usefixtures("project")
def test_targets_named_at_the_same_time_are_all_remembered():
    script = (
        "import sys; from tags_assets.settings.home import Home, TargetEntry\n"
        "for n in range(40): Home.resolve().name_target(f'{sys.argv[1]}{n}', TargetEntry(budget='5%'))"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, name]) for name in ("a", "b")]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert len(Home.resolve().named_targets()) == 80
