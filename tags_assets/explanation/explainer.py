"""Why a row is selected or not, and what a concept contributed, from stored artifacts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import polars as pl

from tags_assets.errors import InvalidInputError, NotFoundError, UserError
from tags_assets.explanation.explanation import Explanation, NodeExplanation
from tags_assets.explanation.lineage import Lineage
from tags_assets.selection.inferred import shows_inferred
from tags_assets.text import clipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.store.artifacts import ArtifactStore

RIVALS_LOOKED_AT = 400
"""Maximum number of rows with shared concepts to count; beyond it the text says "hundreds"."""

SHARED = 0.25
"""Minimum overlap at which a selected row covers another row's concepts."""

SNIPPET = 300
"""Characters of a row's texts that an explanation carries."""


def explain_row(
    store: ArtifactStore, row: str, target: str, *, data_version: str | None = None
) -> Explanation:
    """Explain why a row is in a target's selection, or why it is not.

    Parameters
    ----------
    store
        The store of artifacts.
    row
        Its ``instance_id``, its own ``id``, or ``FILE:LINE`` (which finds rejected lines as well).
    target
        The target's name; ``pool`` for the selection from the pool itself.
    data_version
        Of ``selected_subset``, for a selection of the past; the current one unless said.

    Raises
    ------
    UserError
        For a row or a target that does not exist (with the nearest that do), and for an ``id`` that several
        rows have.
    """
    lineage = Lineage.of(store, target, data_version, attributed=True)
    found = _find_row(lineage, row)
    one = Explanation(
        target=target,
        selected=False,
        why="rejected",
        reason=f"It could not be read: {found.pop('reason', '')}.",
        row=found,
        n_selected=lineage.selection.rows,
        shows_inferred=_shows_inferred(lineage),
        versions={asset: version.data_version for asset, version in sorted(lineage.versions.items())},
    )
    if found["instance_id"] is None:
        return one
    this = {"instance_id": found["instance_id"]}
    this_here = this | {"target": target}
    scores = lineage.ask("select * from instance_scores where instance_id = $instance_id", this)
    rivals = lineage.ask("explain/rivals", this_here | {"most": RIVALS_LOOKED_AT})
    one = replace(
        one,
        tags=lineage.ask("explain/tags", this),
        quality={} if scores.is_empty() else scores.drop("instance_id").row(0, named=True),
        rivals=_nearest(rivals),
    )
    picked = lineage.ask("select rank, gain from selected_subset where instance_id = $instance_id", this)
    if picked.is_empty():
        return _not_selected(lineage, one, this_here, rivals)
    rank, gain = picked.row(0)
    return replace(
        one,
        selected=True,
        why="selected",
        reason=f"It is pick {rank:,} of {one.n_selected:,} and adds {gain:.4g} to the selection's value.",
        rank=rank,
        gain=gain,
        parts=lineage.ask("explain/parts", this_here),
        tag_shares=lineage.ask("explain/tag_shares", this_here),
    )


def why_node(
    store: ArtifactStore, node_or_tag: str, target: str | None = None, *, most: int = 50
) -> NodeExplanation:
    """List the selected rows to which a node of the tree, or a tag, contributed.

    Parameters
    ----------
    store
        The store of artifacts.
    node_or_tag
        A node's id, its path (``mathematics > algebra``), its name, or a canonical tag (or an alias of one).
        Case does not matter. If several nodes share a name, the highest one is used.
    target
        One target; all of them by default.
    most
        Rows to list.

    Raises
    ------
    UserError
        If the name is unknown (with similar names), or nothing has been selected yet.
    """
    names = (
        [target] if target is not None else [t for t in store.partitions("selected_subset") if t is not None]
    )
    if not names:
        raise NotFoundError(
            "nothing has been selected yet", where=str(store.home), fix="Run `tags-assets select` first."
        )
    lineages = [Lineage.of(store, name, attributed=True) for name in names]
    kind, key, name, path = _find_concept(lineages[0], node_or_tag)
    totals = [
        lineage.ask(f"explain/{kind}_total", {"key": key, "target": lineage.target}) for lineage in lineages
    ]
    rows = [lineage.ask(f"explain/{kind}_picks", {"key": key, "most": most}) for lineage in lineages]
    best = pl.concat(rows).sort(
        # Sums of floats differ in their last bits from run to run; the order must not.
        [pl.col("amount").round(9), "target", "rank"],
        descending=[True, False, False],
    )
    listed = best.head(most)
    prompts = [_said(messages, "user") for messages in listed["messages"].to_list()]
    return NodeExplanation(
        kind,
        key,
        name,
        path,
        pl.concat(totals).sort("share", descending=True),
        listed.drop("messages").with_columns(pl.Series("prompt", prompts, dtype=pl.String)),
        _shows_inferred(lineages[0]),
    )


def _shows_inferred(lineage: Lineage) -> bool:
    return shows_inferred(int(lineage.ask("select count(*) as rows from instance_scores")["rows"][0]))


def _find_row(lineage: Lineage, row: str) -> dict[str, object]:
    """Find the row that a name refers to, with the beginnings of its texts."""
    found = lineage.ask("explain/row_named", {"row": row})
    file, _, line = row.rpartition(":")
    if found.is_empty() and file and line.isdigit():
        place = {"file": file, "line": int(line)}
        found = lineage.ask("explain/row_at", place)
        if found.is_empty() and lineage.has("rejected_rows"):
            rejected = lineage.ask("explain/rejected_at", place)
            if not rejected.is_empty():
                return {"instance_id": None, "id": None} | rejected.row(0, named=True)
    if found.is_empty() and (rejected_row := _rejected_named(lineage, row)) is not None:
        return {"instance_id": None, "id": row} | rejected_row
    if found.is_empty():
        known = lineage.ask("select id from raw_instances where id is not null limit 20000")["id"].to_list()
        unknown = UserError.unknown("row", row, known, where="raw_instances")
        ways = "A row is named by its id, its instance_id, or FILE:LINE."
        raise NotFoundError(unknown.problem, where=unknown.where, fix=f"{unknown.fix} {ways}")
    exact = found.filter(pl.col("instance_id") == row)
    if found.height > 1 and exact.is_empty():
        raise InvalidInputError(
            f"{found.height if found.height < 6 else 'more than five'} rows have the id {row!r}",
            where="raw_instances",
            fix=f"Name one by its instance_id: {', '.join(found['instance_id'].head(5))}.",
        )
    one = (exact if not exact.is_empty() else found).row(0, named=True)
    messages = one.pop("messages")
    return one | {"prompt": _said(messages, "user"), "response": _said(messages, "assistant")}


def _rejected_named(lineage: Lineage, row: str) -> dict[str, object] | None:
    """Find a rejected row by its own id, which stands in its bytes as JSON or as the first cell."""
    if not lineage.has("rejected_rows"):
        return None
    rejected = lineage.ask("select file, line, reason, raw from rejected_rows")
    names = [orjson.dumps(row), *([row.encode()] if row.isdigit() else [])]
    ways = [key + name for name in names for key in (b'"id":', b'"id": ')]
    hit = pl.any_horizontal(pl.col("raw").bin.contains(way) for way in ways)
    hit |= pl.col("raw").bin.starts_with(row.encode() + b",")
    named = rejected.filter(hit).drop("raw")
    return None if named.is_empty() else named.row(0, named=True)


def _not_selected(
    lineage: Lineage, one: Explanation, this_here: Mapping[str, object], rivals: pl.DataFrame
) -> Explanation:
    told = lineage.ask("explain/why_not", this_here)
    why, detail = told.row(0)
    if why == "not_picked":
        would_add, reason = _lost(lineage, this_here, rivals.filter(pl.col("rival_rank").is_not_null()))
        return replace(one, why=why, reason=reason, would_add=would_add)
    reasons = {
        "duplicate": f"It is {detail}; only the first of these rows is eligible.",
        "near_duplicate": f"It is {detail}; only the first of these rows is eligible.",
        "filtered": f"One of your filters removed it ({detail}).",
        "excluded": f"The target's file excludes it: {detail}.",
        "below_min_quality": f"The target's file excludes it: {detail}.",
    }
    return replace(one, why=why, reason=reasons.get(why, f"It is not eligible: {detail}."))


def _lost(lineage: Lineage, params: Mapping[str, object], picked: pl.DataFrame) -> tuple[float | None, str]:
    """Explain why an eligible row was not picked."""
    said = []
    would_add = None
    if "runners_up" in lineage.selection.tables:
        close = lineage.ask(
            "select gain, beaten_by from selected_subset_runners_up where instance_id = $instance_id",
            {"instance_id": params["instance_id"]},
        )
        if not close.is_empty():
            would_add = float(close["gain"][0])
            said.append(
                f"It came close: it would add {would_add:.4g}; the last pick added {_last_gain(lineage):.4g}."
            )
    near = picked.filter(pl.col("overlap") >= SHARED)
    if near.is_empty():
        said.append(
            f"No pick shares {SHARED:.0%} of its concepts, so no row replaced it: its concepts count little "
            "for this target, or its quality is low."
        )
    else:
        n, best = near.height, near.row(0, named=True)
        name = best["rival_name"] or best["rival_id"]
        many = f"{n:,} picks" if n < RIVALS_LOOKED_AT else "Hundreds of picks"
        shares = f"at least {SHARED:.0%} of its concepts"
        which = f"pick {best['rival_rank']:,} ({name}), {best['overlap']:.0%} about the same"
        said.append(
            f"One pick shares {shares} and covers them already: {which}."
            if n == 1
            else f"{many} share {shares} and cover them already; the nearest is {which}."
        )
    return would_add, " ".join(said)


def _last_gain(lineage: Lineage) -> float:
    return float(lineage.ask("select gain from selected_subset order by rank desc limit 1")["gain"][0])


def _nearest(rivals: pl.DataFrame, n: int = 5) -> pl.DataFrame:
    """Keep the nearest picks and the nearest rows that were not picked."""
    picked = pl.col("rival_rank").is_not_null()
    near = rivals.sort(["overlap", "rival_rank", "rival_id"], descending=[True, False, False])
    return pl.concat([near.filter(picked).head(n), near.filter(~picked).head(n)])


def _find_concept(lineage: Lineage, name: str) -> tuple[str, str, str, str]:
    """Find the node or tag that a name refers to: kind, key, name, path."""
    node = lineage.ask("explain/node_named", {"name": name.strip()})
    if not node.is_empty():
        return ("node", *node.row(0))
    tag = lineage.ask("explain/tag_named", {"name": name.strip()})
    if not tag.is_empty():
        key, path = tag.row(0)
        return "tag", key, key, path
    known = lineage.ask("select name from knowledge_tree union select tag from knowledge_tree_tags")
    raise UserError.unknown("concept", name, known.to_series().drop_nulls().to_list(), where="knowledge_tree")


def _said(messages: list[dict[str, str]] | None, role: str) -> str:
    """Join what one side said, cut to `SNIPPET` characters."""
    text = "\n".join(turn["content"] or "" for turn in messages or [] if turn["role"] == role)
    return clipped(text, SNIPPET + 1)
