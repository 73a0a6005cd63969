"""What the figures say, in sentences a reader who has never seen KL can use."""

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
    "rows_filtered": "rows that a rule of yours took out",
    "rows_untagged": "kept rows without a single tag",
    "rows_eligible": "rows to choose from",
    "n_candidates": "of these, rows that the target's own rules leave",
    "rows_selected": "rows selected",
    "tokens_selected": "tokens selected",
    "budget": "budget",
    "alignment": "alignment (lambda): 0 = information alone, 1 = target alone",
    "breadth": "breadth: variety against precision inside the target",
    "text_share": "text share: how much of closeness is the whole text's, beside its concepts'",
    "likeness": "likeness of the whole texts to the target, in nats a row",
    "kl": "KL(T, P_S): how far the selection is from the target, in nats",
    "kl_reverse": "KL(P_S, T): how far it strays outside the target, in nats",
    "kl_pool": "KL(T, P) of the pool as it is, in nats",
    "kl_random": "KL(T, P_S) of as many random rows, in nats",
    "kl_random_limit": "KL(T, P_S) above which a selection is farther from the target than random rows",
    "asked_share": "share of the selection on concepts of which the target asks for more than the pool has",
    "asked_share_pool": "share of the pool on these",
    "asked_share_target": "share of the target on these",
    "templates": "templates among the picks (rows whose prompts begin alike)",
    "largest_template_share": "share of the picks that are of the largest template",
    "largest_template": "how that template begins",
    "kl_floor": "lower bound of KL(T, P_S) over all selections of this size, in nats",
    "certificate": "value reached over an upper bound of the best possible",
    "bound": "upper bound of the value of any selection",
    "value": "value of the objective, F",
    "information_gain": "information gain, G",
    "closeness": "closeness to the target, in nats a row",
    "coverage": "coverage of the target",
    "faith_pd_pool": "Faith's phylogenetic diversity, pool",
    "faith_pd_selection": "Faith's phylogenetic diversity, selection",
    "rao_pool": "Rao's quadratic entropy, pool",
    "rao_selection": "Rao's quadratic entropy, selection",
    "mean_quality_of_pool": "mean quality, pool",
    "mean_quality": "mean quality, selection",
    "gain_scale": "information gain that greedy reaches by itself, G_g",
    "alignment_scale": "alignment that greedy reaches by itself, A_g",
    "certificate_asked": "certificate that was asked for",
    "certificate_limit": "certificate above which no bound of this kind can bring these rows",
    "rows_exchanged": "rows that the search for it exchanged",
    "value_before_search": "value before those were exchanged",
    "n_evaluations": "gains that the solver computed",
    "stability": "stability: how much the selection before counts",
    "strategy": "picks by",
    "other_value": "value of the other way to pick under a budget of tokens",
    "seed": "seed",
}
"""Figures that the report knows, and how it names them. Others are listed by their own names."""


ABSENT = "\N{EN DASH}"

NEAR_NOTHING = 0.005
"""Nats that would be written as 0."""


def number(value: object, digits: int = 2) -> str:
    """Write a number as a person reads it: 19,636; 0.41; 1.2e-05; nothing as a dash, texts as they are."""
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
    """Write a figure for a table of figures: up to six digits that count, no zeros at the end."""
    known = real(value)
    if known is None or known.is_integer():
        return number(value)
    return f"{known:,.6g}"


def points(change: float) -> str:
    """Write a change of a share: +1.5 points."""
    sign = "+" if change >= 0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(change) * 100:.1f} points"


def percent(share: object, digits: int = 1) -> str:
    """Write a share of 1 as a percentage; "under 0.1%" rather than 0.0% where there is something."""
    value = real(share)
    if value is None:
        return ABSENT
    least = 10 ** -(digits + 2)
    if 0 < value < least:
        return f"under {least * 100:.{digits}f}%"
    return f"{value * 100:.{digits}f}%"


def rows(value: object) -> str:
    """Write a mass in rows: "31 rows", "1 row", "0.4 rows"."""
    count = real(value) or 0.0
    if 0 < count < 0.05:
        return "under 0.1 rows"
    said = f"{count:.1f}".removesuffix(".0") if count < 10 else f"{round(count):,}"
    return f"{said} row" if said == "1" else f"{said} rows"


def real(value: object) -> float | None:
    """Read a figure that may be absent, not a number, or a text."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def headline(figures: Mapping[str, object], target: str) -> str:
    """Say in one sentence what was chosen, from what, for what."""
    selected, eligible = real(figures.get("rows_selected")), real(figures.get("rows_eligible"))
    what = f"{number(selected)} rows" if selected is not None else "A selection"
    of = ""
    if selected is not None and eligible:
        of = f" of {number(eligible)} ({percent(selected / eligible)})"
    aim = "to teach as much of the pool as they can" if target == "pool" else f"for “{target}”"
    return f"{what}{of}, chosen {aim}."


def intake(figures: Mapping[str, object]) -> str | None:
    """Say what became of every row that came in."""
    if real(figures.get("rows_in")) is None:
        return None
    parts = [
        f"{number(figures[name])} {words}"
        for name, words in (
            ("rows_rejected", "could not be read"),
            ("rows_duplicate", "were duplicates"),
            ("rows_filtered", "were taken out by a rule of yours"),
            ("rows_untagged", "had no tag"),
        )
        if (real(figures.get(name)) or 0) > 0
    ]
    lost = _listed(parts) if parts else "none was lost"
    eligible = real(figures.get("rows_eligible"))
    left = f", which leaves {number(eligible)} to choose from" if eligible is not None else ""
    return f"{number(figures['rows_in'])} rows came in: {lost}{left}."


def _why_farther(figures: Mapping[str, object]) -> str:
    """Say what the figures show of a selection that is farther from its target than random rows."""
    names = ("asked_share", "asked_share_pool", "asked_share_target")
    has, of_pool, wanted = (real(figures.get(name)) for name in names)
    if not real(figures.get("alignment")):
        return "Alignment 0 leaves the target out: the picks are chosen for what they teach alone."
    if has is None or of_pool is None or wanted is None:
        return "It does not answer what the target asks for."
    shares = f"{percent(has)} of it is on the concepts that the target asks for"
    if has <= of_pool:
        return f"{shares}, and of the pool {percent(of_pool)}: it does not answer what was asked."
    if has < wanted:
        return f"{shares}, of the pool {percent(of_pool)}; the target asks for {percent(wanted)}."
    return (
        f"{shares}, more than the {percent(wanted)} that it wants, but on few of them: this measure counts "
        "every concept that is left empty. A larger breadth brings it down."
    )


def _against_random(figures: Mapping[str, object]) -> list[str]:
    kl, random, pool = (real(figures.get(name)) for name in ("kl", "kl_random", "kl_pool"))
    if farther_than_random(figures):
        return [_why_farther(figures)]
    if kl is None or random is None or kl < random:
        return []
    if pool is not None and pool < NEAR_NOTHING:
        rare = "The picks seek what is rare in the pool: a row that repeats others adds little."
        return [f"{rare} A larger alignment brings them nearer to its mix."]
    return ["So it is no nearer than chance."]


def closeness(figures: Mapping[str, object], target: str) -> list[str]:
    """Say how near the target the selection came, and how near it could have come."""
    kl, floor, pool = (real(figures.get(name)) for name in ("kl", "kl_floor", "kl_pool"))
    random = real(figures.get("kl_random"))
    if kl is None:
        return []
    wish = "the pool's own mix" if target == "pool" else "the target"
    said = [f"The selection is {number(kl)} nats away from {wish} (KL divergence; 0 is a perfect match)."]
    if random is not None:
        # Of as many rows: fewer leave more concepts empty, and KL(T || P_S) counts every one of them.
        said.append(f"As many random rows would be {number(random)} away.")
        said += _against_random(figures)
    elif pool is not None and pool > NEAR_NOTHING:
        whole = f"The pool as a whole is {number(pool)} nats away from {wish} (KL divergence)"
        said = [f"{whole}; this selection is {number(kl)} away."]
        if kl > pool:
            said.append(
                "Fewer rows leave more concepts empty, and this measure counts every one of them: compare it "
                "between selections of one size only."
            )
    if floor is not None and floor > NEAR_NOTHING:
        said.append(
            f"No selection of this size from this pool can come nearer than {number(floor)} "
            "(a lower bound: the true limit may be higher)."
        )
        start = random if random is not None else pool
        if start is not None and start > kl and start > floor:
            closed = min((start - kl) / (start - floor), 1.0)
            said.append(f"It went at least {percent(closed, 0)} of the way that this pool allows.")
    reverse = real(figures.get("kl_reverse"))
    if reverse is not None and target != "pool":
        said.append(
            f"The other way round, {number(reverse)} nats: this one grows with picks that the target did not "
            "ask for."
        )
    return said


def certificate(figures: Mapping[str, object]) -> str:
    """Say what the certificate proves and what it does not."""
    value = real(figures.get("certificate"))
    if value is None:
        return "No certificate was computed for this selection."
    if value >= 1.0 - 1e-9:
        reached = "This is a best possible selection under the objective, proved by a matching upper bound."
    else:
        short = max(1.0 - value, 10**-4)
        reached = (
            f"No selection within this budget and these constraints can score more than "
            f"{percent(short / value, 2)} above this "
            f"one: it reaches {percent(value, 2)} of a proven upper bound."
        )
    weak = (
        " The bound is loose for small budgets, so the truth is likely better than this."
        if value < 0.99
        else ""
    )
    return (
        f"{reached}{weak} This certifies the search, not the objective: whether these rows train well is "
        "for an evaluation to say."
    )


def shortage(name: str, wanted: float, supply: float, reached: float | None = None) -> str:
    """Name one concept in short supply, with the numbers that say what to go and get."""
    got = f" The selection has {rows(reached)}." if reached is not None else ""
    return (
        f"The pool has {rows(supply)} on {name}, the target wants {rows(wanted)}: "
        f"{rows(wanted - supply)} missing.{got}"
    )


def marginal(last: float, mean: float) -> str:
    """Say whether more budget would still pay: what the last rows add against the mean row."""
    if mean <= 0:
        return ""
    ratio = last / mean
    verdict = (
        "a larger budget would still pay"
        if ratio >= 0.5
        else "a larger budget would pay little"
        if ratio >= 0.1
        else "a larger budget would add next to nothing"
    )
    return (
        f"At the budget, one more row adds {percent(max(ratio, 0.0), 0)} of what the mean row did: {verdict}."
    )


def budget_buys(at: int, share: float) -> str:
    """Say what a smaller or larger budget would have given."""
    return f"a budget of {rows(at)} gives {percent(share, 0)} of the value"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
