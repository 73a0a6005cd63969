"""What would change is what does change, and nothing is stored."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.explanation.what_if import _apart, what_if
from tags_assets.store.opening import open_store


def content(home):
    return {
        str(file.relative_to(home)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(home.rglob("*"))
        if file.is_file()
    }


def test_turning_nothing_changes_nothing(selected_home):
    answer = what_if(open_store(selected_home), "maths", {"alignment": 0.7})
    assert answer.turned == {}
    assert answer.dropped.is_empty()
    assert answer.added.is_empty()
    assert answer.kept["rank"].to_list() == answer.kept["rank_now"].to_list() == list(range(1, 13))
    assert answer.concepts["change"].abs().max() == pytest.approx(0, abs=1e-9)
    for name in ("kl", "kl_floor", "certificate", "value", "mean_quality"):
        assert answer.then[name] == pytest.approx(answer.now[name])


def test_kept_dropped_and_added_are_the_two_selections(selected_home):
    store = open_store(selected_home)
    answer = what_if(store, "maths", {"budget": "20", "exclude": "source = 'maths'"})
    now = set(store.read("selected_subset", partition="maths")["instance_id"])
    then = set(answer.selected.rows["instance_id"])
    assert set(answer.kept["instance_id"]) == now & then
    assert set(answer.dropped["instance_id"]) == now - then
    assert set(answer.added["instance_id"]) == then - now
    assert len(then) == 20
    assert "maths" not in answer.selected.rows["source"]
    assert answer.turned == {"budget": ("12 rows", "20 rows"), "exclude.where": (None, "source = 'maths'")}


def test_shares_by_source_add_up(selected_home):
    sources = what_if(open_store(selected_home), "maths", {"alignment": "0"}).sources
    assert sources.select("pool", "now", "then").sum().row(0) == pytest.approx((1, 1, 1))


def test_a_cap_holds(selected_home):
    answer = what_if(open_store(selected_home), "maths", {"max_share.source.maths": "0.5"})
    assert answer.selected.rows.filter(pl.col("source") == "maths").height <= 6
    assert answer.then["kl"] >= answer.then["kl_floor"]


def test_a_certificate_can_be_asked_for(selected_home):
    answer = what_if(open_store(selected_home), "maths", {"certificate": "0.9999"})
    assert answer.turned == {"certificate": (None, 0.9999)}
    assert answer.then["certificate_asked"] == 0.9999
    assert answer.then["certificate"] >= answer.now["certificate"]
    assert answer.then["value"] >= answer.then["value_before_search"]
    assert any("A certificate of 0.9999 was asked for" in said for said in answer.then["messages"])


def test_it_is_what_a_selection_with_these_knobs_stores(selected_home):
    """The current selection, turned back from elsewhere, comes out row for row."""
    store = open_store(selected_home)
    stored = store.read("selected_subset", partition="maths")
    again = what_if(store, "maths", {"alignment": 0.7, "budget": 12, "seed": 0}).selected.rows
    assert again.equals(stored)


def test_nothing_is_stored(selected_home):
    before = content(selected_home)
    what_if(open_store(selected_home), "maths", {"alignment": 1, "min_quality": 0.2})
    assert content(selected_home) == before


def test_listed_concepts_do_not_repeat_each_other():
    rows = [("a > b", 0.5), ("a > b > c", 0.4), ("a > d > e", 0.3), ("a > d", 0.2), ("a", 0.9)]
    concepts = pl.DataFrame(rows, schema=["path", "change"], orient="row")
    assert [row["path"] for row in _apart(concepts, 5)] == ["a > b", "a > d > e"]


def test_what_cannot_be_met_is_one_line(selected_home):
    with pytest.raises(UserError, match="budget") as error:
        what_if(open_store(selected_home), "maths", {"budget": "5000"})
    assert "\n" not in str(error.value)


def run(*arguments, cwd):
    command = [sys.executable, "-m", "tags_assets", "what-if", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


def test_command_line_tells_what_would_change(selected_home):
    done = run("alignment=0.2", "budget=10%", "--target", "maths", "--home", selected_home, cwd=selected_home)
    assert done.returncode == 0, done.stderr
    assert "maths, what if alignment 0.7 -> 0.2, budget 12 rows -> 10%? (Nothing was stored.)" in done.stdout
    for said in ("kept", "certificate", "KL to the target", "Share by source", "Faith's PD"):
        assert said in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no setting is given"),
        (["data/"], "'data/' is not name=value"),
        (["alignment=2"], "alignment: 2 is too high"),
        (["alignment=.2", "--target", "math"], "Did you mean 'maths'"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(selected_home, arguments, said):
    done = run(*arguments, "--home", str(selected_home), cwd=selected_home)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_neither_dagster_nor_other_heavy_packages_are_imported(selected_home):
    program = (
        "import sys\n"
        "from tags_assets import what_if\n"
        f"print(what_if('maths', home={str(selected_home)!r}, alignment=0.3))\n"
        "heavy = {'dagster', 'sklearn', 'openai', 'pandas', 'spacy', 'onnxruntime', 'plotly'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_the_option_of_select_still_works_and_names_the_command(selected_home):
    command = [sys.executable, "-m", "tags_assets", "select", "--what-if", "--home", str(selected_home)]
    done = subprocess.run(
        [*command, "alignment=0.2", "--budget", "10%", "--target", "maths"],
        cwd=selected_home, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert "budget 12 rows -> 10%" in done.stdout
    assert done.stderr == "note: `select --what-if` is now the command `tags-assets what-if`\n"
    done = subprocess.run([*command, "a=1", "--out", "x"], capture_output=True, text=True, check=False)
    assert "--out does not go with --what-if" in done.stderr
