from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.formats import tokens


def by_the_tokenizer(texts):
    """Count the tokens of whole texts, what the tokenizer does not know by its bytes."""
    unknown = tokens.tokenizer().token_to_id("[UNK]")
    return [
        sum(
            max(1, len(text[start:stop].encode()) // 3) if token == unknown else 1
            for token, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True)
        )
        for text, encoding in zip(
            texts, tokens.tokenizer().encode_batch(texts, add_special_tokens=False), strict=True
        )
    ]


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


def test_what_the_tokenizer_gives_up_on_is_no_handful_of_tokens():
    texts = ["QUJD" * 20_000, "0f" * 30_000, chr(0x1000) * 900, chr(0x1780) * 900, "\u0e01" * 900]
    for text, n in zip(texts, tokens.count(texts).tolist(), strict=True):
        assert len(text) / 4 <= n <= len(text.encode())
    assert tokens.count(["\U0001f9a6"]).tolist() == [1]
