from __future__ import annotations

import numpy as np
import polars as pl

from tags_assets.method.text.embedding import blocks, centred, row_texts, unit


def test_a_row_is_its_prompt_and_the_start_of_its_response():
    texts = row_texts(pl.Series(["  Solve\n\nthis. ", None]), pl.Series(["It is 2.", "Yes"]))
    assert texts == ["Solve this. It is 2.", "Yes"]


def test_a_long_prompt_leaves_room_for_the_response():
    (text,) = row_texts(pl.Series(["word " * 10_000]), pl.Series(["gradient descent"]))
    assert len(text) < 300
    assert text.endswith("gradient descent")


def test_rows_under_one_long_instruction_differ():
    prompts = pl.Series([f"{'Read the passage and answer. ' * 40}Passage {n}" for n in (1, 2)])
    one, two = row_texts(prompts, pl.Series(["Yes", "Yes"]))
    assert one.startswith("Read the passage")
    assert one.endswith("Passage 1 Yes")
    assert two.endswith("Passage 2 Yes")


def test_a_prompt_that_fits_is_whole():
    prompt = "ab " * 66 + "cd"
    assert row_texts(pl.Series([prompt]), pl.Series([None], dtype=pl.String)) == [prompt]


def test_centring_takes_off_what_all_rows_share():
    vectors = unit(np.array([[5.0, 1.0], [5.0, -1.0]]))
    np.testing.assert_allclose(centred(vectors), [[0, 1], [0, -1]], atol=1e-6)


def test_a_zero_vector_stays_zero():
    assert not unit(np.zeros((1, 3))).any()


def test_blocks_cover_everything_once():
    assert [list(range(10))[b] for b in blocks(10, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
