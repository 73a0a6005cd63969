"""Rules of docs/architecture.md: which room of the package may use which."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tags_assets_tests.requirements_of_tests import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = CHECKOUT / "tags_assets"
MODULES = sorted(PACKAGE.rglob("*.py"))
METHOD = (
    "method/concepts",
    "method/scoring",
    "method/selection",
    "method/tagging",
    "method/target",
    "method/text",
    "method/tree",
)

MAY_USE: dict[str, tuple[str, ...]] = {
    "api": ("explanation", "report", "selection", "settings", "store", *METHOD),
    "assets": ("formats", "llm", "report", "resources", "selection", "settings", "store", *METHOD),
    "commands": (
        "web",
        "assets",
        "explanation",
        "formats",
        "graph",
        "llm",
        "resources",
        "selection",
        "settings",
        "store",
        *METHOD,
    ),
    "explanation": ("formats", "selection", "settings", "store", *METHOD),
    "confined": (),
    "formats": ("confined", "models", "store"),
    "graph": ("assets", "formats", "llm", "resources", "settings", "store", *METHOD),
    "llm": ("store", *METHOD),
    "method/concepts": ("method/text",),
    "method/scoring": ("method/tree",),
    "method/selection": ("method/target", "method/text", "method/tree"),
    "method/tagging": ("method/text", "models"),
    "method/target": ("method/text", "method/tree"),
    "method/text": (),
    "method/tree": ("method/concepts",),
    "models": (),
    "report": METHOD,
    "resources": ("formats", "llm", "models", "settings", "store", *METHOD),
    "selection": ("formats", "settings", "store", *METHOD),
    "settings": ("formats", "llm", "store", *METHOD),
    "store": ("confined", *METHOD),
    "web": ("assets",),
}
"""The rooms, and the rooms that each may use. Every room may use the modules outside all rooms."""

ROOT = {"__init__", "__main__", "errors", "paths", "progress", "safe_start", "text"}
"""The modules outside all rooms."""

FOREIGN = {
    "dagster": {"web", "assets", "commands", "graph", "resources"},
    "dagster_duckdb": {"resources"},
    "duckdb": {
        "confined",
        "api",
        "assets",
        "commands",
        "explanation",
        "formats",
        "graph",
        "llm",
        "resources",
        "selection",
        "settings",
        "store",
    },
    "openai": {"llm"},
    "onnxruntime": {"models"},
    "spacy": {"method/tagging"},
}
"""Libraries that only some rooms may use."""

ROW_TYPE = "tags_assets.formats.instance"
"""All that the method may use of ``formats``: the type of a row."""


def room_of(module: str) -> str:
    """Name the room of a dotted module; a module outside all rooms is a room of its own name."""
    parts = module.split(".")[1:]
    if parts[:1] == ["method"] and (PACKAGE / "method" / "/".join(parts[1:2])).is_dir() and len(parts) > 1:
        return "/".join(parts[:2])
    return parts[0] if parts else "__init__"


def dotted(path: Path) -> str:
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


@cache
def imports(module: Path) -> frozenset[str]:
    """List the modules that a module imports; of a package's attribute, the package."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            folder = CHECKOUT / node.module.replace(".", "/")
            parts = {
                a.name
                for a in node.names
                if (folder / a.name).is_dir() or (folder / f"{a.name}.py").is_file()
            }
            names |= {f"{node.module}.{part}" for part in parts}
            if len(parts) < len(node.names):
                names.add(node.module)
    return frozenset(names)


def test_every_module_is_in_a_room_that_the_rules_name():
    rooms = {room_of(dotted(module)) for module in MODULES} - {"method"}
    assert rooms - ROOT == set(MAY_USE)


@pytest.mark.parametrize("room", MAY_USE)
def test_a_room_uses_only_the_rooms_that_it_may(room):
    allowed = {room, *ROOT, *MAY_USE[room]}
    used = {
        f"{dotted(module)} -> {name}"
        for module in MODULES
        if room_of(dotted(module)) == room
        for name in imports(module)
        if name.startswith("tags_assets.") and room_of(name) not in allowed
        if not (room.startswith("method/") and name.startswith(ROW_TYPE))
    }
    assert used == set()


def test_rooms_do_not_use_each_other_in_a_circle():
    reached = {room: set(others) for room, others in MAY_USE.items()}
    for _ in MAY_USE:
        for others in reached.values():
            others |= {further for other in tuple(others) for further in reached[other]}
    assert [room for room, others in reached.items() if room in others] == []


def test_modules_do_not_import_each_other_in_a_circle():
    known = {dotted(module): imports(module) for module in MODULES if module.name != "__init__.py"}
    graph = {name: {other for other in used if other in known} for name, used in known.items()}
    while free := {name for name, used in graph.items() if not used & graph.keys()}:
        graph = {name: used for name, used in graph.items() if name not in free}
    assert sorted(graph) == []


@pytest.mark.parametrize("library", FOREIGN)
def test_a_library_stays_in_its_rooms(library):
    rooms = {
        room_of(dotted(module))
        for module in MODULES
        for name in imports(module)
        if name == library or name.startswith(f"{library}.")
    }
    assert rooms <= FOREIGN[library]


def test_private_names_of_dagster_are_used_in_one_module():
    users = {
        dotted(m) for m in MODULES if any(re.match(r"dagster\._|dagster\.\w+\._", n) for n in imports(m))
    }
    assert users <= {"tags_assets.assets.dagster_internals"}


def test_the_page_on_architecture_lists_the_rooms():
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    page = page.partition("## Where things are")[2].partition("## ")[0]
    assert set(re.findall(r"^\| `([a-z/]+)/` \|", page, flags=re.MULTILINE)) == set(MAY_USE)


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
