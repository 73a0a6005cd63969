"""Several selections as one data set with given shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping


def mixture_sizes(shares: Mapping[str, float], available: Mapping[str, int]) -> dict[str, int]:
    """Say how many rows of each part make the largest mixture with these shares.

    Parameters
    ----------
    shares
        Part -> share; relative to each other, all positive.
    available
        Part -> rows that it has.

    Raises
    ------
    UserError
        Where a share is not positive.
    """
    for name, share in shares.items():
        if not share > 0:
            raise InvalidInputError(
                f"the share of {name} is {share:g}", where="--mixture", fix="Shares are above 0."
            )
    total = sum(shares.values())
    size = min(available[name] * total / share for name, share in shares.items())
    return {name: min(available[name], round(size * share / total)) for name, share in shares.items()}
