"""The lexicon: concepts by field of knowledge, fields by domain, domains by area."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from tags_assets.errors import InvalidInputError, NotFoundError
from tags_assets.method.concepts.vocabulary import merge_key, normalise_tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from numpy.typing import NDArray

COLUMNS = ("domain", "field", "concept", "aliases")
"""Columns of a lexicon in one file; the aliases are joined by ``;`` and may be missing."""

OTHER_LANGUAGES = "other languages"
"""Name of the area of words that the embedder cannot read."""


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Concepts and the subjects that they belong to.

    Attributes
    ----------
    areas, domains
        Names of the broadest subjects and of those below them, (n_areas,) and (n_domains,).
    fields
        Names of the fields of knowledge, (n_fields,). Fields of two domains may bear one name.
    area_of_domain
        Number of each domain's area, int64 (n_domains,).
    domain_of_field
        Number of each field's domain, int64 (n_fields,).
    concepts
        Names of the concepts, (n_concepts,).
    aliases
        Other names of each concept, (n_concepts,).
    field_of_concept
        Number of each concept's field, int64 (n_concepts,).
    descriptions
        One line on an area, a domain or a field, by the name of its domain (or area) and of the field (or
        ``""``).
    """

    areas: tuple[str, ...]
    domains: tuple[str, ...]
    fields: tuple[str, ...]
    area_of_domain: NDArray[np.int64]
    domain_of_field: NDArray[np.int64]
    concepts: tuple[str, ...]
    aliases: tuple[tuple[str, ...], ...]
    field_of_concept: NDArray[np.int64]
    descriptions: dict[tuple[str, str], str]

    @cached_property
    def area_of_field(self) -> NDArray[np.int64]:
        """Number of each field's area, int64 (n_fields,)."""
        return self.area_of_domain[self.domain_of_field]

    @cached_property
    def content_hash(self) -> str:
        """Hash of all that the lexicon says, 16 hexadecimal digits."""
        said = repr(
            (
                self.areas, self.domains, self.fields, self.area_of_domain.tolist(),
                self.domain_of_field.tolist(), self.concepts, self.aliases, self.field_of_concept.tolist(),
                sorted(self.descriptions.items()),
            )
        )  # fmt: skip
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()

    def concepts_named(self, tags: Sequence[str]) -> NDArray[np.int64]:
        """Find the concept that each tag names by its name or by an alias, -1 for none, int64 (n_tags,).

        Parameters
        ----------
        tags
            Canonical tags (see `normalise_tag`); number, hyphens and spelling make no difference.
        """
        return np.array([self._by_key.get(merge_key(tag), -1) for tag in tags], dtype=np.int64)

    def with_languages(self, names: tuple[str, ...]) -> Lexicon:
        """Add an area of other languages, each a domain with one field: where unread words belong."""
        if not names:
            return self
        n_domains, area = len(self.domains), len(self.areas)
        return replace(
            self,
            areas=(*self.areas, OTHER_LANGUAGES),
            domains=(*self.domains, *names),
            fields=(*self.fields, *names),
            area_of_domain=np.append(self.area_of_domain, np.full(len(names), area)),
            domain_of_field=np.append(self.domain_of_field, n_domains + np.arange(len(names))),
            descriptions=self.descriptions
            | {(OTHER_LANGUAGES, ""): "Words of other languages than English, grouped by language"}
            | {(name, ""): f"Words of rows in {name}" for name in names},
        )

    @cached_property
    def _by_key(self) -> dict[str, int]:
        """Concept of each `merge_key`; a name goes before an alias; qualified names match nothing."""
        names = [(name, c) for c, name in enumerate(self.concepts)]
        names += [(alias, c) for c, own in enumerate(self.aliases) for alias in own]
        found: dict[str, int] = {}
        for name, concept in names:
            if "(" not in name:
                found.setdefault(merge_key(normalise_tag(name)), concept)
        return found


def own_lexicon() -> Lexicon:
    """Read the lexicon that the package ships: one file per domain, with areas and descriptions."""
    folder = files(__name__)
    areas = [line for _, line in _lines(folder.joinpath("areas.tsv"))]
    described = [line for _, line in _lines(folder.joinpath("descriptions.tsv"))]
    area_of = {domain: area for area, domain, _ in areas if domain}
    rows = [
        (domain, *row)
        for domain in area_of
        for _, row in _lines(folder.joinpath(f"{_file_name(domain)}.tsv"))
    ]
    descriptions = {(area, ""): text for area, domain, text in areas if not domain}
    descriptions |= {(domain, field): text for domain, field, text in described}
    return _lexicon(rows, area_of, descriptions)


def read_lexicon(path: Path) -> Lexicon:
    """Read a lexicon from a TSV file with the columns ``domain, field, concept, aliases``.

    Parameters
    ----------
    path
        UTF-8; a header line is optional, and so are the aliases of a concept, joined by ``;``. Each domain is
        an area of its own.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    InvalidInputError
        If it is not UTF-8, a line is not of that form, or a concept occurs twice.
    """
    if not path.is_file():
        raise NotFoundError("the lexicon does not exist", where=str(path), fix="Check the path.")
    rows: list[tuple[str, str, str, str]] = []
    first_line: dict[str, int] = {}
    try:
        for number, cells in _lines(path):
            if number == 1 and tuple(cells[:3]) == COLUMNS[:3]:
                continue
            where = f"{path}:{number}"
            if len(cells) not in (3, 4) or not all(cell.strip() for cell in cells[:3]):
                raise InvalidInputError(
                    f"a line of a lexicon needs a domain, a field and a concept; this one has {len(cells)} "
                    "cells",
                    where=where,
                    fix="Separate the cells by tabs: domain, field, concept, aliases joined by ';'.",
                )
            domain, field, concept, *aliases = (" ".join(cell.split()) for cell in cells)
            before = first_line.setdefault(concept.casefold(), number)
            if before != number:
                raise InvalidInputError(
                    f"the concept {concept!r} is already in line {before}",
                    where=where,
                    fix="Keep one of the two lines.",
                )
            rows.append((domain, field, concept, aliases[0] if aliases else ""))
    except UnicodeDecodeError:
        raise InvalidInputError(
            "the lexicon is not UTF-8", where=str(path), fix="Save it as UTF-8."
        ) from None
    if not rows:
        raise InvalidInputError("the lexicon has no concept", where=str(path), fix="Add a line per concept.")
    return _lexicon(rows, {domain: domain for domain, *_ in rows}, {})


def _lexicon(
    rows: Sequence[Sequence[str]], area_of: dict[str, str], descriptions: dict[tuple[str, str], str]
) -> Lexicon:
    domains = tuple(dict.fromkeys(row[0] for row in rows))
    areas = tuple(dict.fromkeys(area_of[domain] for domain in domains))
    fields = list(dict.fromkeys((row[0], row[1]) for row in rows))
    number = {field: i for i, field in enumerate(fields)}
    return Lexicon(
        areas=areas,
        domains=domains,
        fields=tuple(field for _, field in fields),
        area_of_domain=np.array([areas.index(area_of[domain]) for domain in domains], dtype=np.int64),
        domain_of_field=np.array([domains.index(domain) for domain, _ in fields], dtype=np.int64),
        concepts=tuple(row[2] for row in rows),
        aliases=tuple(tuple(alias.strip() for alias in row[3].split(";") if alias.strip()) for row in rows),
        field_of_concept=np.array([number[row[0], row[1]] for row in rows], dtype=np.int64),
        descriptions=descriptions,
    )


def _lines(file: Traversable | Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line that is not empty."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            yield number, line.split("\t")


def _file_name(domain: str) -> str:
    return domain.replace(",", "").replace(" ", "-").lower()
