"""Near-duplicates: rows that say the same in all but case, punctuation, a word, or a phrase before or behind.

Instruction data is full of rows that look alike and are not: word problems that differ in a number, hundreds
of tasks under one long template, questions about one passage. MinHash on shingles alone takes such rows for
duplicates, so here it only proposes pairs (banded signatures; Broder 1997; Leskovec et al., Mining of
Massive Datasets, 3.4), and `confirmed` decides by the words themselves. The rules are ours and put precision
first. Two rows are near-duplicates if

- the same roles speak in the same order, and all numbers, operators and negations are equal in their order;
- the Jaccard similarity of their sets of shingles, computed and not estimated, is at least `MIN_SIMILARITY`;
- turn by turn, one side only adds words before or behind; or they differ in one word, in a turn of at least
  `WORDS_A_CHANGE`; or, where all prompts are equal, the responses' words are `MIN_SIMILARITY` similar;
- that one word is not one for which three or more rows have another: such a place is a template's slot, and
  what stands in a slot is content.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING
from unicodedata import normalize

import numba
import numpy as np
from rensa import RMinHash

from tags_assets.formats.shingles import INDENT, mixed, shingles, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from tags_assets.formats.instance import Message

MIN_SIMILARITY = 0.8
WORDS_A_CHANGE = 50
MAX_FILLERS = 2
"""So many other rows may differ from a row in one place before that place is taken for a slot."""

N_BANDS, HASHES_A_BAND = 16, 8
"""Pairs of similarity 0.9, 0.8 and 0.5 are proposed with probability 0.9999, 0.95 and 0.06."""

_SEED = 20
_ESCAPED = re.compile(r"(\\[A-Z])")
_INDENT = re.compile(r"\n[ \t]+(?=\S)")
_NEIGHBOURS = 3
_ROLES = {"system": 0, "user": 1, "tool": 2, "assistant": 3}
_ASSISTANT = _ROLES["assistant"]


@dataclass(frozen=True, eq=False)
class Sketches:
    """What is kept of each row to find its near-duplicates.

    Attributes
    ----------
    wording
        Hash of all words in their order, uint64 (n_rows,); equal where only case and punctuation differ.
    n_words
        int32 (n_rows,).
    bands
        Hashes of the signature's bands, each with the row's numbers mixed in, uint64 (n_rows, N_BANDS).
    """

    wording: NDArray[np.uint64]
    n_words: NDArray[np.int32]
    bands: NDArray[np.uint64]


def sketch(
    conversations: Sequence[Sequence[Message]], identities: Sequence[str | None] | None = None
) -> Sketches:
    """Sketch conversations; each row's sketch depends on that row alone.

    ``identities`` tell rows that say the same apart, as `content_hash` takes them: two rows with other ones
    never share a band.
    """
    cut = _words_of(conversations)
    flat, offsets = shingles(cut.hashes, cut.word_rows)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        flat, offsets.astype(np.uint64), N_BANDS * HASHES_A_BAND, _SEED
    )
    digests = np.array(matrix.to_rows(), dtype=np.uint64).reshape(len(conversations), N_BANDS * HASHES_A_BAND)
    wording, bands = _hash_rows(cut.hashes, cut.exact, cut.turns, cut.roles, cut.rows, digests)
    if identities is not None:
        for row, identity in enumerate(identities):
            if identity is not None:
                salt = _salt(identity)
                wording[row] ^= salt
                bands[row] ^= salt
    return Sketches(wording, np.diff(cut.word_rows).astype(np.int32), bands)


def _salt(identity: str) -> np.uint64:
    digest = blake2b(identity.encode(errors="surrogatepass"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


@dataclass(frozen=True, eq=False)
class _Words:
    """The words of conversations, laid end to end.

    Words of turn t are ``hashes[turns[t]:turns[t + 1]]``, turns of row r are ``rows[r]`` to ``rows[r + 1]``.
    """

    hashes: NDArray[np.uint64]
    exact: NDArray[np.bool_]
    turns: NDArray[np.int64]
    roles: NDArray[np.uint8]
    rows: NDArray[np.int64]

    @property
    def word_rows(self) -> NDArray[np.int64]:
        """Where each row's words begin, int64 (n_rows + 1,)."""
        return self.turns[self.rows]


def _words_of(conversations: Sequence[Sequence[Message]]) -> _Words:
    turns = [turn for messages in conversations for turn in messages]
    hashes, exact, offsets = words([_folded(turn["content"]) for turn in turns])
    roles = np.array([_ROLES[turn["role"]] for turn in turns], dtype=np.uint8)
    rows = np.cumsum([0, *map(len, conversations)], dtype=np.int64)
    return _Words(hashes, exact, offsets, roles, rows)


def _folded(text: str) -> str:
    r"""Fold case, but not that of a letter behind a backslash, and keep how far lines are indented."""
    if not text.isascii():
        text = normalize("NFC", text)
    if "\\" in text:
        parts = _ESCAPED.split(text)
        parts[::2] = map(str.casefold, parts[::2])
        folded = "".join(parts)
    else:
        folded = text.casefold()
    if "\n " in folded or "\n\t" in folded:
        folded = _INDENT.sub(lambda match: f"\n{chr(INDENT + min(len(match[0]) - 1, 255))} ", folded)
    return folded


@numba.njit(cache=True, nogil=True)
def _hash_rows(  # noqa: PLR0917 - numba takes no keywords only
    hashes: NDArray[np.uint64],
    exact: NDArray[np.bool_],
    turns: NDArray[np.int64],
    roles: NDArray[np.uint8],
    rows: NDArray[np.int64],
    digests: NDArray[np.uint64],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    n_rows = len(rows) - 1
    wording = np.empty(n_rows, dtype=np.uint64)
    bands = np.empty((n_rows, N_BANDS), dtype=np.uint64)
    for r in range(n_rows):
        whole, numbers = np.uint64(1), np.uint64(1)
        for t in range(rows[r], rows[r + 1]):
            whole = mixed(whole, np.uint64(roles[t]))
            for w in range(turns[t], turns[t + 1]):
                whole = mixed(whole, hashes[w])
                if exact[w]:
                    numbers = mixed(numbers, hashes[w])
        wording[r] = whole
        for b in range(N_BANDS):
            h = mixed(numbers, np.uint64(b))
            for d in range(b * HASHES_A_BAND, (b + 1) * HASHES_A_BAND):
                h = mixed(h, digests[r, d])
            bands[r, b] = h
    return wording, bands


def proposed(bands: Iterable[NDArray[np.uint64]], n_words: NDArray[np.int32]) -> NDArray[np.int64]:
    """Propose pairs of rows that share a band.

    A row is paired with the first row of its bucket and with the few before it, so that the pairs grow as the
    rows do even where thousands share a template.

    Parameters
    ----------
    bands
        The columns of `Sketches.bands`, one at a time, each uint64 (n_rows,).
    n_words
        int32 (n_rows,).

    Returns
    -------
    pairs
        Row numbers, the earlier first, sorted, int64 (n_pairs, 2).
    """
    n_rows = len(n_words)
    if not n_rows:
        return np.empty((0, 2), dtype=np.int64)
    found = np.empty(0, dtype=np.int64)
    for band in bands:
        order = np.argsort(band, kind="stable")
        value = band[order]
        starts = np.flatnonzero(np.r_[True, value[1:] != value[:-1]])
        first = np.repeat(order[starts], np.diff(np.r_[starts, n_rows]))
        codes = [first * n_rows + order]
        for step in range(1, _NEIGHBOURS + 1):
            same = value[step:] == value[:-step]
            codes.append(order[:-step][same] * n_rows + order[step:][same])
        code = np.concatenate(codes)
        a, b = code // n_rows, code % n_rows
        # Similar sets are of similar size; repeated words make the number of words a rougher guide.
        fewer, more = np.minimum(n_words[a], n_words[b]), np.maximum(n_words[a], n_words[b])
        found = np.union1d(found, code[(a != b) & (fewer >= (MIN_SIMILARITY - 0.1) * more)])
    return np.stack([found // n_rows, found % n_rows], axis=1)


def confirmed(
    conversations: Sequence[Sequence[Message]], pairs: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Decide pairs by their words, all rules but the last.

    Parameters
    ----------
    conversations
        The rows that the pairs number.
    pairs
        int64 (n_pairs, 2).

    Returns
    -------
    near
        Whether each pair is a near-duplicate, bool (n_pairs,).
    places
        Which word of its rows is another, from the row's beginning; -1 where none is, int64 (n_pairs,).
    """
    cut = _words_of(conversations)
    flat, offsets = shingles(cut.hashes, cut.word_rows)
    _sort_rows(flat, offsets)
    near, places = _decide(pairs, flat, offsets, cut.hashes, cut.exact, cut.turns, cut.roles, cut.rows)
    return near, places


def outside_slots(pairs: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which pairs do not differ in a template's slot: a word for which three or more rows have another.

    Parameters
    ----------
    pairs, places
        Of the pairs that were `confirmed`, int64 (n_pairs, 2) and (n_pairs,).
    """
    if not len(pairs):
        return np.empty(0, dtype=np.bool_)
    # Each pair tells of both of its rows that another row differs from it in this place.
    at = np.concatenate([np.stack([pairs[:, side], places], axis=1) for side in (0, 1)])
    _, place_of, fillers = np.unique(at, axis=0, return_inverse=True, return_counts=True)
    return np.asarray((fillers[place_of.reshape(2, -1)] <= MAX_FILLERS).all(axis=0) | (places < 0))


def representatives(pairs: NDArray[np.int64]) -> dict[int, int]:
    """Map each near-duplicate to the earlier row that is kept in its place.

    Rows are gone through in order, and a row is a near-duplicate if one that was kept is near to it, so no
    chain of small differences leads away from the kept row.

    Parameters
    ----------
    pairs
        Near pairs, the earlier row first, int64 (n_pairs, 2).
    """
    kept: dict[int, int] = {}
    order = np.lexsort((pairs[:, 0], pairs[:, 1]))
    for earlier, later in pairs[order].tolist():
        if earlier not in kept and later not in kept:
            kept[later] = earlier
    return kept


@numba.njit(cache=True, nogil=True)
def _sort_rows(values: NDArray[np.uint64], offsets: NDArray[np.int64]) -> None:
    for r in range(len(offsets) - 1):
        values[offsets[r] : offsets[r + 1]].sort()


@numba.njit(cache=True, nogil=True)
def _decide(  # noqa: PLR0917 - numba takes no keywords only
    pairs: NDArray[np.int64],
    flat: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    exact: NDArray[np.bool_],
    turns: NDArray[np.int64],
    roles: NDArray[np.uint8],
    rows: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    near = np.zeros(len(pairs), dtype=np.bool_)
    places = np.full(len(pairs), -1, dtype=np.int64)
    for p in range(len(pairs)):
        a, b = pairs[p, 0], pairs[p, 1]
        n_turns = rows[a + 1] - rows[a]
        if n_turns != rows[b + 1] - rows[b]:
            continue
        if _jaccard(flat[offsets[a] : offsets[a + 1]], flat[offsets[b] : offsets[b + 1]]) < MIN_SIMILARITY:
            continue
        alike, same_prompts = True, True
        for t in range(n_turns):
            i, j = rows[a] + t, rows[b] + t
            words_a, words_b = hashes[turns[i] : turns[i + 1]], hashes[turns[j] : turns[j + 1]]
            exact_a, exact_b = exact[turns[i] : turns[i + 1]], exact[turns[j] : turns[j + 1]]
            same = roles[i] == roles[j] and _same_numbers(words_a, exact_a, words_b, exact_b)
            alike = alike and same
            if roles[i] != _ASSISTANT:
                same_prompts = same_prompts and _difference(words_a, words_b)[1] == 0
        for t in range(n_turns):
            i, j = rows[a] + t, rows[b] + t
            words_a, words_b = hashes[turns[i] : turns[i + 1]], hashes[turns[j] : turns[j + 1]]
            head, changed = _difference(words_a, words_b)
            if changed == 0 or _contains(words_a, words_b):
                continue
            alone = changed == 1 and (_is_alone(words_a, head) or _is_alone(words_b, head))
            if alone:
                alike = False
                continue
            if changed == 1 and min(len(words_a), len(words_b)) >= WORDS_A_CHANGE:
                places[p] = turns[i] - turns[rows[a]] + head
                continue
            reworded = (
                roles[i] == _ASSISTANT and same_prompts and _overlap(words_a, words_b) >= MIN_SIMILARITY
            )
            alike = alike and reworded
        near[p] = alike
    return near, places


@numba.njit(cache=True, nogil=True)
def _is_alone(words: NDArray[np.uint64], place: int) -> bool:
    """Say whether a word is one character of a script without spaces, which may turn what is said."""
    return place < len(words) and words[place] & np.uint64(1) == np.uint64(1)


@numba.njit(cache=True, nogil=True)
def _same_numbers(
    a: NDArray[np.uint64], exact_a: NDArray[np.bool_], b: NDArray[np.uint64], exact_b: NDArray[np.bool_]
) -> bool:
    i, j = 0, 0
    while True:
        while i < len(a) and not exact_a[i]:
            i += 1
        while j < len(b) and not exact_b[j]:
            j += 1
        if i == len(a) or j == len(b):
            return i == len(a) and j == len(b)
        if a[i] != b[j]:
            return False
        i += 1
        j += 1


@numba.njit(cache=True, nogil=True)
def _difference(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> tuple[int, int]:
    """Return where two texts begin to differ, and how many words the stretch that differs has."""
    shorter = min(len(a), len(b))
    head = 0
    while head < shorter and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < shorter - head and a[len(a) - 1 - tail] == b[len(b) - 1 - tail]:
        tail += 1
    return head, max(len(a), len(b)) - head - tail


@numba.njit(cache=True, nogil=True)
def _contains(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> bool:
    """Say whether one text is the other with words before it, behind it or both."""
    if len(a) < len(b):
        a, b = b, a
    if not len(b):
        return True
    # Knuth, Morris and Pratt: texts of one repeated word would be compared in quadratic time.
    border = np.zeros(len(b), dtype=np.int64)
    place = 0
    for i in range(1, len(b)):
        while place and b[i] != b[place]:
            place = border[place - 1]
        if b[i] == b[place]:
            place += 1
        border[i] = place
    place = 0
    for word in a:
        while place and word != b[place]:
            place = border[place - 1]
        if word == b[place]:
            place += 1
            if place == len(b):
                return True
    return False


@numba.njit(cache=True, nogil=True)
def _overlap(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    """Jaccard similarity of the words of two texts, repetitions counted."""
    a, b = np.sort(a), np.sort(b)
    i, j, both = 0, 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            both += 1
        i, j = i + (a[i] <= b[j]), j + (b[j] <= a[i])
    either = len(a) + len(b) - both
    return both / either if either else 1.0


@numba.njit(cache=True, nogil=True)
def _jaccard(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    """Jaccard similarity of two sorted arrays as sets."""
    i, j, both, either = 0, 0, 0, 0
    while i < len(a) or j < len(b):
        if j == len(b) or (i < len(a) and a[i] < b[j]):
            value = a[i]
        elif i == len(a) or b[j] < a[i]:
            value = b[j]
        else:
            value = a[i]
            both += 1
        either += 1
        while i < len(a) and a[i] == value:
            i += 1
        while j < len(b) and b[j] == value:
            j += 1
    return both / either if either else 1.0
