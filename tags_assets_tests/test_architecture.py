"""Rules of docs/architecture.md: which room of the package may use which."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tags_assets_tests.requirements_of_tests import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = CHECKOUT / "tags_assets"
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(module: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def is_from(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def offences(room: str, *forbidden: str) -> list[str]:
    return [
        f"{module.relative_to(CHECKOUT)} imports {name}"
        for module in sorted((PACKAGE / room).rglob("*.py"))
        for name in sorted(imports(module))
        if is_from(name, *forbidden)
    ]


def test_models_use_nothing_of_ours_but_errors():
    used = {n for m in (PACKAGE / "models").rglob("*.py") for n in imports(m) if is_from(n, "tags_assets")}
    assert {n for n in used if not is_from(n, "tags_assets.errors", "tags_assets.models")} == set()


@pytest.mark.parametrize(
    "room", ["confined", "method", "models", "formats", "llm", "store", "report", "selection", "notebook"]
)
def test_dagster_stays_in_the_assets_and_around_them(room):
    assert list((PACKAGE / room).rglob("*.py"))
    assert offences(room, "dagster", "dagster_duckdb") == []


@pytest.mark.parametrize("room", ["method", "models", "report"])
def test_what_computes_does_not_know_the_database(room):
    assert offences(room, "duckdb", "tags_assets.store") == []


def test_method_uses_nothing_of_ours_but_errors_models_and_the_form_of_a_row():
    allowed = (
        "tags_assets.errors",
        "tags_assets.formats.instance",
        "tags_assets.method",
        "tags_assets.models",
    )
    used = {
        f"{module.name}: {name}"
        for module in (PACKAGE / "method").rglob("*.py")
        for name in imports(module)
        if is_from(name, "tags_assets") and name != "tags_assets" and not is_from(name, *allowed)
    }
    assert used == set()


@pytest.mark.parametrize(
    "room", ["method", "models", "formats", "llm", "store", "report", "resources", "selection", "notebook"]
)
def test_arrows_go_one_way(room):
    above = ("assets", "cli", "commands", "definitions", "automation", "checks", "runner")
    assert offences(room, *(f"tags_assets.{name}" for name in above)) == []


def test_modules_are_short():
    lines = {str(m.relative_to(CHECKOUT)): len(m.read_text(encoding="utf-8").splitlines()) for m in MODULES}
    assert {name: n for name, n in lines.items() if n >= 500} == {}


def test_no_sql_statement_of_several_lines_stands_in_python():
    words = ("select ", "create ", "insert ", "with ", "attach ", "copy ")
    found = [
        f"{module.relative_to(CHECKOUT)}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.strip().lower().startswith(words)
        and " from " in " ".join(node.value.lower().split())
        and node.value.strip().count("\n") > 0
    ]
    assert found == []
