"""Targets that were named once are found again."""

from __future__ import annotations

from tags_assets.settings.home import Home
from tags_assets.settings.target_registry import TargetRegistry
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


def test_a_bad_file_keeps_no_other_target_from_being_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGS_TARGETS", str(tmp_path / "targets"))
    home = Home(tmp_path / "home").prepare()
    (tmp_path / "targets").mkdir()
    for name, text in (
        ("maths.yaml", "target: pool"),
        ("deep.yaml", "target: " + "[" * 20_000),
        ("日本語.yaml", "target: pool"),
        ("Maths.yml", "target: pool"),
    ):
        (tmp_path / "targets" / name).write_text(text, encoding="utf-8")
    (tmp_path / "targets" / "nowhere.yaml").symlink_to(tmp_path / "none")
    registry = TargetRegistry(home)
    before = registry.fingerprints()
    assert before.keys() == {"deep", "maths", "nowhere"}
    assert len(registry.problems()) == 2
    assert registry.load("maths").name == "maths"
    (tmp_path / "targets" / "Maths.yml").write_text("target: pool\nseed: 1", encoding="utf-8")
    after = registry.fingerprints()
    assert {name for name, version in after.items() if before[name] != version} == {"maths"}
