"""Notes that stand first: a language that the embedder cannot read, a selection worse than random rows."""

# ruff: noqa: RUF001 - texts in other scripts are what is tested

from __future__ import annotations

import polars as pl
import pytest

from tags_assets.selection.notes import language_notes, notes_of

ENGLISH_POOL = pl.Series(["en"] * 90 + ["de"] * 10)

DESCRIPTIONS = {
    "Mathematikaufgaben für die Grundschule, Schritt für Schritt gelöst": "German",
    "Problèmes de mathématiques pour l'école primaire, résolus pas à pas": "French",
    "Problemas de matemáticas de primaria": "Spanish",
    "小学数学应用题，逐步解答": "Chinese",
    "数学": "Chinese",
    "مسائل رياضيات للمدارس الابتدائية": "Arabic",
    "Задачи по математике для начальной школы": "Russian",
    "初等数学の文章題": "Japanese",
    "초등학교 수학 문제": "Korean",
    "प्राथमिक विद्यालय के गणित के प्रश्न": "Hindi",
    "Bài toán tiểu học": "Vietnamese",
    "İlkokul matematik problemleri": "Turkish",
}

ENGLISH = (
    "grade-school maths word problems, solved step by step",
    "Python",
    "medicine",
    "haiku",
    "SQL joins and window functions",
    "linear algebra proofs",
    "naïve Bayes classifiers",
    "résumé and café names",
    "Schrödinger equation, eigenvalues",
    "translate German to English",
    "travel itineraries Paris Rome",
    "vegan lasagna, tiramisu, gnocchi recipes",
    "def fib(n): return n if n < 2 else fib(n-1) + fib(n-2)",
    "SELECT * FROM t WHERE a = 1",
    "#include <stdio.h> int main(void)",
    "public static void main(String[] args)",
    "docker compose nginx postgres redis",
    "∫ x² dx, ∑ 1/n², limits",
    "α-decay, β-decay and γ rays",
    "prove that ∀ε>0 ∃δ>0: |x−a|<δ ⇒ |f(x)−f(a)|<ε",
    "$\\alpha + \\beta = \\gamma$",
    "1 + 1 = 2; 3x + 4 = 10",
    "",
)


@pytest.mark.parametrize(("text", "language"), DESCRIPTIONS.items())
def test_a_description_in_another_language_is_named_with_a_way_out(text, language):
    (note,) = language_notes(ENGLISH_POOL, description=text)
    assert f"reads as {language}" in note
    assert "example rows" in note
    assert "--embedder api" in note


@pytest.mark.parametrize("text", ENGLISH)
def test_english_code_and_mathematics_raise_no_alarm(text):
    assert language_notes(ENGLISH_POOL, description=text) == []


def test_a_pool_that_is_mostly_not_english_is_named():
    (note,) = language_notes(pl.Series(["zh"] * 80 + ["en"] * 20))
    assert note.startswith("80% of the pool's rows are not English (mostly Chinese)")
    assert "A target of example rows still works" in note
    assert language_notes(pl.Series(["zh"] * 40 + ["en"] * 60)) == []
    assert language_notes(pl.Series([], dtype=pl.String)) == []


def test_examples_in_another_language_are_named():
    (note,) = language_notes(ENGLISH_POOL, examples=pl.Series(["de", "de", "en"]))
    assert "67% of the target's examples are not English (mostly German)" in note


def test_a_selection_worse_than_random_rows_stands_first():
    selection = {"kl": 0.5, "kl_random": 0.4, "kl_random_limit": 0.45, "messages": ["a cap was met"]}
    target = {"kind": "weights", "notes": ["the description reads as German"]}
    worse, language, message = notes_of(selection, target)
    assert worse.startswith("Worse than random rows: the selection is 0.500 nats")
    assert language == "the description reads as German."
    assert message == "a cap was met"
    within = {"kl": 0.44, "kl_random": 0.4, "kl_random_limit": 0.45}
    assert notes_of(within, target) == [language], "the check allows as much"
    assert notes_of({**selection, "messages": []}, {"kind": "pool"}) == []
    assert notes_of({**selection, "messages": [], "alignment": 0.0}, {"kind": "weights"}) == []
