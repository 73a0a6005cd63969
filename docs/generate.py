"""Writes the reference from the code: `make docs`. A test fails where what is committed is stale."""

from __future__ import annotations

import functools
import inspect
import operator
import os
import re
import sys
import tempfile
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

from tags_assets.store.warehouse import Warehouse

os.environ["COLUMNS"] = "110"
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")

import click
import typer
from pydantic import BaseModel

import tags_assets
from tags_assets.commands import cli
from tags_assets.explanation.knobs import KNOBS
from tags_assets.formats.export import FORMATS
from tags_assets.settings import home, target_file
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.columns import FURTHER_TABLES, meaning
from tags_assets.store.sql import load_sql, sql_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


DOCS = Path(__file__).resolve().parent
MADE = "<!-- Made from the code by `make docs`: edit the code, not this page. -->\n\n"
GRAPH = re.compile(r"(<!-- graph: made by `make docs` -->\n).*?(<!-- graph: end -->)", re.DOTALL)

ENVIRONMENT = {
    "TAGS_HOME": "Folder of artifacts, caches and Dagster's state, where no `--home` is given. Default `.tags`.",
    "TAGS_POOL": "Name of the pool that is read. Default: the one named last on the command line.",
    "TAGS_TARGETS": "Folder of the target files. Default `targets`.",
    "TAGS_ALARM_WEBHOOK": "Address to which failed runs and checks are posted, as Slack gives one. Never stored or shown.",
    "TAGS_DEBUG": "Anything: an error ends in its traceback instead of one line.",
    "OPENAI_BASE_URL": "Address of the language model's server, as `http://127.0.0.1:8000/v1`.",
    "OPENAI_API_KEY": "Its key. Not needed for a server on this machine. Never stored, hashed or shown.",
    "DAGSTER_HOME": "Set by `tags-assets` to `HOME/dagster`; by `make` to the checkout, for Dagster's own commands.",
    "DAGSTER_DISABLE_TELEMETRY": "Set to 1 by `tags-assets` and `make`: Dagster sends nothing.",
}
"""Variables that a user may set; `tags_assets_tests/docs` compares them with those that the code reads."""

TARGET_FIELDS = {
    "budget": "How much to select. A text does as well: `5%`, `5000`, `2Mtok`.",
    "budget.fraction": "Share of the eligible rows, above 0 and up to 1, rounded down to whole rows.",
    "budget.rows": "Rows, from 1.",
    "budget.tokens": "Most tokens, prompts and responses together (the yardstick of [input.md](../input.md)).",
    "alignment": "From 0 (information gain alone) to 1 (the target alone).",
    "alignment.max_kl": "In place of a number: the smallest alignment that keeps the KL to the target under this, in nats.",
    "breadth": "Within the alignment, from 0: the rows most typical of the target; the larger, the more of its concepts.",
    "text_share": "How much of closeness is the likeness of the row's whole text, 0 to 1; the rest is its concepts'.",
    "target": "What is wanted: one of the four below. `target: pool` is the pool itself.",
    "target.examples": "File of rows like those that are wanted, in any layout that a pool may have; 20 to 50 are good. "
    "Its path starts at the target's file.",
    "target.weights": "Node of the tree, by its name path or id, to its weight; weights are relative. Other words are read as the concept nearest to them, and a node that is gone since the tree was rebuilt as the one that holds its tags; a note says so.",
    "target.description": "What is wanted, in words that name its concepts.",
    "target.pool": "The pool itself: the rows that teach most of everything.",
    "constraints": "What must hold whatever the rest says.",
    "constraints.max_share": "Column to value to the largest share of the budget that it may have, 0 to 1; a number in place of the values is for each value: `{template: 0.1}` caps rows whose prompts begin with the same seven words.",
    "constraints.min_share": "Column to value to the smallest share of the budget that it must have, 0 to 1.",
    "constraints.include": "Rows that must be in, by their `id` or `instance_id`.",
    "constraints.exclude": "Rows that may not be in.",
    "constraints.exclude.where": "A condition of SQL over the columns of the rows.",
    "min_quality": "Least quality of a row, 0 to 1. Rows that are named by `include` are exempt.",
    "seed": "Order among rows of exactly equal gain.",
    "certificate": "Share of the best possible that is to be proved, up to 1, as 0.999: where greedy and the bound fall short, both are worked on.",
    "stability": "What a row of the selection before counts more, in mean gains of a pick, 0 to 1: fewer rows change.",
    "limits": "Where the checks of its selection draw the line, over what the pool says: `certificate`, `certificate_small`, `kl_above_floor`, `kl_above_random`, `blocking` ([operations](../operations.md)).",
}


def pages() -> dict[Path, str]:
    """Every page that is made from the code, by its path."""
    architecture = DOCS / "architecture.md"
    text = architecture.read_text(encoding="utf-8")
    return {
        DOCS / "reference" / "command-line.md": _command_line(),
        DOCS / "reference" / "target-file.md": _target_file(),
        DOCS / "reference" / "tables.md": _tables(),
        DOCS / "reference" / "configuration.md": _configuration(),
        DOCS / "reference" / "python.md": _python(),
        architecture: GRAPH.sub(lambda found: found[1] + picture() + found[2], text),
    }


# The command line --------------------------------------------------------------------------------------------


def _command_line() -> str:
    group = typer.main.get_command(cli.app)
    context = click.Context(group, info_name="tags-assets")
    out = [
        MADE + "# Command line",
        "`tags-assets COMMAND --help` shows the same. Exit code 0 means that it is done; a mistake is one line on stderr and "
        "exit code 1; Ctrl-C is 130, and what was finished is kept.",
    ]
    names = group.list_commands(context)
    rows = [(f"[`{name}`](#{name})", _first(group.get_command(context, name).help)) for name in names]
    out.append(_table(("command", "does"), rows))
    for name in names:
        command = group.get_command(context, name)
        below = click.Context(command, info_name=name, parent=context)
        usage = " ".join(["tags-assets", name, *command.collect_usage_pieces(below)])
        out += [f"## {name}", _plain(command.help), f"```text\n{usage}\n```", *_parameters(command, below)]
    return "\n\n".join(out) + "\n"


def _parameters(command: click.Command, context: click.Context) -> Iterator[str]:
    arguments, options = [], []
    hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)  # type: ignore[arg-type]
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        said = next(iter(getattr(hints.get(parameter.name), "__metadata__", ())), parameter)
        text = _plain(said.help)
        if parameter.param_type_name == "argument":
            name = f"`{parameter.make_metavar(context)}`".replace("[", "").replace("]", "")
            arguments.append((name, "required" if parameter.required else "optional", text))
            continue
        names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len, reverse=True))
        kind = "" if parameter.is_flag else f" `{parameter.make_metavar(context)}`"
        default = parameter.default
        shown = "" if default is None or parameter.is_flag or callable(default) else f" Default `{default}`."
        options.append((names + kind.replace("|", " or "), (text + shown).strip()))
    if arguments:
        yield _table(("argument", "", "meaning"), arguments)
    if options:
        yield _table(("option", "meaning"), options)


# The target file ---------------------------------------------------------------------------------------------


def _target_file() -> str:
    rows = list(_fields(target_file.TargetSpec, ()))
    example = (DOCS.parent / "targets" / "grade_school_math.yaml").read_text(encoding="utf-8")
    knobs = [(f"`{name}`", text) for name, text in KNOBS.items()]
    return (
        "\n\n".join(
            [
                MADE + "# Target file",
                "One YAML file in `targets/` for each target; its name is the target's name. [How to write one](../targets.md). Nothing "
                "that is written there is ignored: an unknown field, a field given twice and an empty field are errors that name the "
                "file and the line. Only `target` must be there.",
                _table(("field", "takes", "default", "meaning"), rows),
                "## An example",
                f"`targets/grade_school_math.yaml` of the checkout:\n\n```yaml\n{example}```",
                "## Knobs",
                "What `tags-assets what-if` and [the Python API](../python.md) turn, by these names. An empty value takes a "
                "knob back to its default.",
                _table(("knob", "takes"), knobs),
            ]
        )
        + "\n"
    )


def _fields(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[str, str, str, str]]:
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        if not above and name in {"name", "path"}:
            continue
        path = ".".join((*above, name))
        below = {
            "budget": target_file.BudgetField,
            "alignment": target_file.Ceiling,
            "target": target_file.Wish,
            "constraints": target_file.ConstraintsField,
            "constraints.exclude": target_file.Exclude,
        }.get(path)
        default = "required" if field.is_required() and path == "target" else ""
        if not field.is_required() and isinstance(field.default, int | float):
            default = f"{field.default:g}"
        if path == "budget":
            default = "5%"
        meaning = TARGET_FIELDS.get(path) or KNOBS.get(path)
        if meaning is None:
            raise SystemExit(f"docs/generate.py: say in TARGET_FIELDS what {path} is")
        yield f"`{path}`", _takes(schema["properties"][name], schema), default, meaning
        if below is not None:
            yield from _fields(below, (*above, name))


def _takes(of: dict[str, Any], schema: dict[str, Any]) -> str:
    kinds = [kind for kind in of.get("anyOf", [of]) if kind.get("type") != "null"]
    return " or ".join(dict.fromkeys(_kind(kind, schema) for kind in kinds))


def _kind(of: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in of:
        return _kind(schema["$defs"][of["$ref"].rsplit("/", 1)[1]], schema)
    if "const" in of:
        return f"`{str(of['const']).lower()}`"
    if of.get("type") == "object":
        inner = of.get("additionalProperties")
        return f"a mapping to {_kind(inner, schema)}" if isinstance(inner, dict) else "a mapping"
    if of.get("type") == "array":
        return "a list of texts"
    word = {"number": "number", "integer": "whole number", "string": "text"}[of["type"]]
    low, high = of.get("minimum", of.get("exclusiveMinimum")), of.get("maximum", of.get("exclusiveMaximum"))
    if low is not None and high is not None and high < 2**60:
        return f"{word}, {low:g} to {high:g}"
    return f"{word}, {'above' if 'exclusiveMinimum' in of else 'from'} {low:g}" if low is not None else word


# Tables and views --------------------------------------------------------------------------------------------


def _tables() -> str:
    from tags_assets.assets.catalogue import GRAINS, TABLES
    from tags_assets.graph.definitions import defs

    defs().resolve_asset_graph()
    out = [
        MADE + "# Tables and views",
        "What `HOME/warehouse.duckdb` shows: every asset as a table under its own name, its further tables as `<asset>_<table>`, all "
        "past versions as `<asset>_history` with a column `data_version`, and the views that explain a selection. Ten queries "
        "that use them are in [queries.md](../queries.md).",
    ]
    for group in ("knowledge", "scoring", "sampling"):
        out.append(f"## Assets: {group}")
        for asset, (of, grain) in GRAINS.items():
            if of != group or asset not in TABLES:
                continue
            tables = TABLES[asset]
            out += [f"### {asset}", grain, _columns(asset, tables.data)]
            for name, columns in tables.auxiliary.items():
                further = f"{asset}_{name}"
                out += [f"`{further}`: {FURTHER_TABLES[further]}", _columns(further, columns)]
    out += ["## Views", "Made from `sql/lineage/`; `tags-assets describe why_selected` shows the same."]
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder))
        Warehouse(store).publish(TABLES)
        with Warehouse(store).open() as connection:
            for name in sorted(sql_names("lineage")):
                view = name.rsplit("/", 1)[1]
                described = connection.execute(f"describe {view}").fetchall()
                columns = {row[0]: row[1] for row in described}
                out += [f"### {view}", _comment(load_sql(name)), _columns(view, columns)]
    return "\n\n".join(out) + "\n"


def _columns(table: str, schema: Mapping[str, object]) -> str:
    rows = [(f"`{name}`", str(kind).lower(), meaning(table, name)) for name, kind in schema.items()]
    return _table(("column", "type", "meaning"), rows)


def _comment(sql: str) -> str:
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)


# Configuration -----------------------------------------------------------------------------------------------


def _configuration() -> str:
    from tags_assets.llm.settings import ModelSettings, Price

    variables = [(f"`{name}`", text) for name, text in ENVIRONMENT.items()]
    return (
        "\n\n".join(
            [
                MADE + "# Configuration",
                "Nothing has to be configured. What the command line is told is kept in the home, so that the UI, the sensors and the next "
                "command agree.",
                "## Environment",
                _table(("variable", "meaning"), variables),
                "## A pool",
                "`HOME/pools/NAME.yaml`; the options of `tags-assets select` write it. `HOME/pools/active` names the pool that is read.",
                _table(("field", "takes", "default", "meaning"), _described(home.PoolSettings)),
                "## Targets named on the command line",
                "`HOME/targets.yaml`: name to file and budget. Files in `targets/` need not be named.",
                _table(("field", "takes", "default", "meaning"), _described(home.TargetEntry)),
                "## The language model",
                "Each is set by `--llm NAME=VALUE` and kept in the pool's `llm` field.",
                _table(("setting", "takes", "default", "meaning"), _described(ModelSettings)),
                "A `price` has these fields:",
                _table(("setting", "takes", "default", "meaning"), _described(Price)),
                "## Dagster",
                "`HOME/dagster/dagster.yaml` is written once and is yours to edit:",
                f"```yaml\n{_dagster_yaml()}```",
                "## Export formats",
                "`tags-assets export --format`: "
                + ", ".join(f"`{name}`" for name in FORMATS)
                + ". [What each is](../exports.md).",
            ]
        )
        + "\n"
    )


def _described(model: Any) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        yield (
            f"`{name}`",
            _annotation(field.annotation),
            _default(field),
            (field.description or "").replace("``", "`"),
        )


def _default(field: Any) -> str:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    empty = default is None or default in ({}, []) or isinstance(default, BaseModel)
    return "required" if field.is_required() else "" if empty else f"`{default}`"


def _annotation(kind: Any) -> str:
    if get_origin(kind) in {UnionType, Union}:  # bounds are said by the meaning
        bare = [get_args(part)[0] if get_origin(part) is Annotated else part for part in get_args(kind)]
        kind = functools.reduce(operator.or_, bare)
    values = get_args(kind)
    if values and all(isinstance(value, str) for value in values):
        return " or ".join(f"`{value}`" for value in values)
    text = kind.__name__ if isinstance(kind, type) and not values else str(kind)
    text = re.sub(r"[a-z_]+(\.[a-z_]+)*\.(?=[A-Z])|typing\.", "", text).replace(" | None", "")
    text = re.sub(r"Literal\[([^]]*)\]", lambda found: found[1].replace("'", "`").replace(", ", " or "), text)
    for name, word in (
        ("int", "whole number"),
        ("float", "number"),
        ("str", "text"),
        ("bool", "true or false"),
    ):
        text = re.sub(rf"\b{name}\b", word, text)
    text = re.sub(r"(?:Optional|Annotated)\[(.*)\]", r"\1", text).replace("|", "or")
    text = re.sub(r"(?:dict|Mapping)\[text, (.*)\]", r"a mapping to \1", text)
    return re.sub(r"list\[text\]", "a list of texts", text).replace("Any", "anything").replace("Path", "path")


def _dagster_yaml() -> str:
    from tags_assets.graph.instance import DAGSTER_YAML

    return DAGSTER_YAML.strip() + "\n"


# The Python API ----------------------------------------------------------------------------------------------


def _python() -> str:
    out = [MADE + "# Python API", "`from tags_assets import ...`. [A tour with real output](../python.md)."]
    for name in (name for name in tags_assets.__all__ if name != "__version__"):
        function = getattr(tags_assets, name)
        signature = str(inspect.signature(function)).replace("'", "")
        signature = re.sub(r"\bpl\.", "polars.", signature)
        out += [f"## {name}", f"```text\n{name}{signature}\n```", _docstring(inspect.getdoc(function) or "")]
    return "\n\n".join(out) + "\n"


def _docstring(text: str) -> str:
    """Turn a docstring in numpy's layout into Markdown."""
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    head, *sections = re.split(r"\n\n(?=(?:Parameters|Returns|Raises)\n-+\n)", text)
    out = [" ".join(part.split()) for part in head.split("\n\n")]
    for section in sections:
        title, _, body = section.partition("\n")
        body = body.split("\n", 1)[1]
        body, *after = body.split("\n\n")
        entries = re.findall(r"^(\S[^\n]*)\n((?:[ ]{4}[^\n]*\n?)+)", body, re.MULTILINE)
        out.append(_table((title.lower(), ""), [(f"`{a}`", " ".join(b.split())) for a, b in entries]))
        out += [" ".join(part.split()) for part in after]
    return "\n\n".join(out)


# The picture of the graph ------------------------------------------------------------------------------------


def picture() -> str:
    """Draw the graph as Mermaid, without the arrows that follow from others."""
    from tags_assets.assets.catalogue import GRAINS
    from tags_assets.graph.definitions import defs

    graph = defs().resolve_asset_graph()
    parents = {
        node.key.to_user_string(): {key.to_user_string() for key in node.parent_keys}
        for node in graph.asset_nodes
    }
    titles = {"knowledge": "knowledge", "scoring": "scoring", "sampling": "sampling, per target"}
    out = ["```mermaid", "flowchart LR"]
    for group, title in titles.items():
        out.append(f'  subgraph {group}["{title}"]')
        names = [name for name, (of, _) in GRAINS.items() if of == group and name in parents]
        out += [f"    {name}([{name}])" if name == "landing" else f"    {name}" for name in names]
        out.append("  end")
    out += [
        f"  {a} --> {b}" for b in GRAINS if b in parents for a in GRAINS if a in reduced(parents).get(b, ())
    ]
    return "\n".join([*out, "```", ""])


def reduced(parents: dict[str, set[str]]) -> dict[str, set[str]]:
    """Take away each arrow that a longer way says as well."""
    above: dict[str, set[str]] = {}

    def all_above(name: str) -> set[str]:
        if name not in above:
            direct = parents.get(name, set())
            above[name] = direct.union(*(all_above(one) for one in direct))
        return above[name]

    return {
        name: {one for one in direct if not any(one in all_above(other) for other in direct if other != one)}
        for name, direct in parents.items()
    }


# Markdown ----------------------------------------------------------------------------------------------------


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _plain(text: str | None) -> str:
    """Put every paragraph on one line, and take typer's own sections away."""
    text = re.sub(r"\nExamples\n-+\n", "\nExamples:\n", inspect.cleandoc(text or ""))
    text = text.replace("[default: ", "[Default: ").replace("\x08", "")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")).replace(
        "Examples: -", "Examples:\n\n-"
    )


def _first(text: str | None) -> str:
    return _plain(text).split("\n\n")[0]


def main() -> None:
    """Write what is stale; with ``--check`` only say what is, and fail."""
    check = "--check" in sys.argv[1:]
    stale = [
        (path, text)
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{'stale' if check else 'written'}: {path.relative_to(DOCS.parent)}\n")
    if check and stale:
        raise SystemExit("To fix it: make docs")


if __name__ == "__main__":
    main()
