"""Targets that were named once are found again."""

from __future__ import annotations

from tags_assets.home import Home
from tags_assets.target_registry import TargetRegistry
from tags_assets_tests.small_pool import write_target


def test_a_named_target_is_found_again_where_the_project_was_moved_to(tmp_path, monkeypatch):
    before, after = tmp_path / "before", tmp_path / "after"
    write_target(before / "targets")
    monkeypatch.setenv("TAGS_TARGETS", str(before / "targets"))
    assert TargetRegistry(Home(before / ".tags").prepare()).name("maths", "20%") == "maths"
    before.rename(after)
    monkeypatch.setenv("TAGS_TARGETS", str(after / "targets"))
    registry = TargetRegistry(Home(after / ".tags"))
    assert registry.name("maths", "10%") == "maths"
    assert registry.load("maths").path == (after / "targets" / "maths.yaml").resolve()
