"""Explanations, and their text for a terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from tags_assets.errors import printable
from tags_assets.explanation.terminal_text import short, styled
from tags_assets.selection.inferred import SHOWN_FROM
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.text import Text

PARTS_SHOWN = 10

TOO_SMALL = f"unreliable in a pool of under {SHOWN_FROM:,} rows"


@dataclass(frozen=True, eq=False)
class Explanation:
    """Everything known about one row in one target's selection.

    Attributes
    ----------
    target
        The target's name.
    selected
        Whether the row is in.
    why
        ``selected``, or as in the view ``why_not_selected``: ``rejected``, ``filtered``, ``duplicate``,
        ``near_duplicate``, ``untagged``, ``not_eligible``, ``excluded``, ``below_min_quality``,
        ``not_picked``.
    reason
        The same in a sentence.
    row
        ``instance_id, id, source, file, line, language, prompt_tokens, response_tokens, prompt, response``
        (the texts cut).
    rank, gain
        Of a selected row; None otherwise.
    n_selected
        Rows selected in all.
    quality
        ``quality`` and every term of it, as ``instance_scores`` has them.
    tags
        ``tag, weight, origin, inferred, given_as, leaf_id, leaf, path``, by falling weight. ``inferred`` are
        concepts that the row does not name (origin ``assigned``).
    parts
        ``node_id, node, level, path, gain, closeness, coverage, text, amount, share_of_gain, inferred``: what
        each node on the way from the leaves to the root gave, by falling amount. The amounts add up to
        ``gain``. ``inferred``: most of the weight below the node is.
    tag_shares
        ``tag, inferred, amount, share_of_gain``: the same gain divided among the tags, by their weights.
    rivals
        ``rival_id, rival_name, rival_source, overlap, rival_quality, rival_rank, rival_gain``: rows about the
        same things, picked ones first.
    shows_inferred
        Whether inferred concepts mean enough to explain anything: not in a pool of under 5,000 rows, where
        the text leaves them out. The frames have them, marked.
    would_add
        What an unselected row would add to the selection now, where it came close enough to be recorded.
    versions
        Asset to the data version that this was read from.
    """

    target: str
    selected: bool
    why: str
    reason: str
    row: Mapping[str, object]
    n_selected: int
    rank: int | None = None
    gain: float | None = None
    quality: Mapping[str, object] = field(default_factory=dict)
    tags: pl.DataFrame = field(default_factory=pl.DataFrame)
    parts: pl.DataFrame = field(default_factory=pl.DataFrame)
    tag_shares: pl.DataFrame = field(default_factory=pl.DataFrame)
    rivals: pl.DataFrame = field(default_factory=pl.DataFrame)
    shows_inferred: bool = True
    would_add: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_text(self) -> str:
        """Write it for a terminal: plain text without control characters. Print it with markup switched
        off.
        """
        return row_text(self)

    def __str__(self) -> str:
        return self.to_text()

    def __rich__(self) -> Text:
        """Show it in a rich console: headings stand out, and text of rows is never read as markup."""
        return styled(self.to_text())


@dataclass(frozen=True, eq=False)
class NodeExplanation:
    """What a node of the tree, or a tag, contributed to the selections.

    Attributes
    ----------
    kind
        ``node`` or ``tag``.
    key
        The node's id, or the tag.
    name, path
        What a person reads, and where it hangs in the tree.
    totals
        ``target, rows, amount, share``: rows that it gave anything to, and its share of the whole gain, per
        target.
    rows
        ``target, rank, instance_id, id, source, amount, share_of_gain, inferred, prompt``, by falling amount.
        ``inferred``: the row does not name the concept; it was assigned by likeness.
    shows_inferred
        See `Explanation`.
    """

    kind: str
    key: str
    name: str
    path: str
    totals: pl.DataFrame
    rows: pl.DataFrame
    shows_inferred: bool = True

    def to_text(self) -> str:
        """Write it for a terminal; see `Explanation.to_text`."""
        return node_text(self)

    def __str__(self) -> str:
        return self.to_text()

    def __rich__(self) -> Text:
        return styled(self.to_text())


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
        f"{total['target']}: {counted(total['rows'], 'row')}, {total['share']:.2%} of the total gain"
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
        ("Selected rows with shared concepts", one.rivals.filter(picked)),
        ("Other rows with shared concepts", one.rivals.filter(~picked)),
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
