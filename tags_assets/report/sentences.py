"""Sentences that explain the figures to a reader who does not know KL divergence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tags_assets.method.selection.against_random import farther_than_random

if TYPE_CHECKING:
    from collections.abc import Mapping

FIGURES: dict[str, str] = {
    "rows_in": "rows read",
    "rows_kept": "rows kept",
    "rows_rejected": "rows that could not be read",
    "rows_duplicate": "duplicates and near-duplicates",
    "rows_filtered": "rows removed by your filters",
    "rows_untagged": "kept rows without a single tag",
    "rows_eligible": "rows to choose from",
    "n_candidates": "of these, rows that satisfy the target's constraints",
    "rows_selected": "rows selected",
    "tokens_selected": "tokens selected",
    "budget": "budget",
    "alignment": "alignment (lambda): 0 = information alone, 1 = target alone",
    "breadth": "breadth: variety against precision inside the target",
    "text_share": "text share: weight of the whole text in closeness, against its concepts",
    "likeness": "similarity of the whole texts to the target, in nats per row",
    "kl": "KL(T, P_S): how far the selection is from the target, in nats",
    "kl_reverse": "KL(P_S, T): how far it strays outside the target, in nats",
    "kl_pool": "KL(T, P) of the pool as it is, in nats",
    "kl_random": "KL(T, P_S) of a random selection of the same size, in nats",
    "kl_random_limit": "KL(T, P_S) above which a selection is farther from the target than a random one",
    "asked_share": "share of the selection on concepts more frequent in the target than in the pool",
    "asked_share_pool": "share of the pool on these concepts",
    "asked_share_target": "share of the target on these concepts",
    "templates": "templates in the selection (groups of rows whose prompts begin alike)",
    "largest_template_share": "share of the selected rows in the largest template",
    "largest_template": "beginning of that template",
    "kl_floor": "lower bound of KL(T, P_S) over all selections of this size, in nats",
    "certificate": "value reached, as a fraction of an upper bound on the best possible value",
    "bound": "upper bound on the value of any selection",
    "value": "value of the objective, F",
    "information_gain": "information gain, G",
    "closeness": "closeness to the target, in nats per row",
    "coverage": "coverage of the target",
    "faith_pd_pool": "Faith's phylogenetic diversity, pool",
    "faith_pd_selection": "Faith's phylogenetic diversity, selection",
    "rao_pool": "Rao's quadratic entropy, pool",
    "rao_selection": "Rao's quadratic entropy, selection",
    "mean_quality_of_pool": "mean quality, pool",
    "mean_quality": "mean quality, selection",
    "gain_scale": "information gain of greedy selection for gain alone, G_g",
    "alignment_scale": "alignment of greedy selection for alignment alone, A_g",
    "certificate_asked": "requested certificate",
    "certificate_limit": "highest certificate that this kind of bound can prove for these rows",
    "rows_exchanged": "rows exchanged by the search for that certificate",
    "value_before_search": "value before these exchanges",
    "n_evaluations": "gains computed by the solver",
    "stability": "stability: weight of the previous selection",
    "strategy": "greedy strategy",
    "other_value": "value of the other greedy strategy under a token budget",
    "seed": "seed",
}
"""Labels of the figures in the report; any other figure is listed under its key."""


ABSENT = "\N{EN DASH}"

NEAR_NOTHING = 0.005
"""Differences in nats below this are treated as 0."""


def number(value: object, digits: int = 2) -> str:
    """Format a number for reading: 19,636; 0.41; 1.2e-05; None is a dash, text stays unchanged."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return ABSENT if value is None else str(value)
    if not math.isfinite(value):
        return ABSENT if math.isnan(value) else str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) < 10 ** -(digits + 1):
        return f"{value:.1e}"
    return f"{value:,.{0 if abs(value) >= 100 else digits}f}"


def exact(value: object) -> str:
    """Format a figure for a table: up to six significant digits, no trailing zeros."""
    known = real(value)
    if known is None or known.is_integer():
        return number(value)
    return f"{known:,.6g}"


def points(change: float) -> str:
    """Format a change of a share in percentage points: +1.5 points."""
    sign = "+" if change >= 0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(change) * 100:.1f} points"


def percent(share: object, digits: int = 1) -> str:
    """Format a share as a percentage; a positive share is never 0.0% but "under 0.1%"."""
    value = real(share)
    if value is None:
        return ABSENT
    least = 10 ** -(digits + 2)
    if 0 < value < least:
        return f"under {least * 100:.{digits}f}%"
    return f"{value * 100:.{digits}f}%"


def rows(value: object) -> str:
    """Format a mass in rows: "31 rows", "1 row", "0.4 rows"."""
    count = real(value) or 0.0
    if 0 < count < 0.05:
        return "under 0.1 rows"
    said = f"{count:.1f}".removesuffix(".0") if count < 10 else f"{round(count):,}"
    return f"{said} row" if said == "1" else f"{said} rows"


def real(value: object) -> float | None:
    """Return a finite number as a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def headline(figures: Mapping[str, object], target: str) -> str:
    """Summarise the selection in one sentence: how many rows, out of how many, for which target."""
    selected, eligible = real(figures.get("rows_selected")), real(figures.get("rows_eligible"))
    what = f"{number(selected)} rows" if selected is not None else "A selection"
    of = ""
    if selected is not None and eligible:
        of = f" of {number(eligible)} ({percent(selected / eligible)})"
    aim = "to cover as much of the pool as possible" if target == "pool" else f"for “{target}”"
    return f"{what}{of}, chosen {aim}."


def intake(figures: Mapping[str, object]) -> str | None:
    """Account for every row of the input."""
    if real(figures.get("rows_in")) is None:
        return None
    parts = [
        f"{number(figures[name])} {words}"
        for name, words in (
            ("rows_rejected", "could not be read"),
            ("rows_duplicate", "were duplicates"),
            ("rows_filtered", "were removed by your filters"),
            ("rows_untagged", "had no tag"),
        )
        if (real(figures.get(name)) or 0) > 0
    ]
    lost = _listed(parts) if parts else "all were kept"
    eligible = real(figures.get("rows_eligible"))
    left = f", leaving {number(eligible)} eligible" if eligible is not None else ""
    return f"{number(figures['rows_in'])} rows were read: {lost}{left}."


def _why_farther(figures: Mapping[str, object]) -> str:
    """Explain why a selection is farther from its target than random rows."""
    names = ("asked_share", "asked_share_pool", "asked_share_target")
    has, of_pool, wanted = (real(figures.get(name)) for name in names)
    if not real(figures.get("alignment")):
        return "Alignment 0 ignores the target: rows are picked for information gain alone."
    if has is None or of_pool is None or wanted is None:
        return "It does not match the target."
    shares = f"{percent(has)} of the selection is on concepts that the target emphasises"
    if has <= of_pool:
        return f"{shares}, against {percent(of_pool)} of the pool: it does not match the target."
    if has < wanted:
        return f"{shares}, against {percent(of_pool)} of the pool and {percent(wanted)} of the target."
    return (
        f"{shares}, more than the {percent(wanted)} of the target, but only on few of them, and KL "
        "penalises every concept left empty. A larger breadth lowers it."
    )


def _against_random(figures: Mapping[str, object]) -> list[str]:
    kl, random, pool = (real(figures.get(name)) for name in ("kl", "kl_random", "kl_pool"))
    if farther_than_random(figures):
        return [_why_farther(figures)]
    if kl is None or random is None or kl < random:
        return []
    if pool is not None and pool < NEAR_NOTHING:
        rare = "The selection favours rare concepts, because a row that repeats others adds little."
        return [f"{rare} A larger alignment brings it closer to the pool's mix."]
    return ["The selection is no closer than chance."]


def closeness(figures: Mapping[str, object], target: str) -> list[str]:
    """Say how close to the target the selection is, and how close it could be."""
    kl, floor, pool = (real(figures.get(name)) for name in ("kl", "kl_floor", "kl_pool"))
    random = real(figures.get("kl_random"))
    if kl is None:
        return []
    wish = "the pool's own mix" if target == "pool" else "the target"
    said = [f"The selection is {number(kl)} nats from {wish} (KL divergence; 0 is a perfect match)."]
    if random is not None:
        # Of as many rows: fewer leave more concepts empty, and KL(T || P_S) counts every one of them.
        said.append(f"A random selection of the same size would be {number(random)} away.")
        said += _against_random(figures)
    elif pool is not None and pool > NEAR_NOTHING:
        whole = f"The pool as a whole is {number(pool)} nats from {wish} (KL divergence)"
        said = [f"{whole}; this selection is {number(kl)} away."]
        if kl > pool:
            said.append(
                "Fewer rows leave more concepts empty, and this measure counts every one of them: compare it "
                "between selections of one size only."
            )
    if floor is not None and floor > NEAR_NOTHING:
        said.append(
            f"No selection of this size from this pool can be closer than {number(floor)} "
            "(a lower bound: the true limit may be higher)."
        )
        start = random if random is not None else pool
        if start is not None and start > kl and start > floor:
            closed = min((start - kl) / (start - floor), 1.0)
            said.append(
                f"It closes at least {percent(closed, 0)} of the gap that this pool allows it to close."
            )
    reverse = real(figures.get("kl_reverse"))
    if reverse is not None and target != "pool":
        said.append(f"The reverse KL is {number(reverse)} nats; it grows with rows outside the target.")
    return said


def certificate(figures: Mapping[str, object]) -> str:
    """Explain what the certificate proves and what it does not."""
    value = real(figures.get("certificate"))
    if value is None:
        return "No certificate was computed for this selection."
    if value >= 1.0 - 1e-9:
        reached = "This selection is optimal under the objective, as a matching upper bound proves."
    else:
        short = max(1.0 - value, 10**-4)
        reached = (
            f"No selection within this budget and these constraints can score more than "
            f"{percent(short / value, 2)} above this "
            f"one: it reaches {percent(value, 2)} of a proven upper bound."
        )
    weak = (
        " The bound is loose for small budgets, so the selection is probably better than this."
        if value < 0.99
        else ""
    )
    return (
        f"{reached}{weak} This certifies the search, not the objective: only an evaluation "
        "shows whether these rows train a good model."
    )


def shortage(name: str, wanted: float, supply: float, reached: float | None = None) -> str:
    """Describe one concept in short supply, with the number of missing rows."""
    got = f" The selection has {rows(reached)}." if reached is not None else ""
    return (
        f"The pool has {rows(supply)} on {name}, the target needs {rows(wanted)}: "
        f"{rows(wanted - supply)} missing.{got}"
    )


def marginal(last: float, mean: float) -> str:
    """Say whether a larger budget would pay off, from what the last rows add compared with the mean row."""
    if mean <= 0:
        return ""
    ratio = last / mean
    verdict = (
        "a larger budget would still pay off"
        if ratio >= 0.5
        else "a larger budget would help little"
        if ratio >= 0.1
        else "a larger budget would add next to nothing"
    )
    return (
        f"At the budget, one more row adds {percent(max(ratio, 0.0), 0)} as much as the mean row: {verdict}."
    )


def budget_buys(at: int, share: float) -> str:
    """Say what share of the value another budget would reach."""
    return f"a budget of {rows(at)} gives {percent(share, 0)} of the value"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
