"""What each asset's page answers first: a sentence, a picture, and the rows that a person would ask for next.

Everything here is for reading. It is stored with the version, and no other asset is made from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tags_assets.assets import pictures
from tags_assets.assets.previews import cell, drawn_tree, escaped, place, table
from tags_assets.formats.conversation import texts
from tags_assets.report import words
from tags_assets.report.charts import last_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tags_assets.assets.previews import Preview
    from tags_assets.assets.versioned import Inputs
    from tags_assets.formats.pool import PoolRead
    from tags_assets.home import Home
    from tags_assets.method.knowledge_tree import KnowledgeTree
    from tags_assets.method.target import TargetDistribution
    from tags_assets.report.inputs import ReportInput
    from tags_assets.selection.selected import Selected
    from tags_assets.target_file import TargetSpec

Page = dict[str, "Preview"]

SAID_CHARS = 64
"""Characters of a row's text in a table."""

ALL_READ = "Every line could be read."
EXAMPLES = 8
BARS = 24
WHY_ROWS = 12


def raw_instances(read: PoolRead) -> Page:
    """Say what came in, and what was rejected and why."""
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
    files = f"{len(counts):,} file{'' if len(counts) == 1 else 's'}"
    return {
        "what_came_in": f"**{read.rows_in:,}** rows came in from {files}: **{read.rows_kept:,}** are kept, "
        f"{' and '.join(lost) if lost else 'none was lost'}.",
        "files_read": table(fates),
        "why_rejected": table(_reasons(read.rejected)) if read.rows_rejected else ALL_READ,
    }


def rejected_rows(rejected: pl.DataFrame) -> Page:
    """Show the reasons, and the first lines with what stands there."""
    if rejected.is_empty():
        return {"why": ALL_READ}
    first = rejected.head(EXAMPLES * 2)
    stands = pl.col("raw").map_elements(lambda raw: cell(raw)[:SAID_CHARS], return_dtype=pl.String)
    return {
        "why": table(_reasons(rejected)),
        "first": table(first.select(pl.format("{}:{}", "file", "line").alias("at"), "reason", stands)),
    }


def filtered_rows(
    removed: pl.DataFrame, filters: Mapping[str, str], rows: pl.DataFrame, personal: pl.DataFrame
) -> Page:
    """Show what each rule took out.

    Parameters
    ----------
    removed
        ``instance_id, rule, detail``.
    filters
        Rule to what it says, as the pool's settings have it.
    rows
        ``instance_id, id, source`` of all rows.
    personal
        ``kind, rows``: rows that hold personal data; empty where none was looked for.
    """
    marked: Page = {"personal_data": table(personal)} if len(personal) else {}
    if not filters:
        return {"rules": "No rule is set, so every row that could be read goes on.", **marked}
    counts = dict(removed.group_by("rule").len().iter_rows())
    rules = [(rule, condition, counts.get(rule, 0)) for rule, condition in filters.items()]
    named = removed.head(EXAMPLES).join(rows, on="instance_id", how="left", maintain_order="left")
    return {
        "rules": table(pl.DataFrame(rules, schema=["rule", "condition", "rows taken out"], orient="row")),
        "first": table(
            named.select("rule", row=pl.coalesce("id", "instance_id"), source="source", why="detail")
        ),
        **marked,
    }


def instance_embeddings(figures: Mapping[str, Any]) -> Page:
    """Say who made the vectors."""
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
        page["untagged"] = table(read.select("source", _row().alias("row"), "response"))
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
        else f"Built anew; {figures['nodes_that_lived_on']:,} nodes kept the ids of a tree before."
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
    middle = float(np.median(quality))
    ordered = scores.sort("quality", "instance_id")
    ends = pl.concat([ordered.head(5), ordered.tail(3).reverse()]).select("instance_id", "quality")
    read = said(inputs, ends["instance_id"].to_list(), keep_id=True)
    defects = [(name, int((scores[name] > 0.5).sum())) for name in terms]
    found = pl.DataFrame(defects, schema=["defect", "rows"], orient="row").sort("rows", descending=True)
    return {
        "distribution": f"Half of the rows are above **{middle:.2f}**, a tenth below "
        f"**{float(np.quantile(quality, 0.1)):.2f}**.\n\n"
        + pictures.histogram(
            counts, f"{edges[0]:.2f}", f"{edges[-1]:.2f}", alt="Rows by quality", middle="quality"
        ),
        "defects": table(found),
        "worst_and_best": table(
            ends.join(read, on="instance_id", how="left", maintain_order="left").select(
                pl.col("quality").round(3), _row().alias("row"), "response"
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


def quality_judgements(judgements: pl.DataFrame, failures: pl.DataFrame) -> Page:
    """Draw the ratings, and show the rows that failed."""
    counts = judgements["rating"].drop_nulls().value_counts().sort("rating")
    if judgements.is_empty() and failures.is_empty():
        return {"ratings": "No judge is set (`--judge llm`): quality is told by the texts and by the tree."}
    page: Page = {"ratings": table(counts.select("rating", rows="count"))}
    if len(failures):
        page["failures"] = table(failures, EXAMPLES)
    return page


def target_distribution(spec: TargetSpec, distribution: TargetDistribution, tree: KnowledgeTree) -> Page:
    """Say what was understood of the target's file, and what it asks most for."""
    wish = spec.target
    read = {
        "examples": f"the examples in `{wish.examples}`",
        "description": f"the description “{escaped(wish.description or '')}”",
        "weights": f"{len(wish.weights or {}):,} weights on concepts",
        "pool": "the pool itself",
    }[wish.kind]
    mass, pool = distribution.mass, distribution.pool
    top = np.argsort(-mass, kind="stable")
    half = int(np.searchsorted(np.cumsum(mass[top]), 0.5)) + 1
    unlike = distribution.divergence_from_pool
    lines = [
        f"Read from {read}. Half of what it asks lies in **{half:,}** of the tree's {len(mass):,} leaves.",
        "It asks for what the pool is made of."
        if distribution.is_pool
        else f"It is **{unlike:.2f}** nats from the pool's own mix (KL divergence).",
        *(f"- {escaped(note)}" for note in distribution.notes),
    ]
    upwards = tree.ancestors.T
    asked, held = upwards @ mass, upwards @ pool
    below_root = int(tree.level.max()) - 1
    fields = [node for node in np.argsort(-asked, kind="stable") if tree.level[node] == below_root][:10]
    leaves = top[:15]
    return {
        "what_was_understood": "\n\n".join(lines),
        "fields_asked_for": table(
            pl.DataFrame(
                {
                    "field": [tree.paths[node] for node in fields],
                    "target": [f"{asked[node]:.1%}" for node in fields],
                    "pool": [f"{held[node]:.1%}" for node in fields],
                }
            )
        ),
        "asks_most_for": table(
            pl.DataFrame(
                {
                    "concept": [last_steps(tree.paths[leaf]) for leaf in leaves],
                    "target": [f"{mass[leaf]:.2%}" for leaf in leaves],
                    "pool": [f"{pool[leaf]:.2%}" for leaf in leaves],
                    "its rows": [f"{distribution.supply[leaf]:,.1f}" for leaf in leaves],
                }
            )
        ),
    }


def selected_subset(inputs: Inputs, made: Selected, home: Home) -> Page:
    """Say why: in a few sentences, pick by pick, and over the budget."""
    figures = dict(made.figures) | {"rows_eligible": made.figures["n_eligible"]}
    lines = [
        words.headline(figures, made.target),
        *words.closeness(figures, made.target)[:1],
        words.certificate(figures),
        *made.figures["messages"],
    ]
    frontier = made.frontier["value"].to_numpy()
    half = int(np.searchsorted(frontier, 0.5 * frontier[-1])) + 1 if len(frontier) else 0
    return {
        "in_short": "\n\n".join(escaped(line) for line in lines),
        "report": place(home.report(made.target), home.path),
        "why": table(_why(inputs, made), WHY_ROWS),
        "what_a_budget_buys": f"The first **{half:,}** of {len(frontier):,} rows give half of the value."
        f"{_twice(frontier, made.beyond)}\n\n"
        + pictures.curve(frontier, "0 rows", f"{len(frontier):,} rows", alt="Value of the first n picks"),
        "in_short_supply": _short_supply(inputs, made.shortages),
    }


def _twice(frontier: NDArray[np.float64], beyond: pl.DataFrame) -> str:
    if beyond.is_empty():
        return ""
    rows, value = beyond.select("rows", "value").row(-1)
    return f" {rows:,} would give {value / frontier[-1]:.0%} of that value."


def _why(inputs: Inputs, made: Selected) -> pl.DataFrame:
    picks = made.rows.head(WHY_ROWS).select("instance_id", "rank")
    last = pl.col("path").str.split(" > ").list.last()
    because = made.reasons.group_by("rank", maintain_order=True).agg(
        pl.format("{} {}%", last, (pl.col("share") * 100).round(0).cast(pl.Int64)).alias("because")
    )
    return (
        picks.join(said(inputs, picks["instance_id"].to_list(), keep_id=True), on="instance_id", how="left")
        .join(because, on="rank", how="left")
        .sort("rank")
        .select("rank", _row().alias("row"), pl.col("because").list.join(", ").alias("of its gain"))
    )


def _short_supply(inputs: Inputs, shortages: pl.DataFrame) -> Preview:
    if shortages.is_empty():
        return "Nothing: the pool holds enough of every concept that the target asks for."
    names = inputs.read("knowledge_tree", columns=["node_id", "path"])
    short = shortages.join(names, on="node_id", how="left", maintain_order="left")
    return table(short.select(concept="path", wanted="wanted", pool="supply", selected="reached"), 10)


def selection_attribution(amounts: pl.DataFrame, tree: KnowledgeTree) -> Page:
    """Show the concepts that gave most of the gain, leaves and fields apart.

    Parameters
    ----------
    amounts
        ``instance_id, node_id, part, amount``.
    tree
        Their tree.
    """
    names = pl.DataFrame({"node_id": tree.node_ids, "path": tree.paths, "level": tree.level})
    whole = float(amounts["amount"].sum()) or 1.0
    gave = (
        amounts.group_by("node_id")
        .agg(pl.col("amount").sum(), rows=pl.col("instance_id").n_unique())
        .join(names, on="node_id")
        .sort("amount", "node_id", descending=[True, False])
    )
    share = pl.format("{}%", (pl.col("amount") / whole * 100).round(2))
    steps = pl.col("path").str.split(" > ").list.tail(2).list.join(" > ")
    shown = gave.select(share.alias("of the gain"), "rows", steps.alias("concept"), "level")
    return {
        "what_drove_it": table(shown.filter(pl.col("level") == 0).drop("level"), 15),
        "above_the_leaves": table(
            shown.filter((pl.col("level") > 0) & (pl.col("level") < int(tree.level.max()))).drop("level"), 10
        ),
    }


def selection_report(report: ReportInput) -> Page:
    """Say in a few sentences what the report says at length."""
    figures = report.figures
    lines = [
        words.headline(figures, report.target),
        *words.closeness(figures, report.target)[:1],
        words.certificate(figures),
    ]
    return {"in_short": "\n\n".join(escaped(line) for line in lines)}


def said(inputs: Inputs, ids: Sequence[str], *, keep_id: bool = False) -> pl.DataFrame:
    """Read who says what in a few rows: ``row, source, prompt, response``, cut to `SAID_CHARS`."""
    found = inputs.query("assets/some_texts", ["raw_instances"], ids=list(ids))
    cut = [pl.col(name).str.slice(0, SAID_CHARS) for name in ("prompt", "response")]
    named = found.select("instance_id", "source", row=pl.coalesce("id", "instance_id"))
    read = named.join(texts(found).with_columns(cut), on="instance_id", maintain_order="left")
    columns = ["row", "source", "prompt", "response"]
    return read.select(["instance_id", *columns] if keep_id else columns)


def _row() -> pl.Expr:
    """Name a row and say how it begins, in one cell: two would be wider than the page."""
    return pl.format("{}: {}", "row", "prompt")


def _reasons(rejected: pl.DataFrame) -> pl.DataFrame:
    first = pl.format("{}:{}", pl.col("file").first(), pl.col("line").first())
    return (
        rejected.group_by("reason", maintain_order=True)
        .agg(pl.len().alias("lines"), first.alias("first at"))
        .sort("lines", "reason", descending=[True, False])
    )
