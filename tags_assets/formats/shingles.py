"""Words as near-duplicate detection sees them, cut and hashed by compiled code.

A word is a run of letters, marks and digits, case folded. What a careful reader would not call a difference
is no word: white space, quotation marks, sentence punctuation behind a word, emphasis by asterisks. What
carries meaning is one: brackets, symbols, emoji, each character of a script that writes no spaces. Numbers,
the operators between them, negations and what stands behind a backslash are marked as exact: two texts that
differ in one of those are never near-duplicates.
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

_NEGATION = np.uint64(0x6E6F74)
_SPACE, _LETTER, _DIGIT, _IGNORED, _ALONE, _STOP, _EXACT, _SYMBOL, _SIGN, _STAR = range(10)

NEGATIONS = [
    "not",
    "no",
    "never",
    "none",
    "nor",
    "neither",
    "without",
    "cannot",
    "nothing",
    "nobody",
    "nowhere",
    "hardly",
    "dont",
    "doesnt",
    "didnt",
    "isnt",
    "arent",
    "wasnt",
    "werent",
    "cant",
    "couldnt",
    "wont",
    "wouldnt",
    "shouldnt",
    "hasnt",
    "havent",
    "hadnt",
    "mustnt",
    "nicht",
    "kein",
    "keine",
    "keinen",
    "keiner",
    "nie",
    "ohne",
    "ne",
    "pas",
    "jamais",
    "sans",
    "sin",
    "nunca",
    "jamás",
    "non",
    "mai",
    "senza",
    "не",
    "нет",
    "никогда",
    "без",
]
"""Words that turn what is said into its opposite, in some languages; apostrophes are no part of a word."""

INDENT = 0x2800
"""First of the symbols, no text of words has them, that stand for how far a line is indented."""

_HYPHEN, _FACTORIAL, _BACKSLASH = ord("-"), ord("!"), ord("\\")
_STOPS = ".,;:!?…"
_SIGNS = "-/"
_EXACT_SIGNS = "+=<>%^~±×÷√∑∏∫≤≥≠≈∞−¬∧∨∈∂∇$€£¥₹"  # noqa: RUF001 - these very signs
_SYMBOLS = "()[]{}#@&|\\"
# Scripts written without spaces: kana, Chinese, Thai, Lao, Tibetan, Myanmar, Khmer.
_UNSPACED = (
    (0x0E00, 0x0FFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
)


@cache
def _classes() -> NDArray[np.uint8]:
    """Class of each code point."""
    classes = np.full(N_CODE_POINTS, _SYMBOL, dtype=np.uint8)
    of_category = {"L": _LETTER, "M": _LETTER, "N": _DIGIT, "Z": _SPACE, "P": _SPACE, "S": _SYMBOL}
    for point in range(0x10000):
        of = category(chr(point))
        classes[point] = _IGNORED if of == "Cf" else _LETTER if of == "Pc" else of_category.get(of[0], _SPACE)
    classes[0x20000:0x40000] = _ALONE
    classes[INDENT : INDENT + 256] = _EXACT
    for first, last in _UNSPACED:
        letters = classes[first : last + 1]
        letters[letters == _LETTER] = _ALONE
    for characters, kind in (
        (_STOPS, _STOP),
        (_SIGNS, _SIGN),
        (_EXACT_SIGNS, _EXACT),
        (_SYMBOLS, _SYMBOL),
        ("*", _STAR),
        ("'\u2019", _IGNORED),
        ('"`\u201c\u201d\u2018«»„', _SPACE),
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
    place = np.searchsorted(negations := _negations(), hashes)
    negates = negations[np.minimum(place, len(negations) - 1)] == hashes
    hashes[negates] = _NEGATION  # "no sign" and "not a sign" say the same
    exact |= negates
    return hashes, exact, offsets


@cache
def _negations() -> NDArray[np.uint64]:
    """Return the hashes of `NEGATIONS`, sorted."""
    points, offsets = flatten(NEGATIONS)
    return np.unique(_cut(points, offsets, _classes())[0])


@numba.njit(cache=True, nogil=True)
def _beside_digit(text: NDArray[np.uint32], place: int, classes: NDArray[np.uint8]) -> bool:
    """Say whether a character has a digit before or behind it, one space aside."""
    for step in (-1, 1):
        near = place + step
        if 0 <= near < len(text) and text[near] == 32:
            near += step
        if 0 <= near < len(text) and classes[text[near]] == _DIGIT:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _cut(  # noqa: C901, PLR0912, PLR0915 - one automaton, in one place
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
            if kind in (_LETTER, _DIGIT):
                h = (h ^ np.uint64(point)) * prime
                h ^= h >> np.uint64(29)
                number = (
                    number or kind == _DIGIT or (not inside and i > begin and points[i - 1] == _BACKSLASH)
                )
                inside = True
                continue
            if inside:
                hashes[n], exact[n] = h & ~np.uint64(1), number
                n += 1
                inside, number, h = False, False, basis
            if kind == _SPACE:
                continue
            marked = kind == _EXACT
            if kind == _STOP:
                # Punctuation of a sentence: behind a word, before a space. A factorial: behind a digit.
                marked = point == _FACTORIAL and before == _DIGIT
                if not marked and before != _SPACE and after in (_SPACE, _STOP):
                    continue
            elif kind in (_SIGN, _STAR):
                marked = _beside_digit(points[begin:end], i - begin, classes)
                between = before == _LETTER and after == _LETTER
                # A hyphen, a dash, a bullet and emphasis are no words; a slash and a product of letters are.
                if not marked and point == _HYPHEN and (before != _SPACE or after == _SPACE):
                    continue
                if not marked and kind == _STAR and not between:
                    continue
            h = (h ^ np.uint64(point)) * prime
            h ^= h >> np.uint64(29)
            # The last bit tells a character that is a word by itself from words of letters.
            hashes[n] = h | np.uint64(1) if kind == _ALONE else h & ~np.uint64(1)
            exact[n] = marked
            h = basis
            n += 1
        if inside:
            hashes[n], exact[n] = h & ~np.uint64(1), number
            n += 1
        offsets[t + 1] = n
    return hashes[:n].copy(), exact[:n].copy(), offsets


@numba.njit(cache=True, nogil=True)
def mixed(a: np.uint64, b: np.uint64) -> np.uint64:
    """Combine two hashes into one, in their order (the finaliser of MurmurHash3)."""
    h = a * np.uint64(0x9E3779B97F4A7C15) + b
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> np.uint64(33))


@numba.njit(cache=True, nogil=True)
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
