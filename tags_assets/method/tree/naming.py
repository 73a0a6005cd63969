"""Names for groups of tags that a person can read, from the tags themselves.

Three kinds of name compete: the phrase that most of a group's tags end in ("equation" for quadratic, linear
and differential equations: in English the last words are the head), the group's most typical tag, and, for a
group of groups, two or three frequent tags that together lie near most of what its rows are about. Nothing
is ever cut inside a word: a name is made of whole tags or of their ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.tree.refinement import Concept, clean_name, name_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tags_assets.method.tree.subject_names import SubjectNames

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

N_FREQUENT = 100
"""Most frequent tags of a group of groups that may stand in its name: people know a broad concept by what
many of its rows are about, and the tag at the middle of hundreds is often one that five rows bear."""

ROWS_POWER = 0.75
"""Power of its rows by which a tag counts among those that a name stands for: between every tag alike, which
speaks for oddities, and every row alike, which speaks for the one largest part."""

PER_CHARACTER = 0.001
"""Cosine that a character of a name costs."""

MANY_TAGS = 0.04
"""Share of all tags from which a group is so broad that its name joins three tags and not two."""

MIXTURE = 40
"""Tags from which a group that lies under no subject is a mixture, and is named as one."""

_VAGUE_ENDS = """
answer answers case cases day days example examples form forms kind kinds lot name names number numbers one
ones order other others part parts people person problem problems question questions set sets stuff task tasks
thing things time times type types use uses way ways word words
"""
"""Ends that say too little alone to name a group, though they may end a name."""


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
    subjects: SubjectNames | None = None
    """Names of subjects, which go before those of tags."""

    @classmethod
    def of(
        cls,
        tags: Sequence[str],
        counts: NDArray[np.floating],
        vectors: NDArray[np.float32],
        subjects: SubjectNames | None = None,
    ) -> TagNames:
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
            subjects=subjects,
        )

    def concepts(
        self,
        node_of_tag: NDArray[np.integer],
        centroids: NDArray[np.float32],
        members: Sequence[tuple[str, ...]] | None = None,
    ) -> list[Concept]:
        """Describe groups of tags, named by their best candidate and without a description.

        Parameters
        ----------
        node_of_tag
            Number of each tag's group, -1 for tags left out, (n_tags,).
        centroids
            Unit centroid of each group, float32 (n_groups, n_dims).
        members
            Names of the groups that each group is made of, the most typical first; it is made of tags unless
            given.

        Returns
        -------
        list[Concept]
            One for each group that has tags, in order; every group must have some.
        """
        n_groups = len(centroids)
        typical = self._typical(node_of_tag, centroids)
        heads = self._heads(node_of_tag, n_groups)
        subjects = self.subjects.candidates(node_of_tag, n_groups) if self.subjects else None
        inside = node_of_tag >= 0
        n_tags = np.bincount(node_of_tag[inside], minlength=n_groups)
        n_rows = np.bincount(node_of_tag[inside], weights=self.counts[inside], minlength=n_groups)
        tags_of = self._by_frequency(node_of_tag, n_groups) if members else []
        many = MANY_TAGS * len(self.tags)
        concepts = []
        for g in range(n_groups):
            own = [self.tags[t] for t in typical[g]]
            is_joined = members is not None and len(members[g]) > 1
            joined = self._joined(tags_of[g], 3 if n_tags[g] >= many else 2) if is_joined else []
            if subjects and not subjects[g] and n_tags[g] >= MIXTURE:
                joined = [f"miscellaneous: {name.replace(' and ', ', ')}" for name in joined]
                candidates = _candidates(joined, own)
            else:
                candidates = _candidates(subjects[g] if subjects else (), heads.get(g, []), joined, own)
            concepts.append(
                Concept(
                    name=candidates[0],
                    description="",
                    n_tags=int(n_tags[g]),
                    n_rows=round(float(n_rows[g])),
                    members=tuple(own if members is None else members[g]),
                    candidates=candidates,
                )
            )
        return concepts

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

    def _by_frequency(self, node_of_tag: NDArray[np.integer], n_groups: int) -> list[NDArray[np.int64]]:
        """List the tags of each group, the most frequent that a person can read first."""
        tag = np.flatnonzero(node_of_tag >= 0)
        order = np.lexsort((tag, -self.counts[tag] * self.readable[tag], node_of_tag[tag]))
        tag = tag[order]
        return np.split(tag, np.searchsorted(node_of_tag[tag], np.arange(1, n_groups)))

    def _joined(self, tags: NDArray[np.int64], n_names: int) -> list[str]:
        """Choose frequent tags that together lie near what a group's rows are about.

        Greedy facility location (Nemhauser et al. 1978) over the group's tags, weighted by their rows: by a
        good name, a reader looks here for most of what is here.

        Parameters
        ----------
        tags
            All tags of the group, the most frequent first, (n_tags_of_group,).
        n_names
            Tags to join.
        """
        offered = tags[:N_FREQUENT]
        weight = self.counts[tags] ** ROWS_POWER
        weight = (weight / max(float(weight.sum()), 1e-12)).astype(np.float32)
        nearness = self.vectors[offered] @ self.vectors[tags].T
        length = np.array([len(self.tags[t]) for t in offered.tolist()])
        bonus = self.readable[offered] - 1.0 - PER_CHARACTER * length
        stems_of = [_stems(self.tags[t]) for t in offered.tolist()]
        reached = np.zeros(len(tags), dtype=np.float32)
        chosen: list[int] = []
        stems: set[str] = set()
        while len(chosen) < n_names:
            free = np.array([stems.isdisjoint(own) for own in stems_of])
            if not free.any():
                break
            # Rounded: where two are alike but for the order of a sum, the more frequent one is taken.
            value = np.round(np.maximum(nearness, reached) @ weight + bonus, 6)
            best = int(np.argmax(np.where(free, value, -np.inf)))
            chosen.append(best)
            stems |= stems_of[best]
            reached = np.maximum(reached, nearness[best])
        names = [self.tags[offered[i]] for i in chosen]
        return [f"{', '.join(names[:-1])} and {names[-1]}"] if len(names) > 1 else names

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


def _candidates(*names: Sequence[str]) -> tuple[str, ...]:
    """List the names that suit a group, the best first: each once, and those that a person can read."""
    cleaned = dict.fromkeys(name for name in map(clean_name, chain(*names)) if name)
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
