"""Selected rows to export, read from raw rows by the product's own reader."""

from __future__ import annotations

import json

import polars as pl

from tags_assets.formats.export.pairs import parse
from tags_assets.formats.instance import MESSAGES_DTYPE
from tags_assets.formats.recognise import recognise

HOSTILE = '\u2028 line \u0000 NUL </script> \U0001f600 \u202e {"a": 1} \\ud800 \r\n\t end'


def talk(*said: str) -> dict[str, object]:
    """A messages row from ``role: text`` strings."""
    turns = [dict(zip(("role", "content"), one.split(": ", 1), strict=True)) for one in said]
    return {"messages": turns}


RAW_ROWS: list[object] = [
    {"id": "a1", "instruction": "Add 2 and 3.", "input": "", "output": "5"},
    {
        "id": 7,
        "source": "dolly",
        "instruction": "Translate.",
        "input": "Hund",
        "output": "dog",
        "history": [["hi", "ho"]],
    },
    {"id": "m1"} | talk("system: Be kind.", "user: Hello", "assistant: Hi", "user: 1+1?", "assistant: 2"),
    {"conversations": [{"from": "human", "value": HOSTILE}, {"from": "gpt", "value": HOSTILE}]},
    {"prompt": "Say hi", "completion": "hi"},
    {"id": "tools"}
    | talk("user: weather?", 'assistant: {"name": "w"}', "tool: sun", "assistant: It is sunny."),
    {"id": "odd"} | talk("user: one", "user: two", "assistant: three"),
    {"id": "open"} | talk("user: one", "assistant: two", "user: three"),
    {"id": "greets"} | talk("assistant: Hello!", "user: hi", "assistant: How can I help?"),
    {"id": "late-system"} | talk("user: a", "system: b", "assistant: c"),
    '{"id": "half", "instruction": "half \\ud800 pair", "output": "ok \\udfff"}',
    '{\n  "id": "indented",\n  "instruction": "x",\n  "output": "y\\nz"\n}',
    {"id": "long", "instruction": "word " * 400_000, "output": "ok"},
]

PREFERENCES: list[object] = [
    {"id": "p1", "prompt": "2+2?", "chosen": "4", "rejected": "5"},
    {
        "id": "p2",
        "chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
        "rejected": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "go away"}],
    },
    {"id": "p3", "chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"},
    {"id": "same", "prompt": "x?", "chosen": "y", "rejected": "y"},
    {"id": "null", "prompt": "x?", "chosen": "y", "rejected": None},
    {
        "id": "other-prompt",
        "chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
        "rejected": [{"role": "user", "content": "bye"}, {"role": "assistant", "content": "go away"}],
    },
]


def frame(raws: list[object]) -> pl.DataFrame:
    """Rows as ``raw_instances`` holds them, the columns that an export needs."""
    rows = []
    for line, raw in enumerate(raws, start=1):
        text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)
        read = recognise(parse(text))
        rows.append(
            (
                f"i{line}",
                read.id,
                read.source or "pool",
                "pool.jsonl",
                line,
                read.format,
                read.messages,
                text,
                read.structure,
                read.label,
            )
        )
    schema = {
        "instance_id": pl.String(),
        "id": pl.String(),
        "source": pl.String(),
        "file": pl.String(),
        "line": pl.Int64(),
        "format": pl.String(),
        "messages": MESSAGES_DTYPE,
        "raw": pl.String(),
        "structure": pl.String(),
        "label": pl.Boolean(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
