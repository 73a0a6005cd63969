"""What an asset's page in the UI shows beside its numbers: Markdown, tables, and places on the disk."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, final

import dagster as dg

from tags_assets.text import clipped

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

_CELL_CHARS = 160
# A word of a table that may be broken, for one long word widens the whole page.
_LONG_WORD, _PIECE = re.compile(r"\S{21,}"), re.compile(r"\S{1,20}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

TREE_WIDTH = 40
"""Characters of a name in `drawn_tree`, its indentation included: what a laptop's window has room for."""


@final
class Table(TypedDict):
    """A table, as it is stored with the version."""

    columns: list[str]
    rows: list[list[str]]
    more: int


@final
class Place(TypedDict):
    """A file or folder, relative to the home."""

    path: str


Preview: TypeAlias = "str | Table | Place"
"""Markdown, a table, or a place."""


def table(frame: pl.DataFrame, rows: int = 20) -> Table:
    """Keep the first rows of a frame, written as a person reads them."""
    shown = [[cell(value) for value in row] for row in frame.head(rows).iter_rows()]
    return {"columns": frame.columns, "rows": shown, "more": max(len(frame) - rows, 0)}


def place(path: Path, home: Path) -> Place:
    """Name a file or folder of the home, so that a moved home shows where it is now."""
    return {"path": str(path.relative_to(home))}


def as_metadata(preview: Preview, home: Path | None = None) -> dg.MetadataValue[Any]:
    """Make of a stored preview what Dagster shows."""
    if isinstance(preview, str):
        return dg.MetadataValue.md(preview)
    if "path" in preview:
        return dg.MetadataValue.path(str(home / preview["path"]) if home else preview["path"])
    columns = preview["columns"]
    if not preview["rows"]:
        return dg.MetadataValue.md("_none_")
    records = [dict(zip(columns, row, strict=True)) for row in preview["rows"]]
    if preview["more"]:
        records.append(dict.fromkeys(columns, "") | {columns[0]: f"… {preview['more']:,} more"})
    return dg.MetadataValue.table(
        [dg.TableRecord(record) for record in records],
        schema=dg.TableSchema([dg.TableColumn(column, "string") for column in columns]),
    )


def drawn_tree(nodes: pl.DataFrame, levels: int = 2, most: int = 8) -> str:
    """Draw the top of a knowledge tree as text, in a Markdown block.

    Parameters
    ----------
    nodes
        ``node_id, parent_id, name, n_tags``.
    levels
        How many below the root.
    most
        Children of a node that are drawn, the largest first; the others are counted.
    """
    below: dict[str | None, list[tuple[str, str, int]]] = {}
    ordered = nodes.select("parent_id", "node_id", "name", "n_tags").sort(
        ["n_tags", "node_id"], descending=[True, False]
    )
    for parent, node, name, n_tags in ordered.iter_rows():
        below.setdefault(parent, []).append((node, name, n_tags))
    lines: list[str] = []

    def draw(parent: str, stem: str, depth: int) -> None:
        children = below.get(parent, [])
        drawn = children[:most]
        for i, (node, name, n_tags) in enumerate(drawn):
            last = i == len(drawn) - 1 and len(children) <= most
            lines.append(f"{_fitted(stem + ('└ ' if last else '├ ') + _line(name))} {n_tags:,}")
            if depth < levels:
                draw(node, stem + ("  " if last else "│ "), depth + 1)
        if len(children) > most:
            lines.append(f"{stem}└ {len(children) - most} more")

    for root, name, n_tags in below.get(None, []):
        lines.append(f"{_fitted(_line(name))} {n_tags:,} tags")
        draw(root, "", 1)
    return "\n".join(["```", *lines, "```"])


def cell(value: object) -> str:
    """Write a value for a table: thousands set apart, four digits that count, one line of a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = clipped(" ".join(_CONTROL.sub(" ", text).split()), _CELL_CHARS)
    return _LONG_WORD.sub(lambda word: "\u200b".join(_PIECE.findall(word[0])), text)


def escaped(text: str) -> str:
    """Write text of the data so that Markdown reads nothing into it."""
    return re.sub(r"([\\`*_{}\[\]<>|!#~])", r"\\\1", " ".join(text.split()))


def _line(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


def _fitted(text: str) -> str:
    return clipped(text, TREE_WIDTH).ljust(TREE_WIDTH)
