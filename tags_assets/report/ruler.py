"""The line at the head of the report: how far from the target the selection is, and what lies beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.report import sentences as words

if TYPE_CHECKING:
    from collections.abc import Mapping


def ruler(figures: Mapping[str, object]) -> dict[str, object] | None:
    """Place floor, selection and pool on a line, in percent of its length; nothing where it would mislead."""
    kl, floor, (pool, against) = (
        *(words.real(figures.get(name)) for name in ("kl", "kl_floor")),
        compared_with(figures),
    )
    # A selection too small to be compared with the pool by its KL, or a target that is the pool: no line.
    if kl is None or floor is None or pool is None or kl > pool or pool <= words.NEAR_NOTHING:
        return None
    place = {
        name: round(min(max(v / pool, 0.0), 1.0) * 100, 1)
        for name, v in (("kl", kl), ("floor", floor), ("pool", pool))
    }
    texts = {f"{name}_text": words.number(v) for name, v in (("kl", kl), ("floor", floor), ("pool", pool))}

    limit = f"limit {texts['floor_text']}, " if floor > words.NEAR_NOTHING else ""

    def side(percent: float) -> str:
        return "toleft" if percent > 72 else "middle" if percent > 22 else ""

    return {
        **place,
        **texts,
        "has_floor": floor > words.NEAR_NOTHING,
        "went": round(max(place["pool"] - place["kl"], 0.0), 1),
        "kl_side": side(place["kl"]),
        # The line right below the bar is the right end's: on a phone its name fills it.
        "floor_side": f"lower {'toleft' if place['floor'] > 22 else ''}",
        "words": f"Distance from the target: {limit}this selection {texts['kl_text']}, {against} "
        f"{texts['pool_text']} nats",
        "against": against,
    }


def compared_with(figures: Mapping[str, object]) -> tuple[float | None, str]:
    """What the KL is compared with: random rows, or the pool where an older version has no such figure."""
    random = words.real(figures.get("kl_random"))
    if random is not None:
        return random, "random selection"
    return words.real(figures.get("kl_pool")), "pool as a whole"
