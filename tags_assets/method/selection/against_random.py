"""When a selection is worse than random rows: one rule for the check, the notes and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SAME_AS_POOL = 1e-6
"""KL(T || pi) in nats below which the target is the pool itself, to which random rows are nearest."""


def farther_than_random(figures: Mapping[str, object], *, allowed: float = 0.0) -> bool:
    """Whether a selection is farther from its target than random rows of its size.

    ``kl_random_limit`` decides, not the mean ``kl_random``: samples of random rows vary. A target that is
    the pool itself, and figures of a version that has no such limit, are never farther.

    Parameters
    ----------
    figures
        Of `selected_subset`: ``kl``, ``kl_random_limit``, ``kl_pool``.
    allowed
        Nats above the limit that are allowed.

    Examples
    --------
    >>> farther_than_random({"kl": 2.2, "kl_random_limit": 2.1, "kl_pool": 1.5})
    True
    >>> farther_than_random({"kl": 2.2, "kl_random_limit": 2.1, "kl_pool": 1.5}, allowed=0.2)
    False
    """
    kl, limit, pool = (figures.get(name) for name in ("kl", "kl_random_limit", "kl_pool"))
    if not isinstance(kl, int | float) or not isinstance(limit, int | float):
        return False
    is_pool = isinstance(pool, int | float) and pool < SAME_AS_POOL
    return kl > limit + allowed and not is_pool
