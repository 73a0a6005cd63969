"""The sections of the report, as data for the template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tags_assets.method.selection.against_random import farther_than_random
from tags_assets.method.selection.attribution import WHOLE_TEXT
from tags_assets.method.tree.share_changes import deepest_moves
from tags_assets.report import charts
from tags_assets.report import sentences as words
from tags_assets.report.content import ROWS_SHOWN
from tags_assets.report.ruler import compared_with
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.report.content import ReportInput

Context = dict[str, object]
Charts = dict[str, charts.Chart]

SNIPPET = 420
"""Characters of a row's prompt and of its answer that are shown."""

BEND = 0.12
"""Height of a curve above its chord, as a share of the value, from which its knee is mentioned."""

SHARES = ("source", "language")
"""Attributes compared before and after."""

NAMED = 8
"""Shortages described in a sentence each; the rest are listed in a table."""


def key_figures(report: ReportInput, shares: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Choose the figures at the top of the page: label, value, note."""
    figures = report.figures
    chosen: list[tuple[str, str, str]] = []
    selected = words.real(figures.get("rows_selected"))
    if selected is not None:
        tokens = words.real(figures.get("tokens_selected"))
        chosen.append(
            ("Rows selected", words.number(selected), f"{words.number(tokens)} tokens" if tokens else "")
        )
    kl, floor, (other, against) = (
        *(words.real(figures.get(name)) for name in ("kl", "kl_floor")),
        compared_with(figures),
    )
    if kl is not None:
        notes = [f"{against} {words.number(other)}"] if other is not None else []
        notes += [f"limit {words.number(floor)}"] if floor is not None and floor > words.NEAR_NOTHING else []
        name = "KL to the pool" if report.target == "pool" else "KL to the target"
        chosen.append((name, words.number(kl), ", ".join(notes)))
    certificate = words.real(figures.get("certificate"))
    if certificate is not None:
        chosen.append(("Of the highest value", words.percent(certificate, 2), "at least, by a proven bound"))
    leaves = shares.filter(pl.col("level") == 0)
    touched, held = leaves.filter(pl.col("selection") > 0).height, leaves.filter(pl.col("pool") > 0).height
    if held:
        chosen.append(
            (
                "Concepts touched",
                words.percent(touched / held, 0),
                f"{touched:,} of the pool's {held:,} leaves",
            )
        )
    if not report.shortages.is_empty():
        chosen.append(
            (
                "In short supply",
                f"{report.shortages.height:,}",
                "concepts short in the pool" if report.shortages.height > 1 else "concept short in the pool",
            )
        )
    return chosen


def asked_section(parts: pl.DataFrame, plots: Charts) -> Context:
    """Shares of target, pool and selection, concept by concept."""
    plots["chart-asked"] = charts.asked_and_reached(parts)
    has_target = bool(parts["target"].is_not_null().any())
    heads = ["concept", *(["target"] if has_target else []), "pool", "selection", "selected rows"]
    order = "target" if has_target else "selection_share"
    rows = [
        [
            row["path"],
            *([words.percent(row["target"])] if has_target else []),
            words.percent(row["pool_share"]),
            words.percent(row["selection_share"]),
            words.number(round(row["selection"])),
        ]
        for row in parts.sort([order, "path"], descending=[True, False], nulls_last=True).iter_rows(
            named=True
        )
    ]
    caption = (
        "Shares by concept: if the selection matched the target exactly, each blue dot would lie "
        "on its orange diamond. Together these concepts make up the whole tree."
        if has_target
        else "Shares by concept. Together these concepts make up the whole tree."
    )
    return {"asked_caption": caption, "asked_heads": heads, "asked_rows": rows}


def shortages_section(report: ReportInput, shares: pl.DataFrame) -> Context:
    """List concepts of which the target needs more than the pool has."""
    paths = shares.select("node_id", pl.col("path").alias("concept"))
    short = (
        report.shortages.join(paths, on="node_id", how="left")
        .with_columns(
            pl.col("concept").fill_null(pl.col("node_id")), missing=pl.col("wanted") - pl.col("supply")
        )
        .filter(pl.col("missing") > 0)
        .sort(["missing", "concept"], descending=[True, False])
    )
    said = [
        words.shortage(f"“{charts.last_steps(row['concept'])}”", row["wanted"], row["supply"], row["reached"])
        for row in short.head(NAMED).iter_rows(named=True)
    ]
    total = float(short["missing"].sum())
    lead = (
        f"{'One concept is' if short.height == 1 else f'{short.height:,} concepts are'} in short supply, "
        f"with {words.rows(total)} missing in total: this is the data to collect."
    )
    return {
        "shortages": said,
        "shortages_lead": lead,
        "shortages_none": "Nothing: the pool has enough rows on every concept of the target."
        + (" The selection does not use them." if farther_than_random(report.figures) else ""),
        "shortages_more": [
            [
                row["concept"],
                words.number(round(row["supply"], 1), 1),
                words.number(round(row["wanted"], 1), 1),
                words.number(round(row["missing"], 1), 1),
                words.number(row["reached"] and round(row["reached"], 1), 1),
            ]
            for row in short.head(100).iter_rows(named=True)
        ]
        if short.height > NAMED
        else [],
    }


def curve_section(report: ReportInput, plots: Charts) -> Context:
    """What a smaller or larger budget would reach."""
    curve = report.gain_curve
    if curve.height < 2 or not float(curve["value"].max() or 0.0) > 0:  # type: ignore[arg-type]
        return {"curve_rows": [], "curve_lead": ""}
    selected = words.real(report.figures.get("rows_selected"))
    budget = int(selected) if selected else int(curve["rows"].max())  # type: ignore[arg-type]
    bends = charts.knee_of(curve)[1] >= BEND
    plots["chart-gain"], table = charts.gain_curve(curve, budget, with_knee=bends)
    half = next((share for at, share in table if at == max(1, round(budget / 2))), None)
    beyond = [(at, share) for at, share in table if at > budget]
    lead = (
        "Rows are ranked in the order in which they were picked, so the first n of them are the selection "
        f"for a budget of n. {words.budget_buys(max(1, round(budget / 2)), half or 1.0).capitalize()}"
    )
    lead += f"; {words.budget_buys(*beyond[-1])}." if beyond else "."
    lead += f" {_knee_told(curve)} {_last_rows_told(curve, budget)}"
    return {
        "curve_lead": lead,
        "curve_caption": "Value of the first n picks, as a share of the value at this budget"
        + ("; dotted: the same selection continued." if beyond else ".")
        + (" The diamond marks the knee, where the curve bends most." if bends else ""),
        "curve_rows": [[f"{at:,}", words.percent(share)] for at, share in table],
    }


def _knee_told(curve: pl.DataFrame) -> str:
    bend, depth = charts.knee_of(curve)
    if depth < BEND:
        return "The curve has no clear knee, so no budget stands out."
    return f"Its knee is at {words.rows(bend)}: beyond it, a row adds less than the mean row."


def _last_rows_told(curve: pl.DataFrame, budget: int) -> str:
    within = curve.filter(pl.col("rows") <= budget).sort("rows")
    rows, value = within["rows"].to_numpy(), within["value"].to_numpy()
    back = int(np.searchsorted(rows, 0.95 * rows[-1]))
    if back >= len(rows) - 1:
        return ""
    return words.marginal(
        float(value[-1] - value[back]) / float(rows[-1] - rows[back]), float(value[-1]) / float(rows[-1])
    )


def drivers_section(report: ReportInput) -> Context:
    """Top nodes and tags, with example rows."""
    # A bar for the whole text would dwarf those of the concepts, so a sentence gives its share.
    of_text = (pl.col("kind") == "node") & (pl.col("name") == WHOLE_TEXT)
    text = report.drivers.filter(of_text)
    context: Context = {
        "text_driver": ""
        if text.is_empty()
        else f"{words.percent(text['share'][0])} of the gain came from the {WHOLE_TEXT} of the rows, a "
        "similarity that belongs to no concept; it is divided among the tags by weight."
    }
    context["inferred_note"] = (
        "Inferred: the row does not name the concept, but was assigned it by the likeness of its text. It "
        "may be wrong."
        if report.inferred_shown
        else "Only what rows name is listed. Concepts that were assigned to them by likeness have the rest "
        "of the gain; in a pool this small they say little about any one row."
    )
    for kind in ("node", "tag"):
        top = (
            report.drivers.filter((pl.col("kind") == kind) & ~of_text)
            .sort(["share", "key"], descending=[True, False])
            .head(15)
        )
        most = max(float(top["share"].max() or 0.0), 1e-12)  # type: ignore[arg-type]
        context[f"{kind}_drivers"] = [
            {
                "name": charts.last_steps(row["name"]),
                "share": words.percent(row["share"], 2),
                "rows": words.number(row["rows"]),
                "inferred": _inferred(row["inferred"] or 0, row["rows"]),
                "width": round(100 * max(row["share"], 0.0) / most, 1),
                "examples": [snippet(text, 260) for text in (row["examples"] or [])[:3]],
            }
            for row in top.iter_rows(named=True)
        ]
    return context


def _inferred(inferred: int, rows: int) -> str:
    if not inferred:
        return ""
    return "inferred" if inferred == rows else f"inferred in {inferred:,} of {rows:,} rows"


def rows_section(report: ReportInput) -> Context:
    """The first selected rows, with their texts."""
    shown = report.rows.sort("rank").head(ROWS_SHOWN)
    total = words.real(report.figures.get("rows_selected")) or float(report.rows.height)
    lead = (
        "In the order of picking: the first row adds most, and each later row what the earlier ones do not "
        "cover."
    )
    if total > shown.height:
        lead += (
            f" These are the first {shown.height:,} of {words.number(total)}; all are in subset.jsonl and in "
            "the table selected_subset."
        )
    return {
        "rows_lead": lead,
        "rows": [
            {
                "rank": f"{row['rank']:,}",
                "name": row["id"] or row["instance_id"],
                "source": row["source"] or "",
                "gain": words.number(row["gain"], 4),
                "quality": words.number(row["quality"]),
                "prompt": snippet(row["prompt"]),
                "response": snippet(row["response"]),
                "tags": row["tags"] or [],
                "inferred_tags": row["inferred_tags"] or [],
            }
            for row in shown.iter_rows(named=True)
        ],
    }


def before_section(report: ReportInput, plots: Charts) -> Context:
    """Quality, sources, languages and lengths of the pool and the selection."""
    pool = report.pool
    if pool.is_empty():
        return {"has_pool": False, "before_lines": [], "source_rows": [], "language_rows": []}
    chosen = pool.filter("selected")
    context: Context = {"has_pool": True}
    plots["chart-quality"] = charts.histogram(
        _numbers(pool["quality"]), _numbers(chosen["quality"]), title="quality, 0 to 1"
    )
    length = pl.col("prompt_tokens").cast(pl.Float64) + pl.col("response_tokens").cast(pl.Float64)
    lengths = [_numbers(frame.select(length).to_series()) for frame in (pool, chosen)]
    plots["chart-lengths"] = charts.histogram(*lengths, title="tokens", logarithmic=True)
    for name in SHARES:
        chart, table = charts.shares(pool.select("selected", name), name)
        context[f"only_{name}"] = only = None if table.height > 1 else table["value"][0]
        if only is None:
            plots[f"chart-{name}s"] = chart
        context[f"{name}_rows"] = [
            [row["value"], words.percent(row["pool"]), words.percent(row["selection"])]
            for row in table.iter_rows(named=True)
        ]
    lines: list[str] = []
    before, after = pool["quality"].mean(), chosen["quality"].mean()
    if before is not None and after is not None:
        of_pool, of_picks = words.number(before), words.number(after)
        lines.append(
            f"Mean quality is {of_pool} in both."
            if of_pool == of_picks
            else f"Mean quality is {of_pool} in the pool and {of_picks} in the selection."
        )
    if len(lengths[0]) and len(lengths[1]):
        lines.append(
            f"The median row has {words.number(round(float(np.median(lengths[0]))))} tokens in the pool and "
            f"{words.number(round(float(np.median(lengths[1]))))} in the selection."
        )
    lines += [
        f"All rows have the same {name}: {only}." for name in SHARES if (only := context[f"only_{name}"])
    ]
    context["before_lines"] = [" ".join(lines)] if lines else []
    return context


def diversity_section(report: ReportInput, plots: Charts) -> Context:
    """Coverage and effective numbers per level, phylogenetic diversity, saturation."""
    context: Context = {"diversity_rows": [], "saturation_rows": [], "saturation_heads": []}
    # The root is touched by every row.
    diversity = report.diversity.filter(pl.col("nodes") > 1).sort("level", descending=True)
    figures = report.figures
    lines = []
    if not diversity.is_empty():
        plots["chart-coverage"] = charts.coverage(diversity)
        context["diversity_rows"] = [
            [
                f"level {row['level']}" if row["level"] else "leaves",
                words.number(row["nodes"]),
                words.number(row["covered_pool"]),
                words.number(row["covered_selection"]),
                words.number(row["effective_pool"], 1),
                words.number(row["effective_selection"], 1),
            ]
            for row in diversity.iter_rows(named=True)
        ]
        leaves = diversity.row(-1, named=True)
        lines.append(
            f"Counted by how evenly rows spread over the leaves, the pool is as varied as "
            f"{words.number(leaves['effective_pool'], 0)} "
            f"equally common concepts, the selection as {words.number(leaves['effective_selection'], 0)} "
            "(Hill number of order 1)."
        )
    pool, selection = words.real(figures.get("faith_pd_pool")), words.real(figures.get("faith_pd_selection"))
    if pool and selection is not None:
        lines.append(
            f"It covers {words.percent(selection / pool, 0)} of the tree's branch length that the pool "
            "covers (Faith's phylogenetic diversity)."
        )
    rao_pool, rao = words.real(figures.get("rao_pool")), words.real(figures.get("rao_selection"))
    if rao_pool is not None and rao is not None:
        lines.append(
            f"Two random rows lie {words.number(rao_pool)} apart on the tree in the pool and "
            f"{words.number(rao)} in the selection (Rao's quadratic entropy)."
        )
    if not report.saturation.is_empty():
        classes = charts.saturation_classes(report.saturation).filter(pl.col("nodes") > 1)
        plots["chart-saturation"] = charts.saturation_bars(classes)
        context["saturation_heads"] = ["level", "concepts", *charts.SATURATION_CLASSES]
        context["saturation_rows"] = [
            [
                f"level {row['level']}" if row["level"] else "leaves",
                *(words.number(row[name]) for name in ("nodes", *charts.SATURATION_CLASSES)),
            ]
            for row in classes.iter_rows(named=True)
        ]
    context["diversity_lines"] = [" ".join(lines)] if lines else []
    return context


def nearly_section(report: ReportInput) -> Context:
    """Runners-up, and the selected rows that beat them."""
    return {
        "nearly": [
            {
                "name": row["id"] or row["instance_id"],
                "source": row["source"] or "",
                "gain": words.number(row["gain"], 4),
                "quality": words.number(row["quality"]),
                "prompt": snippet(row["prompt"], 260),
                "beaten_by": snippet(row["beaten_by"], 200),
                "winner": _winner(row),
                "reason": row["reason"] or "",
            }
            for row in report.nearly.head(20).iter_rows(named=True)
        ],
        "nearly_lead": _nearly_lead(report),
    }


def _winner(row: Mapping[str, Any]) -> str:
    """Name the most similar selected row and the tags that both share."""
    pick = f"pick {row['winner_rank']:,}" if row["winner_rank"] else "a pick"
    shared = row["shared"] or []
    share = words.percent(row["overlap"], 0)
    about = f", which shares {share} of its tags ({', '.join(shared)})" if shared else ""
    # A row under an exhausted cap is out for that reason, whatever row is similar.
    reason = row["reason"] or ""
    cap = f"{reason[0].upper()}{reason[1:]}. " if reason.startswith("max_share") else ""
    return f"{cap}Beaten by {pick}{about}:"


def _nearly_lead(report: ReportInput) -> str:
    lead = (
        "These rows would be next: each would still add something, but less than any selected row. Below "
        "each is the selected row that is most similar to it."
    )
    # The curve goes on beyond the budget, in larger steps.
    budget = words.real(report.figures.get("rows_selected")) or float("inf")
    curve = report.gain_curve.sort("rows").filter(pl.col("rows") <= budget)
    if curve.height < 2 or report.nearly.is_empty() or curve["rows"][-1] - curve["rows"][-2] != 1:
        return lead
    last = float(curve["value"][-1] - curve["value"][-2])
    next_one = words.real(report.nearly["gain"][0])
    if last <= 0 or next_one is None:
        return lead
    return (
        f"{lead} The last pick added {words.number(last, 4)}; the next would add {words.number(next_one, 4)}."
    )


def changes_section(report: ReportInput, shares: pl.DataFrame) -> Context:
    """What changed since the previous version."""
    changes = report.changes
    if changes is None:
        return {"changes": None}
    moved: list[list[str]] = []
    if not changes.shares.is_empty():
        table = (
            changes.shares.join(shares.select("node_id", "path"), on="node_id", how="left")
            .join(report.nodes.select("node_id", "parent_id"), on="node_id", how="left")
            .with_columns((pl.col("after") - pl.col("before")).alias("change"))
            .pipe(deepest_moves)
            .head(12)
        )
        moved = [
            [
                row["path"] or row["node_id"],
                words.percent(row["before"]),
                words.percent(row["after"]),
                words.points(row["change"]),
            ]
            for row in table.iter_rows(named=True)
        ]
    total = changes.kept + changes.dropped
    # Rounding must not turn 979 of 981 into 100%.
    digits = 0 if changes.kept in {0, total} else 1
    same = f" ({words.percent(changes.kept / total, digits)} of the previous rows)" if total else ""
    return {
        "changes": {
            "headline": f"Since {changes.previous}: {counted(changes.kept, 'row')} kept{same}, "
            f"{changes.dropped:,} removed, {changes.added:,} added.",
            "reasons": list(changes.reasons),
            "shares": moved,
            "dropped": _examples(changes.dropped_rows),
            "added": _examples(changes.added_rows),
        }
    }


def snippet(text: str | None, length: int = SNIPPET) -> str:
    """Shorten a row's text, at the end of a word if one is near."""
    text = re.sub(r"\n\s*\n", "\n", (text or "").strip())
    if len(text) <= length:
        return text
    cut = text[:length]
    space = cut.rfind(" ")
    return (cut[:space] if space > length * 0.8 else cut).rstrip() + " …"


def _examples(rows: pl.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "name": row.get("id") or row.get("instance_id") or "",
            "source": row.get("source") or "",
            "prompt": snippet(row.get("prompt"), 160),
        }
        for row in rows.head(8).iter_rows(named=True)
    ]


def _numbers(column: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values: np.ndarray[tuple[int], np.dtype[np.float64]] = column.drop_nulls().cast(pl.Float64).to_numpy()
    return values
