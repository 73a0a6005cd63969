"""The four steps that make clusters into concepts: summarise, deduplicate, reassign, rename.

A `Refiner` is asked in batches over groups of siblings and answers in plain data. It may be an LLM, so
nothing it says is trusted: the functions ``checked_*`` keep what is usable in an answer and drop the rest,
so that the tree stays valid whatever comes back.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_NAME_LENGTH = 80
"""Longest name of a node, in characters; what is beyond is cut at a word."""

N_LISTED = 6
"""Main concepts that a description lists where nobody wrote a better one."""

MAX_DESCRIPTION_LENGTH = 300
"""Longest description of a node, in characters."""


@dataclass(frozen=True)
class Concept:
    """A node of the tree as a refiner sees it.

    Attributes
    ----------
    name, description
        What it is called so far; the description may be empty.
    n_tags
        Tags below it.
    n_rows
        Rows that bear those tags (a row with two of them counts twice).
    members
        Names of the nodes directly below (tags, below a leaf), the most typical first; a sample where there
        are many.
    candidates
        Names that its own tags suggest, the best first. Never empty, and readable as they are.
    """

    name: str
    description: str
    n_tags: int
    n_rows: int
    members: tuple[str, ...]
    candidates: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """Name and one-line description of a concept."""

    name: str
    description: str = ""


@dataclass(frozen=True)
class Neighbours:
    """Concepts of one level that lie so near to one another that some may mean the same.

    ``similarity`` holds the cosines between them, (n, n).
    """

    concepts: tuple[Concept, ...]
    similarity: NDArray[np.float64]


@dataclass(frozen=True)
class Doubt:
    """Children of one parent that another parent might suit as well.

    Attributes
    ----------
    children
        Siblings: all of them are under ``parents[current]`` now.
    parents
        Parents on offer, the present one among them.
    current
        Position of the present parent in ``parents``.
    fit
        Cosine between child and parent, the child itself left out of its present parent,
        (n_children, n_parents).
    """

    children: tuple[Concept, ...]
    parents: tuple[Concept, ...]
    current: int
    fit: NDArray[np.float64]


@dataclass(frozen=True)
class Siblings:
    """The children of one parent, of which at least two are named alike, or one like the parent."""

    parent: Concept
    children: tuple[Concept, ...]


class Refiner(Protocol):
    """What turns clusters into concepts. Each method answers a batch: one answer for each question, in order.

    ``None`` in place of an answer means "no opinion" and leaves things as they are. Answers that cannot be
    used (too few, positions out of range, empty names) count as ``None``. Exceptions are not caught: raise
    where the whole build should stop.
    """

    def summarise(self, clusters: Sequence[Concept]) -> Sequence[Summary | None]:
        """Name each cluster and describe it in one line. ``name`` is provisional, ``description`` empty."""
        ...

    def deduplicate(self, groups: Sequence[Neighbours]) -> Sequence[Sequence[Sequence[int]] | None]:
        """Give, for each group, the sets of positions that mean the same: ``[[0, 3], [1, 2, 5]]``."""
        ...

    def reassign(self, doubts: Sequence[Doubt]) -> Sequence[Sequence[int | None] | None]:
        """Give, for each child of each doubt, the position of the parent that suits it best."""
        ...

    def rename(self, groups: Sequence[Siblings]) -> Sequence[Sequence[str | None] | None]:
        """Give, for each child of each group, a name that tells it from its siblings and from its parent."""
        ...


@dataclass(frozen=True)
class OfflineRefiner:
    """The refiner that needs no model: it decides by the vectors and by the concepts' own tags.

    Attributes
    ----------
    same_meaning
        Cosine of two centroids from which they count as one concept.
    same_name
        The same for two concepts with the same name.
    """

    same_meaning: float = 0.92
    same_name: float = 0.75

    def summarise(self, clusters: Sequence[Concept]) -> list[Summary | None]:
        """Take the best name that the cluster's tags suggest and list its main concepts."""
        return [Summary(c.candidates[0], describe(c.members, c.n_tags)) for c in clusters]

    def deduplicate(self, groups: Sequence[Neighbours]) -> list[Sequence[Sequence[int]] | None]:
        """Merge concepts whose centroids are all but equal, or near with the same name."""
        return [self._same(group) for group in groups]

    def _same(self, group: Neighbours) -> list[list[int]]:
        keys = np.array([name_key(c.name) for c in group.concepts])
        needed = np.where(keys[:, None] == keys[None, :], self.same_name, self.same_meaning)
        same = group.similarity >= needed
        sets: list[list[int]] = []
        free = np.ones(len(keys), dtype=bool)
        for i in range(len(keys)):
            # A star around i, not a chain: everything in a set is near to its first member.
            found = np.flatnonzero(same[i] & free)
            if free[i] and len(found) > 1:
                sets.append(found.tolist())
                free[found] = False
        return sets

    def reassign(self, doubts: Sequence[Doubt]) -> list[Sequence[int | None] | None]:
        """Choose the parent of the largest cosine."""
        return [np.argmax(doubt.fit, axis=1).tolist() for doubt in doubts]

    def rename(self, groups: Sequence[Siblings]) -> list[Sequence[str | None] | None]:
        """Give each child its best name that neither its parent nor a sibling before it bears."""
        return [list(distinct_names(group.parent, group.children)) for group in groups]


def describe(members: Sequence[str], n_tags: int) -> str:
    """List the main concepts of a cluster in one line."""
    shown = list(dict.fromkeys(name for name in map(clean_name, members[: 2 * N_LISTED]) if name))[:N_LISTED]
    more = ", ..." if len(members) > len(shown) or n_tags > len(members) else ""
    # Names of broad concepts hold commas themselves.
    between = "; " if any("," in name for name in shown) else ", "
    return between.join(shown) + more.replace(", ", between)


def clean_text(text: object, max_length: int) -> str:
    """Make one line of what a refiner answered; empty where nothing readable is in it."""
    if not isinstance(text, str):
        return ""
    text = text[: 8 * max_length]
    if text.isascii() and text.isprintable():
        line = " ".join(text.split())
        if len(line) <= max_length:
            return line if any(c.isalnum() for c in line) else ""
    kept = "".join(
        " " if unicodedata.category(c)[0] in "CZ" else c for c in unicodedata.normalize("NFKC", text)
    )
    line = " ".join(kept.split())
    if len(line) > max_length:
        head = line[:max_length]
        line = head.rsplit(" ", 1)[0].rstrip(" ,;:-") if " " in head else head
    return line if any(c.isalnum() for c in line) else ""


def clean_name(text: object) -> str:
    """Make a node's name of what a refiner answered; empty where that is impossible.

    ``>`` separates the names of a path, so a name holds none that stands alone.
    """
    name = clean_text(text, MAX_NAME_LENGTH).strip(" \"'`.,;:")
    return re.sub(r"(?<!\S)>+(?!\S)", "to", name)


def name_key(name: str) -> str:
    """Give what two names have in common when a reader would take them for the same."""
    return (
        " ".join(re.findall(r"\w+[+#]*", unicodedata.normalize("NFKC", name).casefold())) or name.casefold()
    )


def checked_summaries(answers: Sequence[Summary | None] | None, clusters: Sequence[Concept]) -> list[Summary]:
    """Keep usable summaries; elsewhere the first candidate and a list of the members."""
    given = _padded(answers, len(clusters))
    checked = []
    for cluster, answer in zip(clusters, given, strict=True):
        name = clean_name(getattr(answer, "name", None)) or cluster.candidates[0]
        description = clean_text(getattr(answer, "description", None), MAX_DESCRIPTION_LENGTH)
        checked.append(Summary(name, description or describe(cluster.members, cluster.n_tags)))
    return checked


def checked_merges(
    answers: Sequence[Sequence[Sequence[int]] | None] | None, groups: Sequence[Neighbours]
) -> list[list[list[int]]]:
    """Keep the sets of at least two distinct valid positions; a position counts where it is first named."""
    checked: list[list[list[int]]] = []
    for group, answer in zip(groups, _padded(answers, len(groups)), strict=True):
        free = set(range(len(group.concepts)))
        sets: list[list[int]] = []
        for same in _items(answer):
            valid = [int(i) for i in dict.fromkeys(_positions(same)) if i in free]
            if len(valid) > 1:
                sets.append(valid)
                free.difference_update(valid)
        checked.append(sets)
    return checked


def checked_moves(
    answers: Sequence[Sequence[int | None] | None] | None, doubts: Sequence[Doubt]
) -> list[list[int]]:
    """Keep the moves to parents that were on offer; every other child stays where it is."""
    checked: list[list[int]] = []
    for doubt, answer in zip(doubts, _padded(answers, len(doubts)), strict=True):
        given = _padded(_items(answer), len(doubt.children))
        moves = [_positions([a]) for a in given]
        checked.append([m[0] if m and 0 <= m[0] < len(doubt.parents) else doubt.current for m in moves])
    return checked


def checked_names(
    answers: Sequence[Sequence[str | None] | None] | None, groups: Sequence[Siblings]
) -> list[tuple[str, ...]]:
    """Keep the names that are usable, then make sure that siblings differ, and differ from their parent."""
    checked: list[tuple[str, ...]] = []
    for group, answer in zip(groups, _padded(answers, len(groups)), strict=True):
        given = [clean_name(name) for name in _padded(_items(answer), len(group.children))]
        children = tuple(
            replace(c, name=name) if name else c for c, name in zip(group.children, given, strict=True)
        )
        checked.append(distinct_names(group.parent, children))
    return checked


def distinct_names(
    parent: Concept, children: Sequence[Concept], above: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Name siblings so that no two are alike, nor any like its parent; who has most rows chooses first.

    A clash is settled by the next of the child's own candidates, then by what tells it apart in brackets,
    then by a number. An only child may bear its parent's name: they are one concept. ``above`` holds the
    `name_key` of other names that are taken, those of the nodes further up.
    """
    if len(children) == 1:
        return (clean_name(children[0].name) or clean_name(children[0].candidates[0]) or "concept",)
    taken = {name_key(parent.name), *above}
    names = [""] * len(children)
    for i in sorted(range(len(children)), key=lambda i: (-children[i].n_rows, children[i].name, i)):
        child = children[i]
        own = clean_name(child.name) or clean_name(child.candidates[0]) or "concept"
        asides = [c for c in (*child.candidates, *child.members) if name_key(c) != name_key(own)]
        options = [own, *child.candidates, *(f"{own} ({aside})" for aside in asides)]
        cleaned = (clean_name(option) for option in options)
        free = (name for name in cleaned if name and name_key(name) not in taken)
        name = next(free, "")
        number = 2
        while not name or name_key(name) in taken:
            name = f"{own[: MAX_NAME_LENGTH - 8]} {number}"
            number += 1
        names[i] = name
        taken.add(name_key(name))
    return tuple(names)


def alike(parent: Concept, children: Sequence[Concept]) -> bool:
    """Tell whether siblings need other names: two alike, or one like its parent, or one not readable."""
    keys = [name_key(c.name) for c in children]
    if not all(clean_name(c.name) == c.name for c in children):
        return True
    return len(children) > 1 and (len(set(keys)) < len(keys) or name_key(parent.name) in keys)


def _items(answer: object) -> list[object]:
    """List the items of an answer; none where it is not a list."""
    return list(answer) if isinstance(answer, list | tuple | np.ndarray) else []


def _positions(same: object) -> list[int]:
    return [int(i) for i in _items(same) if isinstance(i, int | np.integer) and not isinstance(i, bool)]


def _padded(answers: object, n: int) -> list[object]:
    """Cut or fill a list of answers to the number of questions."""
    given = _items(answers)[:n]
    return given + [None] * (n - len(given))
