"""The lexicon's files: one concept, one place, and no alias that could mean two."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files

FOLDER = files("tags_assets.method.concepts").joinpath("lexicon")


def lines(name):
    return [line.split("\t") for line in FOLDER.joinpath(name).read_text(encoding="utf-8").splitlines()]


DOMAINS = {
    file.name.removesuffix(".tsv"): lines(file.name)
    for file in sorted(FOLDER.iterdir(), key=lambda file: file.name)
    if file.name not in {"descriptions.tsv", "README.md"}
}


def test_lines_are_a_field_a_concept_and_its_aliases():
    for domain, rows in DOMAINS.items():
        assert {len(row) for row in rows} == {3}, domain
        for field, concept, aliases in rows:
            texts = [field, concept, *(aliases.split(";") if aliases else [])]
            assert all(text and text == " ".join(text.split()) for text in texts), (domain, concept)


def test_no_concept_stands_twice_and_no_alias_is_of_two_concepts():
    names = Counter()
    for rows in DOMAINS.values():
        for _, concept, aliases in rows:
            names.update({name.casefold() for name in [concept, *filter(None, aliases.split(";"))]})
    assert [name for name, count in names.items() if count > 1] == []


def test_the_descriptions_are_those_of_the_domains_and_fields():
    described = [(domain, field) for domain, field, text in lines("descriptions.tsv") if text]
    slugs = {domain.replace(",", "").replace(" ", "-").lower(): domain for domain, _ in described}
    fields = {(slugs[slug], field) for slug, rows in DOMAINS.items() for field, _, _ in rows}
    assert sorted(described) == sorted(fields | {(slugs[slug], "") for slug in DOMAINS})


def test_the_readme_gives_the_size_of_the_lexicon():
    rows = [row for domain in DOMAINS.values() for row in domain]
    described = lines("descriptions.tsv")
    domains = [domain for domain, field, _ in described if not field]
    aliases = sum(len(aliases.split(";")) for _, _, aliases in rows if aliases)
    size = (
        f"{len(rows):,} concepts with {aliases:,} aliases, in {len(domains)} domains and "
        f"{len(described) - len(domains)} fields."
    )
    assert size in FOLDER.joinpath("README.md").read_text(encoding="utf-8")
