from __future__ import annotations

import polars as pl

from tags_assets.formats.conversation import TEXTS_SCHEMA, texts
from tags_assets.formats.instance import MESSAGES_DTYPE


def test_prompt_is_what_the_model_is_given_and_response_what_it_says():
    turns = [("system", "s"), ("user", "q1"), ("assistant", "call"), ("tool", "t"), ("assistant", "a")]
    messages = [[{"role": role, "content": content} for role, content in turns], []]
    frame = pl.DataFrame(
        {"instance_id": ["i", "j"], "messages": messages},
        schema={"instance_id": pl.String(), "messages": MESSAGES_DTYPE},
    )
    read = texts(frame)
    assert read.schema == TEXTS_SCHEMA
    assert read.rows() == [("i", "s\n\nq1\n\nt", "call\n\na"), ("j", "", "")]
