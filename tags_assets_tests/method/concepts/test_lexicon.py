"""The lexicon's files: one concept, one place, and no alias that could mean two."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files

import pytest

from tags_assets.errors import InvalidInputError, NotFoundError
from tags_assets.method.concepts.lexicon import own_lexicon, read_lexicon

FOLDER = files("tags_assets.method.concepts").joinpath("lexicon")


def lines(name):
    return [line.split("\t") for line in FOLDER.joinpath(name).read_text(encoding="utf-8").splitlines()]


DOMAINS = {
    file.name.removesuffix(".tsv"): lines(file.name)
    for file in sorted(FOLDER.iterdir(), key=lambda file: file.name)
    if file.name.endswith(".tsv") and file.name not in {"areas.tsv", "descriptions.tsv"}
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


def test_every_domain_belongs_to_an_area_that_is_described():
    areas = lines("areas.tsv")
    described = {area for area, domain, text in areas if not domain and text}
    of_domains = {domain: area for area, domain, _ in areas if domain}
    assert len(of_domains) == sum(bool(domain) for _, domain, _ in areas)
    assert set(of_domains) == {domain for domain, field, _ in lines("descriptions.tsv") if not field}
    assert set(of_domains.values()) == described


def test_our_lexicon_is_read_whole():
    lexicon = own_lexicon()
    assert len(lexicon.concepts) == sum(map(len, DOMAINS.values()))
    assert len(lexicon.domains) == len(DOMAINS)
    at = lexicon.concepts.index("myocardial infarction")
    field = lexicon.field_of_concept[at]
    assert lexicon.fields[field] == "heart and blood vessels"
    assert lexicon.domains[lexicon.domain_of_field[field]] == "medicine"
    assert lexicon.areas[lexicon.area_of_field[field]] == "health"


def test_a_tag_names_a_concept_by_name_alias_number_and_spelling():
    lexicon = own_lexicon()
    heart, absent = lexicon.concepts_named(["heart attacks", "no such concept"])
    assert lexicon.concepts[heart] == "myocardial infarction"
    assert absent == -1
    # A qualified name is ambiguous in text: without its qualifier it is no name of the concept.
    qualified = lexicon.concepts.index("mode (statistics)")
    assert lexicon.concepts_named(["mode"])[0] != qualified


def test_a_lexicon_of_the_user_is_read(tmp_path):
    file = tmp_path / "own.tsv"
    riesling = "wine\tgrapes\tRiesling\tWhite Riesling; Rhine Riesling\n"
    file.write_text(f"domain\tfield\tconcept\taliases\n{riesling}\nwine\ttasting\ttannin\n")
    lexicon = read_lexicon(file)
    assert (lexicon.areas, lexicon.domains, lexicon.fields) == (("wine",), ("wine",), ("grapes", "tasting"))
    assert lexicon.aliases == (("White Riesling", "Rhine Riesling"), ())
    assert lexicon.concepts_named(["rhine riesling", "tannins"]).tolist() == [0, 1]
    assert lexicon.content_hash != own_lexicon().content_hash


@pytest.mark.parametrize(
    ("content", "where", "problem"),
    [
        (b"wine\tgrapes\n", ":1", "this one has 2 cells"),
        (b"wine\tgrapes\t \n", ":1", "a domain, a field and a concept"),
        (b"a\tb\tc\nd\te\tC\n", ":2", "already in line 1"),
        (b"a\tb\t\xff\n", "", "not UTF-8"),
        (b"domain\tfield\tconcept\n", "", "has no concept"),
    ],
)
def test_a_mistake_in_a_lexicon_is_named(tmp_path, content, where, problem):
    file = tmp_path / "own.tsv"
    file.write_bytes(content)
    with pytest.raises(InvalidInputError, match=problem) as error:
        read_lexicon(file)
    assert error.value.where == f"{file}{where}"


def test_a_lexicon_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="does not exist"):
        read_lexicon(tmp_path / "none.tsv")
