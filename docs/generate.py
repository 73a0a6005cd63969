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
import polars as pl
import typer
from pydantic import BaseModel

import tags_assets
from tags_assets.commands import cli
from tags_assets.explanation.knobs import KNOBS
from tags_assets.formats.export import FORMATS
from tags_assets.settings import home, target_file
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.columns import VIEWS, meaning
from tags_assets.store.sql import load_sql, sql_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


DOCS = Path(__file__).resolve().parent
MADE = "<!-- Made from the code by `make docs`: edit the code, not this page. -->\n\n"
GRAPH = re.compile(r"(<!-- graph: made by `make docs` -->\n).*?(<!-- graph: end -->)", re.DOTALL)

ENVIRONMENT = {
    "TAGS_HOME": "Folder of artifacts, caches and Dagster's state; `--home` overrides it. Default `.tags`.",
    "TAGS_POOL": "Name of the pool. Default: the one named last on the command line.",
    "TAGS_TARGETS": "Folder of the target files. Default `targets`.",
    "TAGS_ALARM_WEBHOOK": "Address of a webhook, such as Slack's, for failed runs and checks. Never stored or shown.",
    "TAGS_DEBUG": "Any value: errors show their traceback instead of one line.",
    "OPENAI_BASE_URL": "Address of the language model's server, such as `http://127.0.0.1:8000/v1`.",
    "OPENAI_API_KEY": "Its key. A server on this machine or network needs none. Never stored, hashed or shown.",
    "DAGSTER_HOME": "Set by `tags-assets` to `HOME/dagster`; by `make` to the checkout, for Dagster's own commands.",
    "DAGSTER_DISABLE_TELEMETRY": "Set to 1 by `tags-assets` and `make`: Dagster sends nothing.",
}
"""Variables that a user may set; `tags_assets_tests/docs` compares them with those that the code reads."""

TARGET_FIELDS = {
    "budget": "How much to select, as a mapping or as text: `5%`, `5000`, `2Mtok`.",
    "budget.fraction": "Share of the eligible rows, above 0, at most 1; rounded down to whole rows.",
    "budget.rows": "Number of rows, at least 1.",
    "budget.tokens": "Maximum number of tokens, prompts and responses together ([how they are counted](../input.md#what-is-recorded-for-each-row)).",
    "alignment": "From 0 (information gain alone) to 1 (the target alone).",
    "alignment.max_kl": "Instead of a number: use the smallest alignment that keeps the KL to the target below this, in nats.",
    "breadth": "Within alignment: 0 selects the rows most typical of the target; higher values cover more of its concepts.",
    "text_share": "Weight of the row's whole text in its closeness to the target, 0 to 1; the rest is the weight of its concepts.",
    "target": "What to select: one of the four below. `target: pool` means the pool itself.",
    "target.examples": "File of example rows in any layout that a pool may have; 20 to 50 rows are best. "
    "A relative path starts at the folder of the target's file.",
    "target.weights": "Relative weights of tree nodes, named by path or id. Other words stand for the nearest concept, and a node of an earlier tree for the node that has its tags now; a note says so.",
    "target.description": "A description in words that name the concepts.",
    "target.pool": "The pool itself: cover as much of it as possible.",
    "constraints": "Conditions that every selection must meet.",
    "constraints.max_share": "For a column and a value, the maximum share of the budget, 0 to 1. A single number applies to each value: `{template: 0.1}` caps rows whose prompts start with the same seven words.",
    "constraints.min_share": "For a column and a value, the minimum share of the budget, 0 to 1.",
    "constraints.include": "Rows to select in any case, by `id` or `instance_id`.",
    "constraints.exclude": "Rows to leave out.",
    "constraints.exclude.where": "An SQL condition on the columns of the rows.",
    "min_quality": "Minimum quality of a row, 0 to 1. Rows in `include` are exempt.",
    "seed": "Decides the order of rows with exactly equal gain.",
    "certificate": "Share of the optimum to prove, at most 1, such as 0.999. If greedy selection does not reach it, rows are exchanged and the bound is tightened.",
    "stability": "Bonus for rows of the previous selection, as a fraction of an average pick's gain, 0 to 1. Fewer rows change.",
    "limits": "Limits of the checks of this target's selection; they override those of the pool: `certificate`, `certificate_small`, `kl_above_floor`, `kl_above_random`, `blocking` ([operations](../operations.md)).",
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
        "`tags-assets COMMAND --help` shows the same. Exit code 0 means success; an error is one line on stderr and "
        "exit code 1; Ctrl-C gives 130, and finished results are kept.",
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
                "Each target is one YAML file in `targets/`, named after the target. [How to write one](../targets.md). Only `target` is "
                "required. Unknown fields, duplicate fields and empty fields are errors that name the file and the line.",
                _table(("field", "takes", "default", "meaning"), rows),
                "## An example",
                f"`targets/grade_school_math.yaml` of the checkout:\n\n```yaml\n{example}```",
                "## Knobs",
                "The settings that `tags-assets what-if` and [the Python API](../python.md) can change. An empty value resets a knob to "
                "its default.",
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
    from tags_assets.assets.registry import declarations, tables

    out = [
        MADE + "# Tables and views",
        "`HOME/warehouse.duckdb` contains every asset as a table under its own name, its further tables as `<asset>_<table>`, all "
        "past versions as `<asset>_history` with a column `data_version`, and views that explain a selection. "
        "[Ten queries](../queries.md) use them.",
    ]
    for group in ("knowledge", "scoring", "sampling"):
        out.append(f"## Assets: {group}")
        for asset, one in declarations().items():
            if one.group != group or one.schema is None:
                continue
            out += [f"### {asset}", one.grain, _columns(pl.Schema(one.schema), one.meanings)]
            for name, table in one.tables.items():
                out += [f"`{asset}_{name}`: {table.grain}", _columns(pl.Schema(table.schema), table.meanings)]
    out += ["## Views", "Made from `sql/lineage/`; `tags-assets describe why_selected` shows the same."]
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(Path(folder))
        Warehouse(store).publish(tables())
        with Warehouse(store).open() as connection:
            for name in sorted(sql_names("lineage")):
                view = name.rsplit("/", 1)[1]
                described = connection.execute(f"describe {view}").fetchall()
                columns = {row[0]: row[1] for row in described}
                out += [f"### {view}", _comment(load_sql(name)), _columns(columns, VIEWS.get(view, {}))]
    return "\n\n".join(out) + "\n"


def _columns(schema: Mapping[str, object], own: Mapping[str, str]) -> str:
    rows = [(f"`{name}`", str(kind).lower(), meaning(name, own)) for name, kind in schema.items()]
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
                "All settings have defaults. The home remembers the settings that you give on the command line, also for the UI, the "
                "sensors and the next command.",
                "## Environment",
                _table(("variable", "meaning"), variables),
                "## A pool",
                "`HOME/pools/NAME.yaml`, written by the options of `tags-assets select`. `HOME/pools/active` contains the name of the current pool.",
                _table(("field", "takes", "default", "meaning"), _described(home.PoolSettings)),
                "## Targets named on the command line",
                "`HOME/targets.yaml` maps names to files and budgets. Files in `targets/` need no entry.",
                _table(("field", "takes", "default", "meaning"), _described(home.TargetEntry)),
                "## The language model",
                "Set each with `--llm NAME=VALUE`. The pool's `llm` field remembers it.",
                _table(("setting", "takes", "default", "meaning"), _described(ModelSettings)),
                "A `price` has these fields:",
                _table(("setting", "takes", "default", "meaning"), _described(Price)),
                "## Dagster",
                "The first run writes `HOME/dagster/dagster.yaml`; you can edit it:",
                f"```yaml\n{_dagster_yaml()}```",
                "## Export formats",
                "`tags-assets export --format`: "
                + ", ".join(f"`{name}`" for name in FORMATS)
                + ". [Details](../exports.md).",
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
    out = [MADE + "# Python API", "`from tags_assets import ...`. [Examples with real output](../python.md)."]
    exports = {name: getattr(tags_assets, name) for name in tags_assets.__all__ if name != "__version__"}
    errors = [(f"`{name}`", inspect.getdoc(of) or "") for name, of in exports.items() if inspect.isclass(of)]
    out.append(_table(("error", ""), [(name, text.split("\n")[0]) for name, text in errors]))
    for name, function in exports.items():
        if inspect.isclass(function):
            continue
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
    from tags_assets.assets.registry import declarations, parents

    above = {name: set(parents(name)) for name in declarations()}
    titles = {"knowledge": "knowledge", "scoring": "scoring", "sampling": "sampling, per target"}
    out = ["```mermaid", "flowchart LR"]
    for group, title in titles.items():
        out.append(f'  subgraph {group}["{title}"]')
        names = [name for name, one in declarations().items() if one.group == group]
        out += [f"    {name}([{name}])" if name == "landing" else f"    {name}" for name in names]
        out.append("  end")
    drawn = reduced(above)
    out += [f"  {a} --> {b}" for b in drawn for a in above if a in drawn[b]]
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
