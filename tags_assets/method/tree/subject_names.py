"""Names for groups of tags from the subjects of the lexicon that they lie under."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from tags_assets.method.tree.field_prior import profiles
from tags_assets.method.tree.refinement import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    clean_name,
    clean_text,
    describe,
    name_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tags_assets.method.concepts.fields import Subjects
    from tags_assets.method.concepts.lexicon import Lexicon
    from tags_assets.method.tree.refinement import Concept

N_SUBJECTS = 3
"""Most prevalent subjects of each kind that may name a group."""

MIN_COVERAGE = 0.4
"""Share of a group that must lie under a subject for its name to be true."""

MIN_FIT = 0.3
"""Harmonic mean of the share of the group under the subject and the share of the subject in the group from
which the subject's name is a good one. A group much smaller than any subject is better named by its tags."""

LOOSE_COVERAGE, LOOSE_FIT = 0.25, 0.15
"""The same for the names that come next, for where a node above bears the good one."""

SECOND = 0.3
"""How much of the first subject's share another needs to stand beside it in a name."""

BROADER = 0.9
"""Factor of the fit for each step up, from field to domain to area: the narrower name says more."""

JOINED = 0.8
"""Factor of the fit for each further subject in a name: one is better where one will do."""


@dataclass(frozen=True, eq=False)
class _Table:
    """The subjects of one kind that groups lie under, the most prevalent first, (n_groups, k) each."""

    names: list[list[str]]
    areas: NDArray[np.int64]
    share: NDArray[np.float64]
    of_all: NDArray[np.float64]
    most_joined: int

    @classmethod
    def of(
        cls,
        held: NDArray[np.float64],
        whole: NDArray[np.float64],
        names: tuple[str, ...],
        area_of: NDArray[np.int64],
        most_joined: int,
    ) -> _Table:
        k = min(N_SUBJECTS, held.shape[1])
        best = np.argsort(-held, axis=1, kind="stable")[:, :k]
        share = np.take_along_axis(held, best, axis=1)
        of_all = np.maximum(held.sum(axis=0), 1e-12)[best] / whole[:, None]
        listed = [[names[i] for i in row] for row in best.tolist()]
        return cls(listed, area_of[best], share / whole[:, None], of_all, most_joined)

    def offered(self, g: int) -> list[tuple[float, float, str]]:
        """Give the fit, the coverage and the name of each subject of group ``g``, and of several joined."""
        names = self.names[g]
        related = self.areas[g] == self.areas[g, 0]
        joined = np.flatnonzero(related & (self.share[g] >= SECOND * self.share[g, 0])).tolist()
        sets = [[i] for i in range(len(names))]
        sets += [joined[:n] for n in range(2, min(len(joined), self.most_joined) + 1)]
        offered = []
        for at in sets:
            between = "; " if any("," in names[i] for i in at) else ", "
            name = between.join(names[i] for i in at)
            if len(name) > MAX_NAME_LENGTH:
                continue
            coverage, of_all = float(self.share[g, at].sum()), float(self.of_all[g, at].sum())
            # The harmonic mean of coverage and coverage / of_all.
            fit = 2.0 * coverage / (1.0 + of_all) * JOINED ** (len(at) - 1)
            offered.append((fit, coverage, name))
        return offered


@dataclass(frozen=True, eq=False)
class SubjectNames:
    """Areas, domains and fields as names of groups of tags.

    Attributes
    ----------
    profiles
        Share of each field, domain and area in each tag, float32 (n_tags, n) each.
    mass
        Weight of each tag, (n_tags,).
    lexicon
        Gives the names.
    """

    profiles: tuple[sparse.csr_array, ...]
    mass: NDArray[np.float64]
    lexicon: Lexicon

    @classmethod
    def of(cls, subjects: Subjects, mass: NDArray[np.float64]) -> SubjectNames:
        """Prepare the subjects of the tags."""
        return cls(profiles(subjects), mass, subjects.lexicon)

    def candidates(self, node_of_tag: NDArray[np.integer], n_groups: int) -> list[list[str]]:
        """List the names that suit each group, the best first; none for a group that is too small for one.

        A subject names a group where most of the group lies under it (coverage) and where most of it lies in
        the group (else a narrower name is due). The fit is the harmonic mean of both. Ours.

        Parameters
        ----------
        node_of_tag
            Number of each tag's group, -1 for tags left out, (n_tags,).
        n_groups
            Number of groups.
        """
        inside = np.flatnonzero(node_of_tag >= 0)
        groups = sparse.csr_array(
            (self.mass[inside], (node_of_tag[inside], inside)), shape=(n_groups, len(node_of_tag))
        )
        whole = np.maximum(groups.sum(axis=1), 1e-12)
        held = [(groups @ profile).toarray() for profile in self.profiles]
        own = self.lexicon
        kinds = (own.fields, own.domains, own.areas)
        # Up to three subjects of one area may be joined in a name, and two areas: three are everything.
        area_of = (own.area_of_field, own.area_of_domain, np.zeros(len(own.areas), dtype=np.int64))
        tables = [_Table.of(*each) for each in zip(held, [whole] * 3, kinds, area_of, (3, 3, 2), strict=True)]
        return [self._of_group(g, tables) for g in range(n_groups)]

    @staticmethod
    def _of_group(g: int, tables: Sequence[_Table]) -> list[str]:
        """Rank the names of one group; none is broader than the best."""
        offered = [
            (-fit * BROADER**breadth, breadth, name, coverage)
            for breadth, table in enumerate(tables)
            for fit, coverage, name in table.offered(g)
        ]
        # What is true of most of the group is a good name; less will do under a subject that does.
        held = [breadth for _, breadth, _, coverage in offered if coverage >= MIN_COVERAGE]
        ranked = sorted(
            (coverage < MIN_COVERAGE or -fit < MIN_FIT, fit, breadth, name)
            for fit, breadth, name, coverage in offered
            if coverage >= LOOSE_COVERAGE and -fit >= LOOSE_FIT and breadth <= max(held, default=-1)
        )
        return [name for _, _, breadth, name in ranked if breadth <= ranked[0][2]]

    def described(self, concepts: list[Concept]) -> list[Concept]:
        """Put the lexicon's line on a subject before the main concepts of the nodes that are named after it.

        A description that somebody wrote stays.
        """
        return [self._described(concept) for concept in concepts]

    def _described(self, concept: Concept) -> Concept:
        text = self._descriptions.get(name_key(concept.name), "")
        if not text or concept.description != describe(concept.members, concept.n_tags):
            return concept
        text = clean_text(f"{text}: {concept.description}", MAX_DESCRIPTION_LENGTH)
        return replace(concept, description=text)

    @cached_property
    def _descriptions(self) -> dict[str, str]:
        texts = self.lexicon.descriptions.items()
        return {name_key(clean_name(field or domain)): text for (domain, field), text in texts}
