"""Texts as one flat array of code points, for compiled code that walks over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

N_CODE_POINTS = 0x110000


def flatten(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Lay texts end to end.

    Returns
    -------
    points
        Code points of all texts, uint32 (n_characters,).
    offsets
        Text i is ``points[offsets[i]:offsets[i + 1]]``, int64 (n_texts + 1,).
    """
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)), out=offsets[1:])
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return points.astype(np.uint32, copy=False), offsets
