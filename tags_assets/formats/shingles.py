"""Words as near-duplicate detection sees them, cut and hashed by compiled code.

A word is a run of letters, marks and digits, case folded. What a careful reader would not call a difference is no word:
white space, quotation marks, sentence punctuation behind a word, emphasis by asterisks. What carries meaning is one:
brackets, symbols, emoji, each character of a script that writes no spaces. Numbers and the operators between them are
marked as exact: two texts that differ in one of those are never near-duplicates.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from unicodedata import category

import numba
import numpy as np

from tags_assets.formats.codepoints import N_CODE_POINTS, flatten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHINGLE = 3
"""Words in a shingle."""

_SPACE, _LETTER, _DIGIT, _IGNORED, _ALONE, _STOP, _EXACT, _SYMBOL, _SIGN, _STAR = range(10)

_STOPS = ".,;:!?…"
_SIGNS = "-/"
_EXACT_SIGNS = "+=<>%^~±×÷√∑∏∫≤≥≠≈∞−¬∧∨∈∂∇$€£¥₹²³¹"
_SYMBOLS = "()[]{}#@&|\\"
# Scripts written without spaces: kana, Chinese, Thai, Lao, Tibetan, Myanmar, Khmer.
_UNSPACED = ((0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF))


@cache
def _classes() -> NDArray[np.uint8]:
    """Class of each code point."""
    classes = np.full(N_CODE_POINTS, _SYMBOL, dtype=np.uint8)
    of_category = {"L": _LETTER, "M": _LETTER, "N": _DIGIT, "Z": _SPACE, "P": _SPACE, "S": _SYMBOL}
    for point in range(0x10000):
        of = category(chr(point))
        classes[point] = _IGNORED if of == "Cf" else _LETTER if of == "Pc" else of_category.get(of[0], _SPACE)
    classes[0x20000:0x40000] = _ALONE
    for first, last in _UNSPACED:
        letters = classes[first : last + 1]
        letters[letters == _LETTER] = _ALONE
    for characters, kind in (
        (_STOPS, _STOP),
        (_SIGNS, _SIGN),
        (_EXACT_SIGNS, _EXACT),
        (_SYMBOLS, _SYMBOL),
        ("*", _STAR),
        ("'’", _IGNORED),
        ('"`“”‘«»„', _SPACE),
    ):
        classes[[ord(character) for character in characters]] = kind
    return classes


def words(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.int64]]:
    """Cut texts into words.

    Parameters
    ----------
    texts
        In Unicode's composed form and case folded.

    Returns
    -------
    hashes
        Of all words, text after text, uint64 (n_words,).
    exact
        Whether a word is a number or an operator, bool (n_words,).
    offsets
        Words of text i are ``hashes[offsets[i]:offsets[i + 1]]``, int64 (n_texts + 1,).
    """
    points, text_offsets = flatten(texts)
    hashes, exact, offsets = _cut(points, text_offsets, _classes())
    return hashes, exact, offsets


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_digit(
    points: NDArray[np.uint32], place: np.int64, step: np.int64, begin: np.int64, end: np.int64, classes: NDArray[np.uint8]
) -> bool:
    """Say whether the next character in a direction, one space aside, is a digit."""
    near = place + step
    if begin <= near < end and points[near] == 32:
        near += step
    return begin <= near < end and classes[points[near]] == _DIGIT


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _cut(
    points: NDArray[np.uint32], text_offsets: NDArray[np.int64], classes: NDArray[np.uint8]
) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.int64]]:
    hashes = np.empty(len(points), dtype=np.uint64)
    exact = np.zeros(len(points), dtype=np.bool_)
    offsets = np.zeros(len(text_offsets), dtype=np.int64)
    basis, prime = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
    n = 0
    for t in range(len(text_offsets) - 1):
        begin, end = text_offsets[t], text_offsets[t + 1]
        inside = False  # whether word n is being read
        h = basis
        number = False
        for i in range(begin, end):
            point = points[i]
            kind = classes[point]
            before = classes[points[i - 1]] if i > begin else _SPACE
            after = classes[points[i + 1]] if i + 1 < end else _SPACE
            if kind == _STOP and inside and number and before == _DIGIT and after == _DIGIT:
                kind = _LETTER  # the point in 3.5, the comma in 1,000
            if kind == _IGNORED:
                continue
            if kind == _LETTER or kind == _DIGIT:
                h = (h ^ np.uint64(point)) * prime
                h ^= h >> np.uint64(29)
                number = number or kind == _DIGIT
                inside = True
                continue
            if inside:
                hashes[n], exact[n] = h, number
                n += 1
                inside, number, h = False, False, basis
            if kind == _SPACE:
                continue
            marked = kind == _EXACT
            if kind == _STOP:
                # Punctuation of a sentence stands behind a word and before a space; a factorial behind a number.
                if before != _SPACE and (after == _SPACE or after == _STOP) and not (point == 33 and before == _DIGIT):
                    continue
                marked = point == 33 and before == _DIGIT
            elif kind == _SIGN or kind == _STAR:
                marked = _is_digit(points, i, 1, begin, end, classes) or _is_digit(points, i, -1, begin, end, classes)
                between = before == _LETTER and after == _LETTER
                apart = before == _SPACE and after == _SPACE
                if not marked:
                    # A hyphen, a dash, a bullet, emphasis: none of them a word. A slash, a product of letters: words.
                    if point == 45 and (between or apart or before != _SPACE):
                        continue
                    if kind == _STAR and not between:
                        continue
            h = (h ^ np.uint64(point)) * prime
            hashes[n], exact[n] = h ^ (h >> np.uint64(29)), marked
            h = basis
            n += 1
        if inside:
            hashes[n], exact[n] = h, number
            n += 1
        offsets[t + 1] = n
    return hashes[:n].copy(), exact[:n].copy(), offsets


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def mixed(a: np.uint64, b: np.uint64) -> np.uint64:
    """Combine two hashes into one, in their order (the finaliser of MurmurHash3)."""
    h = a * np.uint64(0x9E3779B97F4A7C15) + b
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> np.uint64(33))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def shingles(
    hashes: NDArray[np.uint64], row_offsets: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hash every `SHINGLE` words in a row; a row of fewer words is one shingle.

    Returns
    -------
    shingles
        uint64 (n_shingles,), in the order of the words, with repetitions.
    offsets
        int64 (n_rows + 1,).
    """
    n_rows = len(row_offsets) - 1
    offsets = np.zeros(n_rows + 1, dtype=np.int64)
    for r in range(n_rows):
        offsets[r + 1] = offsets[r] + max(row_offsets[r + 1] - row_offsets[r] - (SHINGLE - 1), 1)
    out = np.empty(offsets[-1], dtype=np.uint64)
    for r in range(n_rows):
        first = row_offsets[r]
        for s in range(offsets[r + 1] - offsets[r]):
            h = np.uint64(SHINGLE)
            for w in range(first + s, min(first + s + SHINGLE, row_offsets[r + 1])):
                h = mixed(h, hashes[w])
            out[offsets[r] + s] = h
    return out, offsets
