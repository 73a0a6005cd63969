"""Asset checks: what must hold of an artifact, judged from the figures that are stored with it.

The figures are part of the version, so a version that is used again is judged again, at no cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Verdict = tuple[bool, str]


@dataclass(frozen=True)
class FigureCheck:
    """A statement about an asset's figures, and whether what depends on the asset must wait for it."""

    asset: str
    name: str
    description: str
    verdict: Callable[[Mapping[str, Any]], Verdict]
    blocking: bool = False

    def spec(self) -> dg.AssetCheckSpec:
        """Describe the check to Dagster."""
        return dg.AssetCheckSpec(
            self.name, asset=self.asset, description=self.description, blocking=self.blocking
        )

    def result(self, figures_of: Iterable[tuple[str | None, Mapping[str, Any]]]) -> dg.AssetCheckResult:
        """Judge the figures of every partition; the check passes where all of them do."""
        verdicts = [(partition, *self.verdict(figures)) for partition, figures in figures_of]
        lines = [text if partition is None else f"{partition}: {text}" for partition, _, text in verdicts]
        return dg.AssetCheckResult(
            check_name=self.name,
            asset_key=self.asset,
            passed=all(passed for _, passed, _ in verdicts),
            severity=dg.AssetCheckSeverity.ERROR if self.blocking else dg.AssetCheckSeverity.WARN,
            description="; ".join(lines),
        )


def _rows_add_up(figures: Mapping[str, Any]) -> Verdict:
    rows_in, kept = figures["rows_in"], figures["rows_kept"]
    rejected, duplicate = figures["rows_rejected"], figures["rows_duplicate"]
    text = f"{rows_in:,} rows in = {kept:,} kept + {rejected:,} rejected + {duplicate:,} duplicates"
    return rows_in == kept + rejected + duplicate, text


def _share_at_most(part: str, whole: str, limit: float, what: str) -> Callable[[Mapping[str, Any]], Verdict]:
    def verdict(figures: Mapping[str, Any]) -> Verdict:
        share = figures[part] / figures[whole] if figures[whole] else 0.0
        return share <= limit, f"{share:.1%} of the rows {what} (limit {limit:.0%})"

    return verdict


def _figure_is_true(name: str, holds: str, fails: str) -> Callable[[Mapping[str, Any]], Verdict]:
    def verdict(figures: Mapping[str, Any]) -> Verdict:
        return bool(figures[name]), holds if figures[name] else fails

    return verdict


def _certificate(figures: Mapping[str, Any]) -> Verdict:
    certificate, rows = figures["certificate"], figures["rows_selected"]
    # The bound is loose for small budgets (docs/method.md), so that the bar holds from 1,000 rows up.
    bar = 0.99 if rows >= 1_000 else 0.5
    return certificate >= bar, f"the selection reaches {certificate:.4f} of what any could reach (bar {bar})"


def _kl_above_floor(figures: Mapping[str, Any]) -> Verdict:
    kl, floor = figures["kl"], figures["kl_floor"]
    return (
        kl >= floor - 1e-9,
        f"KL(target || selection) is {kl:.4f}; no selection of this size is below {floor:.4f}",
    )


def _adds_up(figures: Mapping[str, Any]) -> Verdict:
    worst = figures["largest_difference"]
    return worst <= 1e-6, f"the parts of a row differ from its gain by {worst:.1e} at most"


CHECKS = (
    FigureCheck(
        "raw_instances", "rows_add_up", "Rows in = kept + rejected + duplicates.", _rows_add_up, blocking=True
    ),
    FigureCheck(
        "raw_instances",
        "few_rejected",
        "At most a tenth of the rows could not be read.",
        _share_at_most("rows_rejected", "rows_in", 0.1, "could not be read"),
    ),
    FigureCheck(
        "raw_instances",
        "few_duplicates",
        "At most half of the rows are duplicates.",
        _share_at_most("rows_duplicate", "rows_in", 0.5, "are duplicates"),
    ),
    FigureCheck(
        "instance_tags",
        "few_untagged",
        "At most a tenth of the kept rows have no tag; such rows cannot be selected.",
        _share_at_most("rows_untagged", "rows", 0.1, "have no tag"),
    ),
    FigureCheck(
        "knowledge_tree",
        "is_a_tree",
        "Every node but the root has one parent, no name is empty, levels shrink.",
        _figure_is_true("valid", "one root, levels shrink, names are set", "the tree is not valid"),
        blocking=True,
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
        "The certificate shows that no selection could be much better.",
        _certificate,
    ),
    FigureCheck(
        "selected_subset", "kl_above_floor", "KL reached is not below its lower bound.", _kl_above_floor
    ),
    FigureCheck("selection_attribution", "parts_add_up", "A row's parts add up to its gain.", _adds_up),
)
"""Every asset check of the graph."""


def checks_of(asset: str) -> tuple[FigureCheck, ...]:
    """List the checks of one asset."""
    return tuple(check for check in CHECKS if check.asset == asset)
