"""Explanations as a terminal shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tags_assets.errors import printable
from tags_assets.selection.inferred import SHOWN_FROM
from tags_assets.terminal_text import short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.explanation import Explanation, NodeExplanation

PARTS_SHOWN = 10

TOO_SMALL = f"in a pool of under {SHOWN_FROM:,} rows they say little"


def row_text(one: Explanation) -> str:
    """Tell one row's story: what became of it, its tags, what each concept gave, its quality, its rivals."""
    return printable("\n".join([*_head(one), *_tags(one), *_parts(one), *_quality(one), *_rivals(one)]))


def node_text(one: NodeExplanation) -> str:
    """Tell what a node or a tag brought in, target by target."""
    out = [
        f"{one.name}  ({one.kind} {one.key})" if one.kind == "node" else f"{one.name}  (tag)",
        f"  {one.path}",
        "",
    ]
    out += [
        f"{total['target']}: {total['rows']:,} rows, {total['share']:.2%} of the whole gain"
        for total in one.totals.iter_rows(named=True)
    ]
    shown, hidden = _shown(one.rows, one.shows_inferred)
    if not one.rows.is_empty():
        out += ["", "   amount  of its gain  row"]
        out += [
            f"{row['amount']:>9.4g}  {_of(row['share_of_gain']):>11}  {row['target']} {row['rank']:,}: "
            f"{row['id'] or row['instance_id']}{_mark(row)}  {short(row['prompt'], 90)}"
            for row in shown.iter_rows(named=True)
        ]
        out += _rest(hidden, _amount(hidden))
    return printable("\n".join(out))


def _head(one: Explanation) -> list[str]:
    row = one.row
    name = row.get("id") or row.get("instance_id") or "A line"
    source = f", {row['source']}" if row.get("source") else ""
    out = [
        f"{name}  ({row.get('file')}:{row.get('line')}{source})",
        f"{'SELECTED' if one.selected else 'NOT SELECTED'} for {one.target}. {one.reason}",
    ]
    if row.get("prompt"):
        out += ["", f"  {short(str(row['prompt']), 160)}", f"  → {short(str(row.get('response')), 160)}"]
    return out


def _tags(one: Explanation) -> list[str]:
    if one.tags.is_empty():
        return []
    out = ["", "Tags"]
    shown, hidden = _shown(one.tags, one.shows_inferred)
    for tag in shown.iter_rows(named=True):
        said = f", said as {', '.join(tag['given_as'])}" if tag["given_as"] not in ([], [tag["tag"]]) else ""
        origin = "inferred" if tag["inferred"] else tag["origin"]
        out.append(f"  {tag['weight']:>6.1%}  {tag['tag']} ({origin}{said})  in {_end(tag['path'])}")
    return out + _rest(hidden, f"{hidden['weight'].sum():>8.1%}")


def _parts(one: Explanation) -> list[str]:
    if one.parts.is_empty():
        return []
    out = ["", "What it added, by concept (gain + closeness + coverage + text)"]
    parts, hidden = _shown(one.parts, one.shows_inferred)
    for part in parts.head(PARTS_SHOWN).iter_rows(named=True):
        four = " + ".join(f"{part[name]:.3g}" for name in ("gain", "closeness", "coverage", "text"))
        out.append(
            f"  {part['amount']:>9.4g}  {_of(part['share_of_gain']):>6}  {_end(part['path'])}{_mark(part)}  "
            f"({four})"
        )
    if parts.height > PARTS_SHOWN:
        rest = parts["amount"][PARTS_SHOWN:].sum()
        out.append(f"  {rest:>9.4g}          {parts.height - PARTS_SHOWN} more")
    out += _rest(hidden, _amount(hidden))
    tags, hidden = _shown(one.tag_shares, one.shows_inferred)
    out += ["", "The same, by tag"]
    out += [
        f"  {tag['amount']:>9.4g}  {_of(tag['share_of_gain']):>6}  {tag['tag'] or '(no tag)'}{_mark(tag)}"
        for tag in tags.iter_rows(named=True)
    ]
    return out + _rest(hidden, _amount(hidden))


def _shown(frame: pl.DataFrame, with_inferred: bool) -> tuple[pl.DataFrame, pl.DataFrame]:  # noqa: FBT001
    """What is shown, and what is left out: inferred concepts, in a pool too small for them."""
    if with_inferred:
        return frame, frame.clear()
    return frame.filter(~pl.col("inferred")), frame.filter("inferred")


def _mark(row: Mapping[str, object]) -> str:
    return " (inferred)" if row["inferred"] else ""


def _amount(hidden: pl.DataFrame) -> str:
    return f"  {hidden['amount'].sum():>9.4g}  {_of(float(hidden['share_of_gain'].sum())):>6}"


def _rest(hidden: pl.DataFrame, amount: str) -> list[str]:
    """Say how much is left out, so that what is listed still adds up."""
    if hidden.is_empty():
        return []
    return [f"{amount}  {hidden.height} inferred, not shown: {TOO_SMALL}"]


def _quality(one: Explanation) -> list[str]:
    if not one.quality:
        return []
    terms = ", ".join(
        f"{term} {_number(value)}"
        for term, value in one.quality.items()
        if value is not None and term != "quality"
    )
    return ["", f"Quality {_number(one.quality.get('quality'))}", f"  {terms}"]


def _rivals(one: Explanation) -> list[str]:
    if one.rivals.is_empty():
        return []
    out: list[str] = []
    picked = pl.col("rival_rank").is_not_null()
    for heading, some in (
        ("Picks that share concepts with it", one.rivals.filter(picked)),
        ("Rows that share concepts with it and were not picked", one.rivals.filter(~picked)),
    ):
        if some.is_empty():
            continue
        out += ["", heading]
        for rival in some.iter_rows(named=True):
            place = f"pick {rival['rival_rank']:,}, " if rival["rival_rank"] is not None else ""
            out.append(
                f"  {rival['overlap']:>5.0%} shared  {rival['rival_name'] or rival['rival_id']}  "
                f"({place}quality {_number(rival['rival_quality'])}, {rival['rival_source']})"
            )
    return out


def _end(path: str) -> str:
    """Shorten a path to its last two steps: a whole one is wider than a terminal."""
    steps = path.split(" > ")
    return " > ".join(["…", *steps[-2:]] if len(steps) > 2 else steps)


def _of(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "unknown" if value is None else str(value)
