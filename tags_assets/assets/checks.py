"""Asset checks: what must hold of an artifact, judged from the figures that are stored with it.

The figures are part of the version, so a version that is used again is judged again, at no cost, and with the
limits of now: limits are no part of versions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from tags_assets.errors import UserError
from tags_assets.method.selection.against_random import SAME_AS_POOL, farther_than_random
from tags_assets.settings.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Verdict = tuple[bool, str]


@dataclass(frozen=True)
class Judged:
    """What a check looks at.

    Attributes
    ----------
    figures
        Stored with the version.
    before
        Those of the version before it, where there is one.
    limits
        Of the pool, and over them those of the target.
    """

    figures: Mapping[str, Any]
    before: Mapping[str, Any] | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class FigureCheck:
    """A statement about an asset's figures, and whether what depends on the asset must wait for it."""

    asset: str
    name: str
    description: str
    verdict: Callable[[Judged], Verdict]
    blocking: bool = False

    def spec(self) -> dg.AssetCheckSpec:
        """Describe the check to Dagster.

        All may block there; whether one does is said by the severity of its result, so that a limit changed
        while the UI runs counts at once.
        """
        return dg.AssetCheckSpec(self.name, asset=self.asset, description=self.description, blocking=True)

    def result(self, judged: Iterable[tuple[str | None, Judged]]) -> dg.AssetCheckResult:
        """Judge every partition; the check passes where all of them do, and blocks where one does."""
        verdicts = [(partition, one.limits, *self.verdict(one)) for partition, one in judged]
        lines = [text if partition is None else f"{partition}: {text}" for partition, _, _, text in verdicts]
        blocks = any(self.blocks(limits) for _, limits, passed, _ in verdicts if not passed)
        return dg.AssetCheckResult(
            check_name=self.name,
            asset_key=self.asset,
            passed=all(passed for _, _, passed, _ in verdicts),
            severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
            description="; ".join(lines),
        )

    def blocks(self, limits: Limits) -> bool:
        """Whether what depends on the asset stops where this check fails."""
        return self.blocking or self.name in limits.blocking


def _rows_add_up(judged: Judged) -> Verdict:
    figures = judged.figures
    rows_in, kept = figures["rows_in"], figures["rows_kept"]
    rejected, duplicate = figures["rows_rejected"], figures["rows_duplicate"]
    text = f"{rows_in:,} rows in = {kept:,} kept + {rejected:,} rejected + {duplicate:,} duplicates"
    return rows_in == kept + rejected + duplicate, text


def _share(part: str, whole: str, limit: str, what: str) -> Callable[[Judged], Verdict]:
    def verdict(judged: Judged) -> Verdict:
        figures, most = judged.figures, getattr(judged.limits, limit)
        if part not in figures or whole not in figures:
            return True, f"not measured of this version ({part})"
        share = figures[part] / figures[whole] if figures[whole] else 0.0
        return share <= most, f"{share:.1%} of the rows {what} (limit {most:.0%})"

    return verdict


def _source_shares(judged: Judged) -> Verdict:
    now, before = _shares(judged.figures), _shares(judged.before or {})
    if not now or not before:
        return True, "no version before to compare with"
    jumps = {name: now.get(name, 0.0) - before.get(name, 0.0) for name in {*now, *before}}
    name = min(jumps, key=lambda source: (-abs(jumps[source]), source))
    text = (
        f"the largest change is of {name!r}: {before.get(name, 0.0):.1%} to {now.get(name, 0.0):.1%} "
        f"of the rows (limit {judged.limits.source_jump:.0%})"
    )
    return abs(jumps[name]) <= judged.limits.source_jump, text


def _shares(figures: Mapping[str, Any]) -> dict[str, float]:
    rows = figures.get("rows_by_source") or {}
    total = sum(rows.values())
    return {name: count / total for name, count in rows.items()} if total else {}


def _rows_stay(judged: Judged) -> Verdict:
    now, before = judged.figures["rows_kept"], (judged.before or {}).get("rows_kept")
    if not before:
        return True, "no version before to compare with"
    lost = max(0.0, 1 - now / before)
    return lost <= judged.limits.shrinkage, (
        f"{now:,} rows kept, {before:,} before: {lost:.0%} fewer (limit {judged.limits.shrinkage:.0%})"
    )


def _drift(judged: Judged) -> Verdict:
    drift = judged.figures.get("drift")
    if drift is None:
        return True, "this tree was built from its tags; nothing has drifted"
    return drift <= judged.limits.drift, f"drift {drift:.3f} (limit {judged.limits.drift:g})"


def _figure_is_true(name: str, holds: str, fails: str) -> Callable[[Judged], Verdict]:
    def verdict(judged: Judged) -> Verdict:
        return bool(judged.figures[name]), holds if judged.figures[name] else fails

    return verdict


def _certificate(judged: Judged) -> Verdict:
    certificate, rows = judged.figures["certificate"], judged.figures["rows_selected"]
    # The bound is loose for small budgets (docs/method.md), so that the bar holds from 1,000 rows up.
    bar = judged.limits.certificate if rows >= 1_000 else judged.limits.certificate_small
    return (
        certificate >= bar,
        f"the selection reaches {certificate:.4f} of what any could reach (bar {bar:g})",
    )


def _kl_above_floor(judged: Judged) -> Verdict:
    kl, floor, most = judged.figures["kl"], judged.figures["kl_floor"], judged.limits.kl_above_floor
    text = f"KL(target || selection) is {kl:.4f}; no selection of this size is below {floor:.4f}"
    if most is None:
        return kl >= floor - 1e-9, text
    return floor - 1e-9 <= kl <= floor + most, f"{text}; at most {most:g} above it is allowed"


def _better_than_random(judged: Judged) -> Verdict:
    figures = judged.figures
    if "kl_random_limit" not in figures:
        return True, "not measured of this version"
    kl, random = figures["kl"], figures["kl_random"]
    text = f"KL(target || selection) is {kl:.4f}; of as many random rows it is {random:.4f}"
    if not figures["alignment"]:
        return True, f"{text}; alignment 0 asks for information alone"
    if figures["kl_pool"] < SAME_AS_POOL:
        return True, f"{text}; the target is the pool itself"
    allowed = judged.limits.kl_above_random
    if not farther_than_random(figures, allowed=allowed):
        return True, text
    most = figures["kl_random_limit"] + allowed
    return False, (
        f"{text}, and at most {most:.4f} is allowed: the selection does not answer what the target asks for. "
        "Loosen what leaves it so little to pick from (constraints, exclude, min_quality, stability), raise "
        "the alignment, or allow more with the limit kl_above_random"
    )


def _adds_up(judged: Judged) -> Verdict:
    worst = judged.figures["largest_difference"]
    return worst <= 1e-6, f"the parts of a row differ from its gain by {worst:.1e} at most"


CHECKS = (
    FigureCheck(
        "raw_instances", "rows_add_up", "Rows in = kept + rejected + duplicates.", _rows_add_up, blocking=True
    ),
    FigureCheck(
        "raw_instances",
        "few_rejected",
        "Few rows could not be read (limit `rejected`).",
        _share("rows_rejected", "rows_in", "rejected", "could not be read"),
    ),
    FigureCheck(
        "raw_instances",
        "few_duplicates",
        "Few rows are duplicates (limit `duplicate`).",
        _share("rows_duplicate", "rows_in", "duplicate", "are duplicates"),
    ),
    FigureCheck(
        "raw_instances",
        "rows_stay",
        "The pool has not lost many rows since the version before (limit `shrinkage`).",
        _rows_stay,
    ),
    FigureCheck(
        "filtered_rows",
        "few_filtered",
        "Your rules take few of the rows out (limit `filtered`).",
        _share("rows_filtered", "rows", "filtered", "were taken out by rules"),
    ),
    FigureCheck(
        "filtered_rows",
        "sources_keep_their_shares",
        "No source's share of the rows has jumped since the version before (limit `source_jump`).",
        _source_shares,
    ),
    FigureCheck(
        "instance_tags",
        "few_untagged",
        "Few kept rows have no tag; such rows cannot be selected (limit `untagged`).",
        _share("rows_untagged", "rows", "untagged", "have no tag"),
    ),
    FigureCheck(
        "knowledge_tree",
        "is_a_tree",
        "Every node but the root has one parent, no name is empty, levels shrink.",
        _figure_is_true("valid", "one root, levels shrink, names are set", "the tree is not valid"),
        blocking=True,
    ),
    FigureCheck(
        "knowledge_tree", "little_drift", "The tags have not drifted from the tree (limit `drift`).", _drift
    ),
    FigureCheck(
        "grounded_instances",
        "mass_is_one",
        "The mass of every grounded row is 1.",
        _figure_is_true("mass_is_one", "every grounded row has mass 1", "a row's mass is not 1"),
        blocking=True,
    ),
    FigureCheck(
        "selected_subset",
        "near_optimal",
        "The certificate shows that no selection could be much better (limit `certificate`).",
        _certificate,
    ),
    FigureCheck(
        "selected_subset",
        "kl_above_floor",
        "KL reached is not below its lower bound, nor too far above it (limit `kl_above_floor`).",
        _kl_above_floor,
    ),
    FigureCheck(
        "selected_subset",
        "better_than_random",
        "The selection is no farther from its target than random rows are (limit `kl_above_random`).",
        _better_than_random,
        blocking=True,
    ),
    FigureCheck(
        "selection_attribution",
        "parts_add_up",
        "A row's parts add up to its gain.",
        _adds_up,
        blocking=True,
    ),
)
"""Every asset check of the graph."""


def check_limits(limits: Limits) -> Limits:
    """Return the limits of a pool.

    Raises
    ------
    UserError
        For a name among `blocking` that no check has.
    """
    known = [check.name for check in CHECKS]
    for name in limits.blocking:
        if name not in known:
            raise UserError.unknown("check", name, known, where="limits.blocking")
    return limits


def checks_of(asset: str) -> tuple[FigureCheck, ...]:
    """List the checks of one asset."""
    return tuple(check for check in CHECKS if check.asset == asset)
