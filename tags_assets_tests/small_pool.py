# ruff: noqa: E501 - texts of rows
"""A pool of a few dozen rows in three domains, made anew by whoever needs it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MATHS = [
    (
        "Solve the quadratic equation x^2 - {a}x + {b} = 0.",
        "By the quadratic formula the roots are {a} and {b} over two.",
    ),
    (
        "What is the derivative of {a}x^{b}?",
        "By the power rule the derivative is the product {a} times {b} x to the power {b} - 1.",
    ),
    (
        "A triangle has sides {a} and {b}. Find the hypotenuse.",
        "By the Pythagorean theorem, the hypotenuse is the square root of {a}^2 + {b}^2.",
    ),
    (
        "Compute the mean and the variance of {a}, {b} and 7.",
        "The arithmetic mean is the sum over three; the variance is the mean squared deviation.",
    ),
]
CODE = [
    (
        "Write a Python function that returns the {a} largest items of a list.",
        "Use heapq.nlargest({a}, items): a heap keeps the largest items in linear memory.",
    ),
    (
        "How do I read a CSV file with {b} columns in pandas?",
        "Call pandas.read_csv; the data frame then has {b} columns.",
    ),
    (
        "Explain recursion with a factorial of {a} in Python.",
        "A recursive function calls itself; the factorial of {a} is {a} times the factorial below.",
    ),
    (
        "Sort a dictionary of {b} keys by value in Python.",
        "Use the sorted function with a lambda key over dictionary items.",
    ),
]
MEDICINE = [
    ("What are the symptoms of type {a} diabetes after {b} years?", "Increased thirst, frequent urination and weight loss are common symptoms of diabetes."),
    ("How is hypertension treated in a patient of {a}{b}?", "Blood pressure medication such as ACE inhibitors, a low-salt diet and exercise."),
    ("What does a vaccine against influenza do in {a} weeks?", "The vaccine trains the immune system; antibodies appear after about two weeks."),
    ("Describe the side effects of {a}{b} mg of ibuprofen.", "Stomach pain and kidney strain are known side effects of ibuprofen."),
]  # fmt: skip


def rows() -> list[dict[str, object]]:
    """Make 72 rows in three formats, none of them a duplicate."""
    made: list[dict[str, object]] = []
    for domain, templates in (("maths", MATHS), ("code", CODE), ("medicine", MEDICINE)):
        for i in range(24):
            prompt, answer = (text.format(a=2 + i, b=5 + 3 * i) for text in templates[i % 4])
            answer = f"{answer} This is example number {i} of the {domain} notes, with its own details {i * i + 11}."
            one: dict[str, object] = {"id": f"{domain}-{i}", "source": domain}
            if i % 3 == 0:
                one |= {"instruction": prompt, "input": "", "output": answer}
            elif i % 3 == 1:
                one["messages"] = [
                    {"role": "user", "content": prompt},
                    {"role": "assistant", "content": answer},
                ]
            else:
                one["conversations"] = [{"from": "human", "value": prompt}, {"from": "gpt", "value": answer}]
            made.append(one)
    return made


def write_pool(folder: Path) -> Path:
    """Write the rows and three bad lines; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "pool.jsonl"
    lines = [json.dumps(row) for row in rows()]
    lines += ["{broken", json.dumps({"instruction": "x", "output": ""}), lines[0]]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def write_target(folder: Path, name: str = "maths", **fields: object) -> Path:
    """Write a target of two maths examples; return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    examples = folder / f"{name}_examples.jsonl"
    asked = [
        {"instruction": "Find the roots of x^2 - 5x + 6.", "output": "By the quadratic formula: 2 and 3."},
        {"instruction": "Differentiate 4x^3.", "output": "By the power rule the derivative is 12x^2."},
    ]
    examples.write_text("\n".join(json.dumps(row) for row in asked), encoding="utf-8")
    file = folder / f"{name}.yaml"
    spec = {"budget": {"rows": 12}, "alignment": 0.7, "target": {"examples": examples.name}} | fields
    file.write_text(json.dumps(spec), encoding="utf-8")  # JSON is YAML
    return file


def select_small_pool(folder: Path) -> Path:
    """Run the graph on the rows above for the target ``maths``, in this process; return the home."""
    from tags_assets.graph.runner import run_target
    from tags_assets.settings.home import Home
    from tags_assets.settings.target_registry import TargetRegistry

    class Silent:
        def step(self, task: str, done: int, total: int) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAGS_TARGETS", str(folder / "targets"))
        patch.setenv("TAGS_HOME", str(folder / "home"))
        home = Home.resolve().prepare()
        paths = [str(write_pool(folder / "data"))]
        home.save_pool("default", home.pool("default").model_copy(update={"paths": paths}))
        write_target(folder / "targets")
        TargetRegistry(home).name("maths", None)
        run_target(home, "maths", Silent())
    return home.path
