"""Asset checks: what must hold of an artifact, judged from the figures that are stored with it.

The figures are part of the version, so a version that is used again is judged again, at no cost, and with the
current limits, which are not part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

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

    name: str
    description: str
    verdict: Callable[[Judged], Verdict]
    blocking: bool = False

    def spec(self, asset: str) -> dg.AssetCheckSpec:
        """Describe the check to Dagster.

        All may block there; whether one does is said by the severity of its result, so that a limit changed
        while the UI runs counts at once.
        """
        return dg.AssetCheckSpec(self.name, asset=asset, description=self.description, blocking=True)

    def result(self, asset: str, judged: Iterable[tuple[str | None, Judged]]) -> dg.AssetCheckResult:
        """Judge every partition; the check passes where all of them do, and blocks where one does."""
        verdicts = [(partition, one.limits, *self.verdict(one)) for partition, one in judged]
        lines = [text if partition is None else f"{partition}: {text}" for partition, _, _, text in verdicts]
        blocks = any(self.blocks(limits) for _, limits, passed, _ in verdicts if not passed)
        return dg.AssetCheckResult(
            check_name=self.name,
            asset_key=asset,
            passed=all(passed for _, _, passed, _ in verdicts),
            severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
            description="; ".join(lines),
        )

    def blocks(self, limits: Limits) -> bool:
        """Whether what depends on the asset stops where this check fails."""
        return self.blocking or self.name in limits.blocking


def share(part: str, whole: str, limit: str, what: str) -> Callable[[Judged], Verdict]:
    def verdict(judged: Judged) -> Verdict:
        figures, most = judged.figures, getattr(judged.limits, limit)
        if part not in figures or whole not in figures:
            return True, f"not measured of this version ({part})"
        share = figures[part] / figures[whole] if figures[whole] else 0.0
        return share <= most, f"{share:.1%} of the rows {what} (limit {most:.0%})"

    return verdict


def figure_is_true(name: str, holds: str, fails: str) -> Callable[[Judged], Verdict]:
    def verdict(judged: Judged) -> Verdict:
        return bool(judged.figures[name]), holds if judged.figures[name] else fails

    return verdict
