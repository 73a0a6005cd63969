"""One round of the tree: the nodes of a level, and the four refinement steps that turn clusters into them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tags_assets.method.tree.clustering import blocks, group_sums, neighbours, number_by_first, unit
from tags_assets.method.tree.naming import PER_DOUBLING
from tags_assets.method.tree.refinement import (
    Concept,
    Doubt,
    Neighbours,
    Siblings,
    alike,
    checked_merges,
    checked_moves,
    checked_names,
    checked_summaries,
    clean_name,
    describe,
    distinct_names,
    name_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tags_assets.method.tree.naming import TagNames
    from tags_assets.method.tree.refinement import Refiner

    _Doubtful = tuple[list[int], list[int], NDArray[np.float64]]

N_MEMBERS = 16
"""Members of a cluster that a refiner is shown."""

N_NEAR = 8
"""Nearest clusters looked at: perhaps the same concept, perhaps a better parent for a child."""

MIN_SIMILARITY = 0.5
"""Cosine (mean taken off) below which nobody is asked whether two clusters are the same."""

CHILDREN_PER_DOUBT = 12
"""Children put in one question."""

SEARCH_BLOCK = 20_000
"""Clusters among which the nearest are looked for; where there are more, within blocks of near ones."""


@dataclass(frozen=True, eq=False)
class Level:
    """The nodes of one level.

    Attributes
    ----------
    of_tag
        Number of the node that holds each tag, int64 (n_tags,).
    centroids
        Unit centroids of the tags below, their common mean taken off, float32 (n_nodes, n_dims).
    concepts
        What each node is, (n_nodes,).
    """

    of_tag: NDArray[np.int64]
    centroids: NDArray[np.float32]
    concepts: list[Concept]

    @property
    def n_nodes(self) -> int:
        return len(self.concepts)

    @classmethod
    def of_single_tags(cls, names: TagNames) -> Level:
        """Take each tag for a node of its own: what the first round clusters."""
        concepts = [
            Concept(name=tag, description="", n_tags=1, n_rows=round(count), members=(), candidates=(tag,))
            for tag, count in zip(names.tags, names.counts.tolist(), strict=True)
        ]
        return cls(np.arange(len(concepts)), names.vectors, concepts)


@dataclass(frozen=True)
class Limits:
    """What a merge or a move may not break.

    Attributes
    ----------
    capacity
        Most tags below one node, in means of its level.
    doubt
        By how much another parent must suit a child better (in cosine) for the refiner to be asked.
    """

    capacity: float
    doubt: float


def refine(
    names: TagNames,
    children: Level,
    parent_of: NDArray[np.int64],
    *,
    features: NDArray[np.float32],
    refiner: Refiner,
    limits: Limits,
) -> Level:
    """Make concepts of clusters: summarise, deduplicate, reassign; what changed is summarised again.

    Parameters
    ----------
    names
        The tags as material for names.
    children
        The nodes that were clustered.
    parent_of
        Cluster of each child, numbered without gaps, int64 (n_children,).
    features
        Unit vectors of the children in the space they were clustered in, float32 (n_children, n_features).
    refiner
        Who is asked.
    limits
        What its answers may not break.

    Returns
    -------
    Level
        The clusters as nodes: each has at least one child, and there are no more than there were clusters.
    """
    n_tags = np.array([c.n_tags for c in children.concepts])
    most = limits.capacity * n_tags.sum() / (int(parent_of.max()) + 1)
    parents = _summarised(names, children, parent_of, refiner, known={})
    refined, merged = _deduplicated(parent_of, parents, n_tags, most, refiner)
    doubts = list(_doubts(refined, features, n_tags, limits.doubt))
    refined, moved = _reassigned(refined, parents, children, doubts, refiner, most=most)
    changed = merged | moved
    if not changed:
        return parents
    kept = {p: parents.concepts[p] for p in np.unique(refined).tolist() if p not in changed}
    first = np.unique(refined, return_index=True)[1]
    numbered = number_by_first(refined)
    known = {int(numbered[i]): kept[p] for i in first.tolist() if (p := int(refined[i])) in kept}
    return _summarised(names, children, numbered, refiner, known=known)


def _summarised(
    names: TagNames,
    children: Level,
    parent_of: NDArray[np.int64],
    refiner: Refiner,
    *,
    known: dict[int, Concept],
) -> Level:
    """Make a level of clusters and name those that are not known already."""
    n_parents = int(parent_of.max()) + 1
    of_tag = parent_of[children.of_tag]
    centroids = unit(group_sums(of_tag, names.vectors, n_parents))
    single_tags = not children.concepts[0].members
    members = None if single_tags else _members(children, parent_of, centroids)
    clusters = names.concepts(of_tag, centroids, members)
    # A cluster of one node is that node: there is nothing to summarise.
    alone = np.bincount(parent_of, minlength=n_parents) == 1
    only = dict(zip(parent_of.tolist(), range(len(parent_of)), strict=True))
    for p in np.flatnonzero(alone).tolist():
        child = children.concepts[only[p]]
        # A tag may be unreadable as it is; the cluster's candidates are not.
        name = clean_name(child.name) or clusters[p].name
        clusters[p] = replace(clusters[p], name=name, description=child.description or name, members=(name,))
    asked = [p for p in range(n_parents) if p not in known and not alone[p]]
    questions = [clusters[p] for p in asked]
    answers = checked_summaries(refiner.summarise(questions) if questions else [], questions)
    for p, answer in zip(asked, answers, strict=True):
        clusters[p] = replace(clusters[p], name=answer.name, description=answer.description)
    return Level(of_tag, centroids, [known.get(p, cluster) for p, cluster in enumerate(clusters)])


def _members(
    children: Level, parent_of: NDArray[np.int64], centroids: NDArray[np.float32]
) -> list[tuple[str, ...]]:
    """Name the children of each cluster, the most typical first."""
    rows = np.array([c.n_rows for c in children.concepts], dtype=np.float64)
    nearness = np.einsum("ij,ij->i", children.centroids, centroids[parent_of])
    score = nearness + PER_DOUBLING * np.log2(1.0 + rows)
    order = np.lexsort((-score, parent_of))
    starts = np.searchsorted(parent_of[order], np.arange(len(centroids) + 1))
    return [
        tuple(children.concepts[i].name for i in order[a : min(b, a + N_MEMBERS)].tolist())
        for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]


def _deduplicated(
    parent_of: NDArray[np.int64], parents: Level, n_tags: NDArray[np.int64], most: float, refiner: Refiner
) -> tuple[NDArray[np.int64], set[int]]:
    """Merge clusters that mean the same, none beyond ``most`` tags; also says which grew."""
    groups = list(_near_groups(parents))
    if not groups:
        return parent_of, set()
    concepts = parents.concepts
    questions = [
        Neighbours(
            tuple(concepts[p] for p in group),
            (parents.centroids[group] @ parents.centroids[group].T).astype(np.float64),
        )
        for group in groups
    ]
    size = np.bincount(parent_of, weights=n_tags)
    becomes = np.arange(parents.n_nodes)
    grew: set[int] = set()
    for group, sets in zip(groups, checked_merges(refiner.deduplicate(questions), questions), strict=True):
        for same in sets:
            first = group[same[0]]
            for other in (group[i] for i in same[1:]):
                if size[first] + size[other] <= most:
                    size[first] += size[other]
                    becomes[other] = first
                    grew.add(first)
    return becomes[parent_of], grew


def _near_groups(parents: Level) -> Iterator[list[int]]:
    """Group clusters that may mean the same: the largest first, with the nearest that are still free."""
    at, similarity = _nearest(parents.centroids)
    free = np.ones(parents.n_nodes, dtype=bool)
    for p in np.argsort([-c.n_tags for c in parents.concepts], kind="stable").tolist():
        if not free[p]:
            continue
        near = at[p][(at[p] >= 0) & (similarity[p] >= MIN_SIMILARITY)]
        group = [p, *near[free[near]].tolist()]
        if len(group) > 1:
            free[group] = False
            yield group


def _reassigned(
    parent_of: NDArray[np.int64],
    parents: Level,
    children: Level,
    asked: Sequence[_Doubtful],
    refiner: Refiner,
    *,
    most: float,
) -> tuple[NDArray[np.int64], set[int]]:
    """Move children to the parents that suit them better; also says which parents changed.

    No parent is emptied and none grows beyond ``most`` tags; the surest moves go first.
    """
    n_tags = np.array([c.n_tags for c in children.concepts])
    questions = [
        Doubt(
            tuple(children.concepts[c] for c in members),
            tuple(parents.concepts[p] for p in offered),
            offered.index(int(parent_of[members[0]])),
            fit,
        )
        for members, offered, fit in asked
    ]
    moves: list[tuple[float, int, int]] = []
    if questions:
        answers = checked_moves(refiner.reassign(questions), questions)
        for (members, offered, fit), question, chosen in zip(asked, questions, answers, strict=True):
            moves += [
                (float(fit[row, question.current] - fit[row, to]), child, offered[to])
                for row, (child, to) in enumerate(zip(members, chosen, strict=True))
                if to != question.current
            ]
    parent_of = parent_of.copy()
    size = np.bincount(parent_of, weights=n_tags)
    n_children = np.bincount(parent_of)
    changed: set[int] = set()
    for _, child, to in sorted(moves):
        source = int(parent_of[child])
        if n_children[source] > 1 and size[to] + n_tags[child] <= most:
            parent_of[child] = to
            n_children[source] -= 1
            n_children[to] += 1
            size[source] -= n_tags[child]
            size[to] += n_tags[child]
            changed |= {source, to}
    return parent_of, changed


def _doubts(
    parent_of: NDArray[np.int64], features: NDArray[np.float32], n_tags: NDArray[np.int64], doubt: float
) -> Iterator[_Doubtful]:
    """Find the children that another parent suits better by ``doubt``: children, parents on offer, fit."""
    used, parent = np.unique(parent_of, return_inverse=True)
    if len(used) < 2:
        return
    weight = n_tags.astype(np.float32)[:, None]
    sums = group_sums(parent, weight * features, len(used)).astype(np.float32)
    centres = unit(sums)
    near, _ = _nearest(centres)
    others = near[parent]
    fit = np.full(others.shape, -1.0, dtype=np.float32)
    own = np.ones(len(features), dtype=np.float32)
    for start in range(0, len(features), 4096):
        part = slice(start, start + 4096)
        x = features[part]
        valid = others[part] >= 0
        fit[part] = np.where(valid, np.einsum("ij,ikj->ik", x, centres[others[part]]), -1.0)
        rest = sums[parent[part]] - weight[part] * x
        norm = np.linalg.norm(rest, axis=1)
        # An only child has nowhere better to be: it is its parent.
        alone = np.bincount(parent)[parent[part]] == 1
        own[part] = np.where(alone, 1.0, np.einsum("ij,ij->i", x, rest) / np.maximum(norm, 1e-6))
    doubtful = np.flatnonzero(fit.max(axis=1) > own + doubt)
    order = doubtful[np.lexsort((doubtful, parent[doubtful]))]
    cuts = np.flatnonzero(np.diff(parent[order])) + 1
    for siblings in np.split(order, cuts):
        for start in range(0, len(siblings), CHILDREN_PER_DOUBT):
            members = siblings[start : start + CHILDREN_PER_DOUBT]
            if not len(members):
                continue
            best = others[members, fit[members].argmax(axis=1)]
            offered = np.unique(np.concatenate([best, parent[members[:1]]]))
            products = (features[members] @ centres[offered].T).astype(np.float64)
            products[:, offered == parent[members[0]]] = own[members, None]
            yield members.tolist(), used[offered].tolist(), products


def _nearest(x: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the `N_NEAR` nearest rows of each row, -1 where there are fewer."""
    at = np.full((len(x), N_NEAR), -1, dtype=np.int64)
    similarity = np.full((len(x), N_NEAR), -1.0, dtype=np.float32)
    labels = blocks(x, SEARCH_BLOCK)
    for b in range(int(labels.max()) + 1):
        rows = np.flatnonzero(labels == b)
        k = min(N_NEAR, len(rows) - 1)
        if k:
            found, product = neighbours(x[rows], k)
            at[rows, :k], similarity[rows, :k] = rows[found], product
    return at, similarity


def rename(
    children: Level, parent_of: NDArray[np.int64], parents: Level, refiner: Refiner
) -> tuple[Level, Level]:
    """Let the refiner give siblings distinct names, and give parents the new names of their members.

    Returns
    -------
    children, parents
        The same nodes, renamed.
    """
    concepts = list(children.concepts)
    asked, questions = [], []
    for parent, family in zip(parents.concepts, _families(parent_of), strict=True):
        siblings = tuple(concepts[c] for c in family)
        if alike(parent, siblings):
            asked.append(family)
            questions.append(Siblings(parent, siblings))
    if not questions:
        return children, parents
    for family, given in zip(asked, checked_names(refiner.rename(questions), questions), strict=True):
        for c, name in zip(family, given, strict=True):
            concepts[c] = replace(concepts[c], name=name)
    return _named(children, parent_of, parents, concepts)


def settle(levels: Sequence[Level]) -> list[Level]:
    """Make the names hold from the root (the last level) down, once all are given.

    A parent may have been renamed after its children were. An only child bears its parent's name: the two are
    one concept. Elsewhere no name is that of a sibling or of a node above, so that a path of names names one
    concept, and says nothing twice.
    """
    settled = list(levels)
    above: list[frozenset[str]] = [frozenset() for _ in levels[-1].concepts]
    for i in range(len(levels) - 1, 0, -1):
        children, parents = settled[i - 1], settled[i]
        parent_of = parents_of(children, parents)
        concepts = list(children.concepts)
        above_children: list[frozenset[str]] = [frozenset()] * children.n_nodes
        for p, family in enumerate(_families(parent_of)):
            parent = parents.concepts[p]
            siblings = [concepts[c] for c in family]
            names = distinct_names(parent, siblings, above[p])
            if len(family) == 1 and parents.n_nodes > 1:
                names = (parent.name,)
            for c, name in zip(family, names, strict=True):
                concepts[c] = replace(concepts[c], name=name)
                above_children[c] = above[p] | {name_key(parent.name)}
        settled[i - 1], settled[i] = _named(children, parent_of, parents, concepts)
        above = above_children
    return settled


def parents_of(level: Level, above: Level) -> NDArray[np.int64]:
    """Number of each node's parent in the level above, (n_nodes,)."""
    parent = np.empty(level.n_nodes, dtype=np.int64)
    parent[level.of_tag] = above.of_tag
    return parent


def _families(parent_of: NDArray[np.int64]) -> list[list[int]]:
    """List the children of each parent."""
    order = np.argsort(parent_of, kind="stable")
    return [family.tolist() for family in np.split(order, np.cumsum(np.bincount(parent_of))[:-1])]


def _named(
    children: Level, parent_of: NDArray[np.int64], parents: Level, concepts: list[Concept]
) -> tuple[Level, Level]:
    """Replace the children's concepts by renamed ones, and tell their parents."""
    children = replace(children, concepts=concepts)
    members = _members(children, parent_of, parents.centroids)
    renamed = [_with_members(parent, now) for parent, now in zip(parents.concepts, members, strict=True)]
    return children, replace(parents, concepts=renamed)


def _with_members(parent: Concept, members: tuple[str, ...]) -> Concept:
    """Let a parent know its members by their new names, in its description too where that lists them."""
    if parent.members == members:
        return parent
    listed = parent.description == describe(parent.members, parent.n_tags)
    description = describe(members, parent.n_tags) if listed else parent.description
    return replace(parent, members=members, description=description)
