from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.formats import tokens


def by_the_tokenizer(texts):
    encoded = tokens.tokenizer().encode_batch_fast(texts, add_special_tokens=False)
    return [len(encoding) for encoding in encoded]


def test_counts_are_the_tokenizers_own():
    texts = [
        "",
        " ",
        "Hello, world!",
        "naïve café Ångström re\u0301sume\u0301",
        "请解释一下量子纠缠",
        "ひらがなとカタカナ",
        "ช่วยแต่งกลอน",
        "def f(x):\n    return x**2  # [MASK] [CLS] <s>",
        "👩\u200d👩\u200d👧 flags 🇫🇮",
        "a\x00b\x07c\u200bd\u2028e\u00a0f",
        "supercalifragilistic" * 9,
        "…“quoted”—dash",
        "\u0300x",
    ]
    assert tokens.count(texts).tolist() == by_the_tokenizer(texts)


@given(st.lists(st.text(max_size=60), max_size=5))
def test_counts_are_the_tokenizers_own_on_any_text(texts):
    assert tokens.count(texts).tolist() == by_the_tokenizer(texts)


def test_no_text_has_no_counts():
    counts = tokens.count([])
    assert counts.dtype == np.int32
    assert counts.shape == (0,)


def test_counts_do_not_depend_on_what_was_counted_before(monkeypatch):
    texts = [f"word{number} of {number}" for number in range(300)]
    expected = by_the_tokenizer(texts)
    monkeypatch.setattr(tokens, "_WORDS_REMEMBERED", 50)
    monkeypatch.setattr(tokens, "_CHARACTERS_A_CHUNK", 100)
    assert tokens.count(texts).tolist() == expected
    assert tokens.count(list(reversed(texts))).tolist() == expected[::-1]
