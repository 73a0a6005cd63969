"""Write the sample pool: `python sample/generate.py` makes every file of sample/pool anew, always the same.

What was written by hand lies in sample/written; what has numbers in it is computed in mathematics.py and tables.py.
The files have the formats, the unevenness and the faults of the data that people collect from several places.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml
from mathematics import TOPICS, WORD_PROBLEMS
from tables import MONEY, TOOLS, tool_dialogues

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mathematics import Problem

HERE = Path(__file__).resolve().parent
SEED = 20260113

Row = dict[str, Any]
"""A question and its answer: id, source, q, a, input and system where there are some."""


# What there is to ask ----------------------------------------------------------------------------------------


def written(name: str) -> list[Row]:
    """Rows of a file in sample/written, in their order."""
    rows = yaml.safe_load((HERE / "written" / f"{name}.yaml").read_text(encoding="utf-8"))
    return [{"id": f"{name}-{n:03}", "source": name, **row} for n, row in enumerate(rows, 1)]


def python_tasks() -> list[Row]:
    """Tasks in Python; the answer is the code in a fence and why it is so."""
    return [
        row | {"a": f"```python\n{row['code'].rstrip()}\n```\n{row['why']}"}
        for row in written("python_tasks")
    ]


def computed(source: str, problems: Sequence[Problem], each: int) -> list[Row]:
    """`each` rows of every problem, in turn, no question twice."""
    rows: list[Row] = []
    asked: set[str] = set()
    for turn in range(each):
        for problem in problems:
            # Each row has numbers of its own: a new problem in the list leaves the others as they were.
            random = Random(f"{SEED}/{problem.__name__}/{turn}")
            question, answer = problem(random)
            while question in asked:
                question, answer = problem(random)
            asked.add(question)
            rows.append({"id": f"{source}-{len(rows) + 1:03}", "source": source, "q": question, "a": answer})
    return rows


# Formats ------------------------------------------------------------------------------------------------------


def prompt(row: Row) -> str:
    """The question with its input below."""
    return f"{row['q']}\n\n{row['input']}" if "input" in row else row["q"]


def alpaca(row: Row) -> Row:
    """Stanford Alpaca: instruction, input, output."""
    return {
        "id": row["id"],
        "instruction": row["q"],
        "input": row.get("input", ""),
        "output": row["a"],
        "source": row["source"],
    }


def sharegpt(row: Row) -> Row:
    """ShareGPT: conversations of from and value."""
    turns = [{"from": "human", "value": prompt(row)}, {"from": "gpt", "value": row["a"]}]
    return {"id": row["id"], "source": row["source"], "conversations": turns}


def messages(row: Row) -> Row:
    """OpenAI's messages, of one question or of several turns."""
    turns = row.get("turns") or [prompt(row), row["a"]]
    said = [{"role": ("user", "assistant")[n % 2], "content": turn} for n, turn in enumerate(turns)]
    if "system" in row:
        said.insert(0, {"role": "system", "content": row["system"]})
    return {"id": row["id"], "source": row["source"], "messages": said}


def completion(row: Row) -> Row:
    """A prompt and its completion."""
    return {"id": row["id"], "source": row["source"], "prompt": prompt(row), "completion": row["a"]}


# Files --------------------------------------------------------------------------------------------------------


def jsonl(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def csv_table(rows: Sequence[Row]) -> bytes:
    """A CSV file with a header."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def parquet(rows: Sequence[Row]) -> bytes:
    """A Parquet table."""
    file = io.BytesIO()
    pl.DataFrame(rows).write_parquet(file)
    return file.getvalue()


def messy(rows: Mapping[str, Row]) -> bytes:
    """What a scrape of one's own looks like: good rows, repeated rows, rows that cannot be read."""
    again = [sharegpt(rows[name] | {"id": f"copy-of-{name}"}) for name in REPEATED]
    nearly = [
        alpaca(rows[name] | {"id": f"nearly-{name}", "a": rows[name]["a"].replace(old, new)})
        for name, (old, new) in NEARLY_REPEATED.items()
    ]
    weak = [
        {"id": "weak-1", "instruction": "What is machine learning?", "input": "", "output": "learning " * 60},
        {
            "id": "weak-2",
            "instruction": "Describe the water cycle.",
            "input": "",
            "output": "Describe the water cycle.",
        },
        {
            "id": "weak-3",
            "instruction": "List three uses of vinegar.",
            "input": "",
            "output": "As an AI language model, I cannot",
        },
    ]
    faulty = [
        b'{"id": "cut", "instruction": "What is a noun?", "input": "", "output": "A noun is a word\n',
        b'["not", "an", "object"]\n',
        jsonl([{"id": "no-answer", "instruction": "Name a prime number.", "input": "", "output": ""}]),
        jsonl([{"id": "no-output", "instruction": "Name a metal."}]),
        jsonl([{"id": "no-turns", "messages": []}]),
        jsonl(
            [{"id": "wrong-type", "instruction": "Name a river.", "input": "", "output": {"text": "Nile"}}]
        ),
        jsonl(
            [{"id": "unknown", "headline": "Local cat wins prize", "body": "It slept through the ceremony."}]
        ),
        b'{"id": "latin1", "instruction": "What is a caf\xe9?", "input": "", "output": "A coffee house."}\n',
        b"\n",
    ]
    good = [jsonl([row]) for row in (*again, *nearly, *weak)]
    Random(SEED).shuffle(good)
    # Between the good rows, so that reading has to go on after each fault.
    return b"".join(part for pair in zip(good, faulty, strict=False) for part in pair) + b"".join(
        good[len(faulty) :]
    )


REPEATED = [
    "science-001",
    "medicine-006",
    "cooking-007",
    "finance-001",
    "school_math-005",
    "history_geography-001",
]
"""Rows that are there twice, word for word, in another format."""

NEARLY_REPEATED = {
    "science-016": ("about 23.4 degrees", "around 23.4 degrees"),
    "medicine-012": ("at once", "immediately"),
    "law-007": ("such as texts", "like texts"),
    "cooking-015": ("is no sign", "is not a sign"),
    "everyday-016": ("an external drive", "a second drive"),
}
"""Rows that are there a second time with a word changed."""


def sample() -> dict[str, bytes]:
    """Name and content of every file of the pool."""
    word_problems = computed("school_math", WORD_PROBLEMS, 5)
    topics = computed("mathematics", TOPICS, 3)
    money = computed("money", MONEY, 4)
    names = [
        "science",
        "history_geography",
        "medicine",
        "cooking",
        "everyday",
        "law",
        "finance",
        "programming",
        "languages",
    ]
    by_source = {name: written(name) for name in (*names, "roleplay", "refusals")} | {
        "python_tasks": python_tasks()
    }
    rows = {row["id"]: row for group in (*by_source.values(), word_problems) for row in group}

    mixed = [*by_source["cooking"], *by_source["everyday"], *by_source["medicine"]]
    Random(SEED).shuffle(mixed)
    in_turn = (alpaca, sharegpt, messages)
    calls = [
        {"id": f"tool_calls-{n:03}", "source": "tool_calls", "messages": turns}
        for n, turns in enumerate(tool_dialogues(TOOLS, 5, str(SEED)), 1)
    ]
    return {
        "encyclopedia.jsonl": jsonl(map(alpaca, [*by_source["science"], *by_source["history_geography"]])),
        "mixed.jsonl": jsonl(in_turn[n % 3](row) for n, row in enumerate(mixed)),
        "mathematics.jsonl.gz": gzip.compress(jsonl(map(sharegpt, [*word_problems, *topics])), mtime=0),
        "programming.parquet": parquet(
            [completion(row) for row in (*by_source["python_tasks"], *by_source["programming"])]
        ),
        "law_and_money.csv": csv_table(
            [alpaca(row) for row in (*by_source["law"], *by_source["finance"], *money)]
        ),
        "languages.json": (
            json.dumps([messages(r) for r in by_source["languages"]], ensure_ascii=False, indent=1) + "\n"
        ).encode(),
        "dialogues.jsonl": jsonl([*map(messages, [*by_source["roleplay"], *by_source["refusals"]]), *calls]),
        "messy.jsonl": messy(rows),
    }


def main(folder: Path) -> None:
    """Write the pool."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in sample().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "pool")
