"""Names of nodes from the lexicon: true of most of the node, and no broader than the node."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tags_assets.method.concepts.fields import Fields
from tags_assets.method.tree.builder import build_tree
from tags_assets.method.tree.clustering import group_sums, unit
from tags_assets.method.tree.naming import TagNames
from tags_assets.method.tree.refinement import Concept
from tags_assets.method.tree.subject_names import SubjectNames
from tags_assets_tests.method.concepts.lexicons import DOMAINS, fields, lexicon, tags_of


def pool(per_field, seed=0):
    rng = np.random.default_rng(seed)
    parts = [tags_of(field, n, rng) for field, n in per_field.items()]
    return [tag for tags, _ in parts for tag in tags], np.concatenate([vectors for _, vectors in parts])


def names_of(per_field, node_of_field):
    tags, vectors = pool(per_field)
    names = SubjectNames.of(fields().subjects(tags, vectors), np.ones(len(tags)))
    node = np.repeat([node_of_field[field] for field in per_field], list(per_field.values()))
    return names.candidates(node, max(node_of_field.values()) + 1)


def test_a_group_is_named_after_the_subject_of_its_own_breadth():
    everything = dict.fromkeys(range(12), 10)
    node_of_field = {0: 0, 4: 1, 5: 1, 8: 2, 9: 2, 10: 2, 11: 2, 1: 3, 2: 3, 3: 3, 6: 3, 7: 3}
    field, domain, area, rest = names_of(everything, node_of_field)
    assert field[0] == "physics field 0"
    assert domain[0] == "music"
    assert area[0] == "home"
    assert "science" not in field
    assert rest != []


def test_a_group_much_smaller_than_its_field_is_left_to_its_tags():
    tags, vectors = pool({0: 60, 5: 60})
    names = SubjectNames.of(fields().subjects(tags, vectors), np.ones(len(tags)))
    node = np.array([0] * 3 + [1] * 57 + [2] * 60)
    small, large, other = names.candidates(node, 3)
    assert small == []
    assert large[0] == "physics field 0"
    assert other[0] == "music field 1"


def test_two_related_subjects_of_like_weight_name_a_group_together():
    everything = dict.fromkeys(range(12), 10)
    names, _ = names_of(everything, dict.fromkeys(range(12), 1) | {0: 0, 2: 0})
    assert names[0] in ("physics field 0, biology field 0", "biology field 0, physics field 0")


def test_unrelated_fields_are_not_joined_in_a_name():
    everything = dict.fromkeys(range(12), 10)
    names, _ = names_of(everything, dict.fromkeys(range(12), 1) | {0: 0, 6: 0})
    assert not [name for name in names if "physics" in name and "painting" in name]


def test_the_lexicon_describes_what_is_named_after_it_but_never_over_words_of_others():
    tags, vectors = pool({0: 4, 1: 4})
    names = SubjectNames.of(fields().subjects(tags, vectors), np.ones(len(tags)))
    listed = Concept("physics", "a, b", 2, 2, ("a", "b"), ("physics",))
    written = Concept("physics", "What moves.", 2, 2, ("a", "b"), ("physics",))
    unknown = Concept("chess", "a, b", 2, 2, ("a", "b"), ("chess",))
    described = [concept.description for concept in names.described([listed, written, unknown])]
    assert described == ["Matter and motion: a, b", "What moves.", "a, b"]


def test_the_top_of_a_tree_is_made_of_subjects():
    tags, vectors = pool(dict.fromkeys(range(12), 30))
    subjects = fields().subjects(tags, vectors)
    tree = build_tree(tags, np.ones(len(tags)), vectors, subjects=subjects)
    top = tree.parent == tree.root
    names = [name for name, is_top in zip(tree.names, top, strict=True) if is_top]
    known = {*subjects.lexicon.fields, *subjects.lexicon.domains, *subjects.lexicon.areas}
    assert known.issuperset(names)


def test_a_tree_with_subjects_does_not_depend_on_the_order_of_the_tags():
    tags, vectors = pool(dict.fromkeys(range(12), 10))
    mixed = np.random.default_rng(0).permutation(len(tags))
    one = build_tree(tags, np.ones(len(tags)), vectors, subjects=fields().subjects(tags, vectors))
    shuffled = [tags[i] for i in mixed]
    other = build_tree(
        shuffled, np.ones(len(tags)), vectors[mixed], subjects=fields().subjects(shuffled, vectors[mixed])
    )
    assert one.paths == other.paths
    assert one.tag_leaf.tolist() == other.tag_leaf.tolist()


def test_a_group_of_everything_is_under_no_subject():
    six = replace(lexicon(), areas=DOMAINS, area_of_domain=np.arange(6))
    tags, vectors = pool(dict.fromkeys(range(12), 8))
    names = SubjectNames.of(Fields(six, fields().vectors).subjects(tags, vectors), np.ones(len(tags)))
    halves = np.arange(len(tags)) % 2
    assert names.candidates(halves, 2) == [[], []]


def test_a_large_group_that_no_subject_fits_is_called_a_mixture():
    six = replace(lexicon(), areas=DOMAINS, area_of_domain=np.arange(6))
    tags, vectors = pool(dict.fromkeys(range(12), 8))
    counts = np.ones(len(tags))
    subjects = SubjectNames.of(Fields(six, fields().vectors).subjects(tags, vectors), counts)
    names = TagNames.of(tags, counts, vectors, subjects)
    halves = np.arange(len(tags)) % 2
    small = np.where(np.arange(len(tags)) < 80, -1, 0)
    members = [("a", "b")] * 2
    for concept in names.concepts(halves, unit(group_sums(halves, vectors, 2)), members):
        assert concept.name.startswith("miscellaneous: ")
        assert all(tag in tags for tag in concept.name.removeprefix("miscellaneous: ").split(", "))
    (concept,) = names.concepts(small, unit(vectors[80:].sum(axis=0, keepdims=True)), members[:1])
    assert "miscellaneous" not in concept.name
