from __future__ import annotations

from unicodedata import normalize

from hypothesis import given
from hypothesis import strategies as st

from tags_assets.formats.content_hash import content_hash, identity, normalised


def conversation(*contents):
    roles = ["user", "assistant"] * len(contents)
    return [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]


def test_composed_and_decomposed_text_is_one_text():
    text = "Résumé of the Café naïve Ångström"
    assert content_hash(conversation(text)) == content_hash(conversation(normalize("NFD", text)))


def test_white_space_and_invisible_breaks_make_no_other_text():
    assert normalised("  a\t\u200bb\u00a0\n\nc ") == "a b c"


def test_case_punctuation_and_exponents_make_another_text():
    assert len({content_hash(conversation(text)) for text in ("x2", "X2", "x²", "x2.")}) == 4


def test_emoji_and_persian_keep_their_joiners():
    for text in ("👩\u200d👧", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"):
        assert normalised(text) == text


def test_who_says_it_and_where_a_turn_ends_counts():
    assert content_hash(conversation("a", "b")) != content_hash(conversation("a b"))
    assert content_hash(conversation("a", "b")) != content_hash(conversation("b", "a"))
    assert content_hash([{"role": "system", "content": "a"}]) != content_hash(conversation("a"))


def test_indentation_that_has_a_meaning_makes_another_text():
    inner = "for i in x:\n    if i:\n        a(i)\n        b(i)"
    outer = "for i in x:\n    if i:\n        a(i)\n    b(i)"
    assert normalised(inner) != normalised(outer)
    # The same program with tabs, Windows line ends and blank lines; and the same, further in.
    tabs = "\n\n".join(line.replace("    ", "\t") + " \r" for line in inner.split("\n"))
    further = "\n".join(f"  {line}" for line in inner.split("\n"))
    assert normalised(tabs) == normalised(further) == normalised(inner)


def test_the_indentation_of_prose_makes_no_other_text():
    assert normalised("It was late.\n   She went home.") == normalised("It was late. She went home.")


@given(st.text(st.sampled_from("ab:{ \t\n\r\u00a0\u2028\u200b")))
def test_normalising_lines_twice_changes_nothing(text):
    assert normalised(normalised(text)) == normalised(text)
    assert "\x1e" not in normalised(f"{text}:\n  \x1e\x1f{text}")


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    assert normalised(normalised(text)) == normalised(text)


PARTS = st.tuples(st.text("ab", max_size=3), st.text("ab", max_size=3), st.text("ab\x00", max_size=3))


@given(PARTS, PARTS)
def test_other_parts_are_another_identity(one, other):
    assert (identity(*one) == identity(*other)) == (one == other)
