from __future__ import annotations

import pytest

from tags_assets.method.tagging.code import code_concepts
from tags_assets.method.tagging.extraction import bounded_row, extract
from tags_assets.method.tagging.passages import bounded, prose
from tags_assets.method.text.number import singular, singular_phrase


def phrases(prompt: str, response: str = "", language: str | None = "en") -> list[str]:
    (found,) = extract([bounded_row(prompt, response, language)])
    return [candidate.phrase for candidate in found]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Implement gradient descent with momentum.", "gradient descent"),
        ("Patients with type 2 diabetes need insulin.", "type 2 diabetes"),
        ("Turn on two-factor authentication now.", "two-factor authentication"),
        ("Newton's second law relates force and mass.", "newton's second law"),
        ("She applies several sorting algorithms to it.", "sorting algorithm"),
        ("The cells of this patient's kidney are damaged.", "kidney"),
        ("Write a Python function that reverses a list.", "python"),
        ("The eigenvalues of these matrices are real.", "matrix"),
    ],
)
def test_phrases_are_noun_phrases_with_their_heads_in_the_singular(text, phrase):
    assert phrase in phrases(text)


@pytest.mark.parametrize("fragment", ["write a sql", "given sentence", "the following", "following sentence"])
def test_phrases_are_no_fragments_of_instructions(fragment):
    text = "Write a SQL query for the given sentence. The following sentence is an example."
    assert not any(phrase.startswith(fragment) for phrase in phrases(text))


def test_a_candidate_says_how_often_and_where():
    (found,) = extract(
        [bounded_row("Explain recursion.", "Recursion needs a base case. Recursion ends.", "en")]
    )
    by_phrase = {c.phrase: c for c in found}
    assert by_phrase["recursion"].times == 3
    assert by_phrase["recursion"].in_prompt
    assert not by_phrase["base case"].in_prompt
    assert by_phrase["recursion"].first < by_phrase["base case"].first


def test_a_sentence_that_two_rows_share_has_one_checksum():
    shared = "Answer the trivia question."
    one, other = extract(
        [bounded_row(f"{shared} Who wrote Hamlet?", "", "en"), bounded_row(f"{shared} Go.", "", "en")]
    )
    sentences = [{c.sentence for c in found if "trivia" in c.phrase} for found in (one, other)]
    assert sentences[0] == sentences[1] != set()


def test_code_is_not_read_but_what_people_write_in_it_is():
    text = (
        "```python\n# compute the discrete cosine transform\ndef f(xs):\n    total = 0\n    return total\n```"
    )
    assert "discrete cosine transform" in prose(text)
    assert "total" not in prose(text)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import numpy as np\ndef mean(xs):\n    return np.mean(xs)", {"python", "numpy"}),
        ("SELECT name FROM staff WHERE pay > 3", {"sql"}),
        ("#include <iostream>\nint main() { std::cout << 1; }", {"c++"}),
        ("public static void main(String[] args) {}", {"java"}),
        ("```js\nlet x = 1\n```", {"javascript"}),
        ("Select a gift from the shop.", set()),
    ],
)
def test_code_names_its_language_and_libraries(code, names):
    assert set(code_concepts(code)) == names


def test_money_is_no_formula_and_a_calculator_is_no_prose():
    text = prose("Apples cost $20 and pears $4. He pays 28/2 = <<28/2=14>>14 dollars.")
    assert "Apples cost $20 and pears $4" in text
    assert "<<" not in text


def test_long_texts_are_read_at_their_start_and_their_end():
    text = bounded("start " + "middle " * 5000 + "end", 100, tail=20)
    assert text.startswith("start")
    assert text.endswith("end")
    assert len(text) < 130


@pytest.mark.parametrize(
    ("plural", "word"),
    [
        ("matrices", "matrix"), ("databases", "database"), ("viruses", "virus"), ("queries", "query"),
        ("taxes", "tax"), ("headaches", "headache"), ("approaches", "approach"), ("leaves", "leaf"),
        ("potatoes", "potato"), ("shoes", "shoe"), ("hypotheses", "hypothesis"), ("children", "child"),
        ("physics", "physics"), ("news", "news"), ("analysis", "analysis"), ("class", "class"),
        ("diabetes", "diabetes"), ("bus", "bus"), ("gas", "gas"), ("pandas", "pandas"), ("classes", "class"),
    ],
)  # fmt: skip
def test_plurals_become_singular_and_singulars_stay(plural, word):
    assert singular(plural) == word


def test_only_the_head_of_a_phrase_changes_its_number():
    assert singular_phrase("sales taxes") == "sales tax"
