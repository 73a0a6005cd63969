"""What each asset's page answers first: a sentence, a picture, and the rows that a person would ask for next.

Those of the assets that belong to a target are in `target_pages`.

Everything here is for reading. It is stored with the version, and no other asset is made from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tags_assets.assets import pictures
from tags_assets.assets.previews import drawn_tree, escaped, table
from tags_assets.formats.conversation import texts
from tags_assets.formats.traits import TRAITS
from tags_assets.llm.rating import RESPONSE_DIMENSIONS
from tags_assets.report.charts import last_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tags_assets.assets.previews import Preview
    from tags_assets.assets.versioned import Inputs
    from tags_assets.formats.pool import PoolRead

Page = dict[str, "Preview"]

SAID_CHARS = 64
"""Characters of a row's text in a table."""

ALL_READ = "Every line could be read."
EXAMPLES = 8
OF_EACH = 3
"""Rows shown of each reason or rule: the first of all would often be of one."""
BARS = 24


def raw_instances(read: PoolRead, unread: Sequence[str] = ()) -> Page:
    """Say what came in, what was rejected and why, and what lies among the files and is not read."""
    counts = read.counts
    fates = counts.select(
        "file", rows="rows_in", kept="rows_kept", duplicate="rows_duplicate", rejected="rows_rejected"
    )
    lost = [
        f"**{rows:,}** {words}"
        for rows, words in (
            (read.rows_duplicate, "are duplicates or near-duplicates"),
            (read.rows_rejected, "could not be read"),
        )
        if rows
    ]
    files = _counted(len(counts), "file")
    return {
        "what_came_in": f"**{read.rows_in:,}** rows came in from {files}: **{read.rows_kept:,}** are kept, "
        f"{' and '.join(lost) if lost else 'none was lost'}.",
        "what_rows_hold": table(_traits(read)),
        **({"fields_not_used": table(_unused(read))} if read.unused else {}),
        "files_read": table(fates),
        **({"files_not_read": "\n".join(f"- {escaped(line)}" for line in unread)} if unread else {}),
        "why_rejected": table(_reasons(read.rejected)) if read.rows_rejected else ALL_READ,
    }


def _traits(read: PoolRead) -> pl.DataFrame:
    """List the layouts that came in, and what rows hold beyond a conversation of text."""
    traits = read.traits
    rows = [(name, rows) for name, rows in sorted(traits.items()) if name.startswith("layout ")]
    rows += [(words, traits[name]) for name, words in TRAITS.items() if name in traits]
    return pl.DataFrame(rows, schema=["what", "rows"], orient="row")


def _unused(read: PoolRead) -> pl.DataFrame:
    return pl.DataFrame(list(read.unused.items()), schema=["field", "rows"], orient="row")


def rejected_rows(read: PoolRead) -> Page:
    """Say how much was lost and why, and show the first lines of each reason with what stands there."""
    rejected = read.rejected
    if rejected.is_empty():
        return {"what_was_lost": ALL_READ}
    files = rejected["file"].n_unique()
    stands = pl.col("raw").map_elements(lambda raw: raw[:SAID_CHARS].decode(errors="replace"), pl.String)
    first = rejected.filter(pl.int_range(pl.len()).over(_kind_of_reason()) < OF_EACH)
    return {
        "what_was_lost": f"**{len(rejected):,}** of {_counted(read.rows_in, 'row')} could not be read, "
        f"in {files:,} of {_counted(read.n_files, 'file')}. Fix the lines and the next run reads them; "
        "the rest goes on without.",
        "why": table(_reasons(rejected)),
        "first_of_each": table(
            first.select(pl.format("{}:{}", "file", "line").alias("at"), "reason", stands), EXAMPLES * 2
        ),
    }


def filtered_rows(
    inputs: Inputs,
    removed: pl.DataFrame,
    filters: Mapping[str, str],
    personal: pl.DataFrame,
    *,
    rows: int,
) -> Page:
    """Say how many rows the rules took out, which rule how many, and show some of each.

    Parameters
    ----------
    inputs
        To read the texts of a few rows from.
    removed
        ``instance_id, rule, detail``.
    filters
        Rule to what it says, as the pool's settings have it.
    personal
        ``kind, rows``: rows that hold personal data; empty where none was looked for.
    rows
        Rows that the rules saw.
    """
    marked: Page = {"personal_data": table(personal)} if len(personal) else {}
    if not filters:
        return {"rules": "No rule is set, so every row that could be read goes on.", **marked}
    counts = dict(removed.group_by("rule").len().iter_rows())
    rules = [
        (rule, condition, counts.get(rule, 0), f"{counts.get(rule, 0) / max(rows, 1):.1%}")
        for rule, condition in filters.items()
    ]
    page: Page = {
        "what_was_taken_out": f"**{len(removed):,}** of {_counted(rows, 'row')} "
        f"({len(removed) / max(rows, 1):.1%}) were taken out and cannot be selected. A row that several "
        "rules hit is counted for the first.",
        "rules": table(
            pl.DataFrame(rules, schema=["rule", "condition", "rows taken out", "of the rows"], orient="row")
        ),
    }
    some = removed.filter(pl.int_range(pl.len()).over("rule") < OF_EACH).head(EXAMPLES * 2)
    if len(some):
        read = said(inputs, some["instance_id"].to_list(), keep_id=True)
        page["first_of_each"] = table(
            some.join(read, on="instance_id", how="left", maintain_order="left").select(
                "rule", "source", named_row().alias("row"), why="detail"
            ),
            EXAMPLES * 2,
        )
    return {**page, **marked}


def instance_embeddings(figures: Mapping[str, Any]) -> Page:
    """Say who made the vectors."""
    if given := figures.get("n_given"):
        return {"who_read_the_rows": f"The vectors of all **{given:,}** rows are from your column."}
    model, student = figures["n_teacher"], figures["n_student"]
    read = f"The model read **{model:,}** rows itself"
    like = figures.get("cosine_to_teacher")
    how_near = "" if like is None else f" (on rows held out from it, cosine **{like:.2f}** to the model's)"
    rest = f", its student the other **{student:,}**{how_near}." if student else ", which is all of them."
    return {"who_read_the_rows": read + rest}


def tag_embeddings(tags: Sequence[str], vectors: NDArray[np.float32], counts: NDArray[np.int64]) -> Page:
    """Show what lies near what: the nearest neighbours of the most common tags."""
    common = np.argsort(-counts, kind="stable")[:15]
    alike = vectors[common] @ vectors.T
    alike[np.arange(len(common)), common] = -1.0
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, :3]
    rows = {
        "tag": [tags[tag] for tag in common],
        "nearest to it": [
            ", ".join(f"{tags[near]} {alike[i, near]:.2f}" for near in nearest[i] if alike[i, near] > 0)
            for i in range(len(common))
        ],
    }
    return {"near_one_another": table(pl.DataFrame(rows))}


def atomic_tags(tags: pl.DataFrame, failures: pl.DataFrame) -> Page:
    """Show the most common tags as they were given, and the rows that failed."""
    common = tags.group_by("tag").agg(rows=pl.col("instance_id").n_unique())
    page: Page = {"most_common": table(common.sort("rows", "tag", descending=[True, False]), 15)}
    if len(failures):
        page["failures"] = table(failures, EXAMPLES)
    return page


def tag_vocabulary(tags: pl.DataFrame, before: pl.DataFrame | None) -> Page:
    """Show the most common concepts, those that are new, and what was merged.

    Parameters
    ----------
    tags
        ``tag, count, aliases``.
    before
        ``tag`` of the version before; None at the first.
    """
    newest: Preview = "This is the first version: every tag is new."
    gone = 0
    if before is not None:
        new = tags.join(before, on="tag", how="anti")
        gone = before.join(tags, on="tag", how="anti").height
        newest = table(_most_held(new), 15) if len(new) else f"None since the version before; {gone:,} went."
    merged = tags.filter(pl.col("aliases").list.len() > 0).sort("count", "tag", descending=[True, False])
    return {
        "most_common": table(_most_held(tags), 15),
        "newest": newest,
        "merged": table(merged.select("tag", "aliases", rows="count"), 10),
    }


def _most_held(tags: pl.DataFrame) -> pl.DataFrame:
    return tags.sort("count", "tag", descending=[True, False]).select("tag", rows="count")


def instance_tags(inputs: Inputs, tags: pl.DataFrame, kept: pl.DataFrame) -> Page:
    """Show how many tags rows have, where they came from, and the rows that have none.

    Parameters
    ----------
    inputs
        To read the texts of a few rows from.
    tags
        ``instance_id, tag, weight, origin``.
    kept
        ``instance_id`` of the kept rows.
    """
    untagged = kept.join(tags.select("instance_id").unique(), on="instance_id", how="anti")
    by_origin = tags.group_by("origin").agg(tags=pl.len(), rows=pl.col("instance_id").n_unique())
    per_row = tags.group_by("instance_id").len()["len"].to_numpy()
    page: Page = {}
    if len(per_row):
        counts = np.bincount(per_row)[1:]
        page["tags_of_a_row"] = pictures.histogram(
            counts, "1 tag", f"{len(counts)} tags", alt="Rows by their number of tags"
        )
    page["by_origin"] = table(by_origin.sort("tags", descending=True))
    page["untagged"] = "Every kept row has a tag, so every one can be chosen."
    if len(untagged):
        read = said(inputs, untagged["instance_id"].head(EXAMPLES).to_list())
        page["untagged"] = table(read.select("source", named_row().alias("row"), "response"))
    return page


def knowledge_tree(nodes: pl.DataFrame, figures: Mapping[str, Any], *, grown: bool) -> Page:
    """Draw the top levels, count the nodes of each, and say how far the tags have drifted.

    Parameters
    ----------
    nodes
        ``node_id, parent_id, level, name, description, n_tags``.
    figures
        ``drift``, ``drift_limit``, ``tags_attached`` and ``nodes_that_lived_on``.
    grown
        Whether the tree before was kept and new tags were attached to it.
    """
    drift = f"a drift of {figures['drift']:.1%}, where {figures['drift_limit']:.0%} is the limit"
    past = (
        f"The tree before was kept: {figures['tags_attached']:,} new tags went to leaves, {drift}."
        if grown
        else f"Built anew; {figures['nodes_that_lived_on']:,} nodes kept the ids of the tree before."
        if figures["nodes_that_lived_on"]
        else "Built for the first time: no node is older."
    )
    levels = (
        nodes.group_by("level")
        .agg(pl.len().alias("nodes"), pl.col("n_tags").max().alias("tags in the largest"))
        .sort("level", descending=True)
    )
    root = nodes.filter(pl.col("parent_id").is_null())
    top = nodes.join(root.select(parent_id="node_id"), on="parent_id", how="semi")
    top = top.sort("n_tags", "node_id", descending=[True, False])
    return {
        "drift_since_the_last_build": past,
        "top_of_the_tree": drawn_tree(nodes, levels=1, most=12),
        "two_levels": drawn_tree(nodes),
        "top_concepts": table(
            top.sort("n_tags", "node_id", descending=[True, False]).select(
                "name", "description", tags="n_tags"
            )
        ),
        "levels_of_the_tree": table(levels),
    }


def instance_scores(inputs: Inputs, scores: pl.DataFrame, terms: Sequence[str]) -> Page:
    """Draw how quality is distributed, and show the defects and the rows at either end.

    Parameters
    ----------
    inputs
        To read the texts of a few rows from.
    scores
        ``instance_id, quality`` and its terms.
    terms
        The defects, each in [0, 1].
    """
    if scores.is_empty():
        return {"distribution": "_no row_"}
    quality = scores["quality"].to_numpy()
    counts, edges = np.histogram(quality, bins=BARS)
    ordered = scores.sort("quality", "instance_id")
    ends = pl.concat([ordered.head(5), ordered.tail(3).reverse()]).select("instance_id", "quality")
    read = said(inputs, ends["instance_id"].to_list(), keep_id=True)
    defects = [(name, int((scores[name] > 0.5).sum())) for name in terms]
    found = pl.DataFrame(defects, schema=["defect", "rows"], orient="row").sort("rows", descending=True)
    return {
        "distribution": f"{_half_and_tenth(quality)}\n\n"
        + pictures.histogram(
            counts, f"{edges[0]:.2f}", f"{edges[-1]:.2f}", alt="Rows by quality", middle="quality"
        ),
        "defects": table(found),
        "worst_and_best": table(
            ends.join(read, on="instance_id", how="left", maintain_order="left").select(
                pl.col("quality").round(3), named_row().alias("row"), "response"
            )
        ),
    }


def grounded_instances(frame: pl.DataFrame, names: pl.DataFrame) -> Page:
    """Show the fullest leaves.

    Parameters
    ----------
    frame
        ``instance_id, node_id, mass``.
    names
        ``node_id, path``.
    """
    leaves = frame.group_by("node_id").agg(mass=pl.col("mass").sum(), rows=pl.len())
    whole = float(frame["mass"].sum()) or 1.0
    fullest = leaves.sort("mass", "node_id", descending=[True, False]).head(20)
    return {
        "fullest_leaves": table(
            fullest.join(names, on="node_id", how="left", maintain_order="left").select(
                pl.col("path").map_elements(last_steps, return_dtype=pl.String).alias("concept"),
                "rows",
                pl.format("{}%", (pl.col("mass") / whole * 100).round(2)).alias("of the pool"),
            )
        )
    }


def quality_judgements(inputs: Inputs, judgements: pl.DataFrame, failures: pl.DataFrame) -> Page:
    """Draw how the ratings are distributed, and show the rows at either end with the judge's reason.

    Parameters
    ----------
    inputs
        To read the texts of a few rows from.
    judgements
        ``instance_id, rating`` and the dimensions, each with its reason.
    failures
        Rows that the judge gave no answer for.
    """
    rated = judgements.filter(pl.col("rating").is_not_null()).sort("rating", "instance_id")
    page: Page = {}
    if len(rated):
        ratings = rated["rating"].to_numpy()
        counts = np.histogram(ratings, bins=BARS, range=(0.0, 1.0))[0]
        weakest = pl.concat_list(
            pl.struct(pl.col(name).alias("mark"), pl.col(f"{name}_reason").alias("why"))
            for name in RESPONSE_DIMENSIONS
        ).list.sort()
        ends = pl.concat([rated.head(5), rated.tail(3).reverse()]).select(
            "instance_id", pl.col("rating").round(2), weakest.list.first().struct.field("why").alias("why")
        )
        read = said(inputs, ends["instance_id"].to_list(), keep_id=True)
        page["ratings"] = (
            f"**{len(rated):,}** rows were rated, from 0 to 1. {_half_and_tenth(ratings)}\n\n"
            + pictures.histogram(counts, "0", "1", alt="Rows by rating", middle="rating")
        )
        page["worst_and_best"] = table(
            ends.join(read, on="instance_id", how="left", maintain_order="left").select(
                "rating", named_row().alias("row"), "why"
            )
        )
    if len(failures):
        page["failures"] = table(failures, EXAMPLES)
    return page or {"ratings": "No row was there to be judged."}


def said(inputs: Inputs, ids: Sequence[str], *, keep_id: bool = False) -> pl.DataFrame:
    """Read who says what in a few rows: ``row, source, prompt, response``, cut to `SAID_CHARS`."""
    found = inputs.query("assets/some_texts", ["raw_instances"], ids=list(ids))
    cut = [
        pl.when(pl.col(name).str.len_chars() > SAID_CHARS)
        .then(pl.col(name).str.slice(0, SAID_CHARS - 1).str.strip_chars_end() + "…")
        .otherwise(pl.col(name))
        .alias(name)
        for name in ("prompt", "response")
    ]
    named = found.select("instance_id", "source", row=pl.coalesce("id", "instance_id"))
    read = named.join(texts(found).with_columns(cut), on="instance_id", maintain_order="left")
    columns = ["row", "source", "prompt", "response"]
    return read.select(["instance_id", *columns] if keep_id else columns)


def named_row() -> pl.Expr:
    """Name a row and say how it begins, in one cell: two would be wider than the page."""
    return pl.format("{}: {}", "row", "prompt")


def _half_and_tenth(values: NDArray[np.floating]) -> str:
    middle, low = (float(np.quantile(values, share)) for share in (0.5, 0.1))
    return f"Half of the rows are above **{middle:.2f}**, a tenth below **{low:.2f}**."


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _kind_of_reason() -> pl.Expr:
    """Leave out where in the line it is: broken lines of one kind stand together."""
    return pl.col("reason").str.replace_all(r",? at (character|byte) \d+", "").alias("reason")


def _reasons(rejected: pl.DataFrame) -> pl.DataFrame:
    first = pl.format("{}:{}", pl.col("file").first(), pl.col("line").first())
    return (
        rejected.group_by(_kind_of_reason(), maintain_order=True)
        .agg(pl.len().alias("lines"), first.alias("first at"))
        .sort("lines", "reason", descending=[True, False])
    )
