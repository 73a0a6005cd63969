from __future__ import annotations

import csv
import gzip

import polars as pl
import pytest

from tags_assets.formats.language import DEFAULT, detect


@pytest.mark.parametrize(
    ("prompt", "response", "language"),
    [
        ("What is the capital of France and why is it famous?", "Paris.", "en"),
        ("请解释一下量子纠缠是什么。", "量子纠缠是指两个或多个粒子之间存在的一种关联。", "zh"),
        ("ما هي عاصمة مصر؟ اشرح تاريخها", "القاهرة", "ar"),
        (
            "Напиши функцию на Python для сортировки списка.",
            "def sort_list(xs):\n    return sorted(xs)",
            "ru",
        ),
        ("Erkläre mir bitte, wie eine Wärmepumpe funktioniert.", "Sie entzieht der Umgebung Wärme.", "de"),
        ("Cuéntame un poco sobre el modelo de aprendizaje", "El modelo es una red.", "es"),
        ("피타고라스 정리를 설명해 주세요.", "직각삼각형에서", "ko"),
        ("x = [1, 2]", "print(x)", DEFAULT),
        ("2+2", "4", DEFAULT),
        ("", "", DEFAULT),
    ],
)
def test_language_is_told(prompt, response, language):
    assert detect([prompt], [response]) == [language]


@pytest.mark.real_data
def test_languages_of_the_real_pool_are_as_labelled(shared_data, read_once):
    with gzip.open(shared_data / "pool_mixed.labels.csv.gz", "rt") as file:
        labels = {row["id"]: row["lang"][:2] for row in csv.DictReader(file)}
    rows = read_once(shared_data / "pool_mixed.jsonl.gz").instances.select("id", "language").collect()
    right = rows.with_columns(pl.col("id").replace_strict(labels).alias("label"))
    assert (right["language"] == right["label"]).mean() > 0.995
