"""Names for groups of tags that a person can read, from the tags themselves.

Three kinds of name compete: the phrase that most of a group's tags end in ("equation" for quadratic, linear
and differential equations: in English the last words are the head), the group's most typical tag, and, for a
group of groups, two or three frequent tags that together stand for all its parts. Nothing is ever cut inside
a word: a name is made of whole tags or of their ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.refinement import Concept, clean_name, name_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_HEAD_WORDS = 3
"""Longest end of a tag that may name a group, in words."""

N_TYPICAL = 12
"""Most typical tags looked at for each group."""

N_HEADS = 3
"""Ends of tags looked at for each group."""

MIN_COVER = 0.4
"""Share of a group's tags that must end in a phrase for it to name the group."""

PER_DOUBLING = 0.06
"""Cosine that a doubling of its rows is worth to a tag that wants to name a group."""

PER_DOUBLING_ABOVE = 0.08
"""The same for a group of groups, which people know by what most of its rows are about: the tag at the
middle of hundreds is often one that five rows bear."""

N_FREQUENT = 60
"""Most frequent tags of a group of groups that may stand in its name, beside the typical ones."""

MANY_TAGS = 0.04
"""Share of all tags from which a group is so broad that its name joins three tags and not two."""

_VAGUE_ENDS = """
answer answers case cases day days example examples form forms kind kinds lot name names number numbers one
ones order other others part parts people person problem problems question questions set sets stuff task tasks
thing things time times type types use uses way ways word words
"""
"""Ends that say too little alone to name a group, though they may end a name."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The groups that larger groups are made of.

    Attributes
    ----------
    of_group
        Numbers of the parts of each group.
    members
        Names of the parts of each group, the most typical first.
    centroids
        Unit centroid of each part, float32 (n_parts, n_dims).
    lead
        Number of the tag that is most typical of each part, (n_parts,).
    n_rows
        Rows that bear tags of each part, (n_parts,).
    """

    of_group: list[NDArray[np.int64]]
    members: list[tuple[str, ...]]
    centroids: NDArray[np.float32]
    lead: NDArray[np.int64]
    n_rows: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TagNames:
    """The tags of a tree as material for names.

    Attributes
    ----------
    tags
        Canonical tags, (n_tags,).
    counts
        Rows that bear each tag, (n_tags,).
    vectors
        Unit vectors of the tags, float32 (n_tags, n_dims).
    """

    tags: tuple[str, ...]
    counts: NDArray[np.float64]
    vectors: NDArray[np.float32]
    heads: pl.DataFrame
    """One row per tag and end of it: tag u32, head str, n_words u8."""
    readable: NDArray[np.float64]
    """1 for a tag that a person can read, less for one that looks like a fragment, (n_tags,)."""

    @classmethod
    def of(cls, tags: Sequence[str], counts: NDArray[np.floating], vectors: NDArray[np.float32]) -> TagNames:
        """Prepare the tags: their ends and how readable they are."""
        frame = pl.DataFrame({"tag_number": np.arange(len(tags), dtype=np.uint32), "tag": list(tags)})
        words = frame.with_columns(words=pl.col("tag").str.split(" "))
        ends = [
            words.filter(pl.col("words").list.len() >= n).select(
                "tag_number",
                head=pl.col("words").list.tail(n).list.join(" "),
                n_words=pl.lit(n, dtype=pl.UInt8),
            )
            for n in range(1, MAX_HEAD_WORDS + 1)
        ]
        heads = pl.concat(ends).filter(
            pl.col("head").str.contains(r"^\p{L}[\p{L}\p{N}+#.'-]+( |$)")
            & ~pl.col("head").is_in(_VAGUE_ENDS.split())
        )
        return cls(
            tags=tuple(tags),
            counts=np.asarray(counts, dtype=np.float64),
            vectors=vectors,
            heads=heads,
            readable=readability(tags),
        )

    def concepts(
        self,
        node_of_tag: NDArray[np.integer],
        centroids: NDArray[np.float32],
        parts: Parts | None = None,
    ) -> list[Concept]:
        """Describe groups of tags, named by their best candidate and without a description.

        Parameters
        ----------
        node_of_tag
            Number of each tag's group, -1 for tags left out, (n_tags,).
        centroids
            Unit centroid of each group, float32 (n_groups, n_dims).
        parts
            The groups that each group is made of; it is made of tags unless given.

        Returns
        -------
        list[Concept]
            One for each group that has tags, in order; every group must have some.
        """
        n_groups = len(centroids)
        typical = self._typical(node_of_tag, centroids)
        heads = self._heads(node_of_tag, n_groups)
        inside = node_of_tag >= 0
        n_tags = np.bincount(node_of_tag[inside], minlength=n_groups)
        n_rows = np.bincount(node_of_tag[inside], weights=self.counts[inside], minlength=n_groups)
        frequent = self._frequent(node_of_tag, n_groups) if parts else []
        many = MANY_TAGS * len(self.tags)
        concepts = []
        for g in range(n_groups):
            own = [self.tags[t] for t in typical[g]]
            joined = (
                self._joined([*typical[g], *frequent[g]], parts, g, 3 if n_tags[g] >= many else 2)
                if parts
                else []
            )
            candidates = _candidates(own, heads.get(g, []), joined)
            concepts.append(
                Concept(
                    name=candidates[0],
                    description="",
                    n_tags=int(n_tags[g]),
                    n_rows=round(float(n_rows[g])),
                    members=tuple(own if parts is None else parts.members[g]),
                    candidates=candidates,
                )
            )
        return concepts

    def lead(self, node_of_tag: NDArray[np.integer], centroids: NDArray[np.float32]) -> NDArray[np.int64]:
        """Number of the most typical tag of each group, (n_groups,)."""
        return np.array([typical[0] for typical in self._typical(node_of_tag, centroids)])

    def _typical(self, node_of_tag: NDArray[np.integer], centroids: NDArray[np.float32]) -> list[list[int]]:
        """List the most typical tags of each group: near its centroid, frequent, readable."""
        tag = np.flatnonzero(node_of_tag >= 0)
        node = node_of_tag[tag]
        nearness = np.empty(len(tag))
        for start in range(0, len(tag), 65_536):
            part = slice(start, start + 65_536)
            nearness[part] = np.einsum("ij,ij->i", self.vectors[tag[part]], centroids[node[part]])
        # Frequency counts by its logarithm: twice the rows weigh as much as a few hundredths of cosine.
        score = nearness + PER_DOUBLING * np.log2(1.0 + self.counts[tag]) + self.readable[tag] - 1.0
        order = np.lexsort((tag, -score, node))
        tag, node = tag[order], node[order]
        first = np.searchsorted(node, np.arange(len(centroids)))
        last = np.minimum(np.searchsorted(node, np.arange(len(centroids)), side="right"), first + N_TYPICAL)
        return [tag[a:b].tolist() for a, b in zip(first.tolist(), last.tolist(), strict=True)]

    def _frequent(self, node_of_tag: NDArray[np.integer], n_groups: int) -> list[list[int]]:
        """List the most frequent tags of each group that a person can read."""
        tag = np.flatnonzero(node_of_tag >= 0)
        score = self.counts[tag] * self.readable[tag]
        order = np.lexsort((tag, -score, node_of_tag[tag]))
        tag, node = tag[order], node_of_tag[tag[order]]
        ends = np.searchsorted(node, np.arange(n_groups + 1))
        return [tag[a : min(b, a + N_FREQUENT)].tolist() for a, b in pairwise(ends.tolist())]

    def _joined(self, known: Sequence[int], parts: Parts, group: int, n_names: int) -> list[str]:
        """Choose tags that stand for all parts of a group: greedy facility location over the parts.

        A part counts by the square root of its rows: between all parts alike and the largest alone.
        """
        own = parts.of_group[group]
        if len(own) < 2:
            return []
        tags = np.array(list(dict.fromkeys([*known, *parts.lead[own].tolist()])))
        weight = np.sqrt(parts.n_rows[own])
        weight /= weight.sum()
        nearness = self.vectors[tags] @ parts.centroids[own].T
        bonus = PER_DOUBLING_ABOVE * np.log2(1.0 + self.counts[tags]) + self.readable[tags] - 1.0
        reached = np.zeros(len(own))
        chosen: list[int] = []
        stems: set[str] = set()
        while len(chosen) < n_names:
            value = np.maximum(nearness, reached) @ weight + bonus
            free = [stems.isdisjoint(_stems(self.tags[t])) for t in tags.tolist()]
            if not any(free):
                break
            best = int(np.argmax(np.where(free, value, -np.inf)))
            chosen.append(int(tags[best]))
            stems |= _stems(self.tags[chosen[-1]])
            reached = np.maximum(reached, nearness[best])
        first = [self.tags[t] for t in chosen]
        return [f"{', '.join(first[:-1])} and {first[-1]}"] if len(first) > 1 else first

    def _heads(self, node_of_tag: NDArray[np.integer], n_groups: int) -> dict[int, list[str]]:
        """List the ends that cover much of each group and little of the others (class-based TF-IDF)."""
        mass = np.log2(1.0 + self.counts)
        inside = node_of_tag >= 0
        whole = np.bincount(node_of_tag[inside], weights=mass[inside], minlength=n_groups)
        number = self.heads["tag_number"].to_numpy()
        found = (
            self.heads.with_columns(
                node=pl.Series(node_of_tag[number], dtype=pl.Int64), mass=pl.Series(mass[number])
            )
            .filter(pl.col("node") >= 0)
            .sort("tag_number", "n_words")
            .group_by("node", "head", maintain_order=True)
            .agg(pl.col("mass").sum(), n=pl.len(), n_words=pl.col("n_words").first())
            .with_columns(n_groups=pl.col("node").n_unique().over("head"))
        )
        cover = found["mass"].to_numpy() / whole[found["node"].to_numpy()]
        rarity = np.log1p(n_groups / found["n_groups"].to_numpy())
        longer = 1.0 + 0.25 * (found["n_words"].to_numpy().astype(np.float64) - 1.0)
        ranked = (
            found.with_columns(cover=cover, score=cover * rarity * longer)
            .filter((pl.col("n") >= 2) & (pl.col("cover") >= MIN_COVER))
            .sort(["node", "score", "head"], descending=[False, True, False])
            .group_by("node", maintain_order=True)
            .agg(pl.col("head").head(N_HEADS))
        )
        return dict(zip(ranked["node"].to_list(), ranked["head"].to_list(), strict=True))


def _candidates(typical: Sequence[str], heads: Sequence[str], joined: Sequence[str]) -> tuple[str, ...]:
    """List the names that a group's tags suggest: what they end in, some joined, single ones."""
    cleaned = dict.fromkeys(name for name in map(clean_name, (*heads, *joined, *typical)) if name)
    return tuple(cleaned) or ("concept",)


def _stems(tag: str) -> set[str]:
    """Give the beginnings of a tag's words: "months" and "monthly" say the same twice."""
    return {word[:4] for word in name_key(tag).split()}


_FRAGMENT = re.compile(r"^##|^\W|\W$(?<![+#)\]%])|[<>{}\\|^~=]|^\d+$|^.$")


def readability(tags: Sequence[str]) -> NDArray[np.float64]:
    """Say how well each tag reads as a name: 1, less for fragments, long ones and bare numbers, (n_tags,)."""
    fragment = np.array([bool(_FRAGMENT.search(tag)) for tag in tags], dtype=bool)
    wordless = np.array([not any(c.isalpha() for c in tag) for tag in tags], dtype=bool)
    length = np.array([len(tag) for tag in tags], dtype=np.float64)
    return 1.0 - 0.5 * fragment - 0.3 * wordless - 0.3 * np.clip((length - 20.0) / 40.0, 0.0, 1.0)
