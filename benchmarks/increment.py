"""What new rows cost: a pool of any size, then a thousand rows more, asset by asset.

The pool is perturbed real data: sentences of two rows are spliced until there are enough rows, so that
phrases and their frequencies stay real. The new rows are real ones that were held back.

    python benchmarks/increment.py ../shared/data/pool_mixed.jsonl.gz --rows 100000 --folder /tmp/increment
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tags_assets.home import Home
from tags_assets.runner import run_target
from tags_assets.target_registry import TargetRegistry

if TYPE_CHECKING:
    from tags_assets.runner import AssetRun

SENTENCE = re.compile(r"(?<=[.!?\n])\s+")


class Silent:
    """Shows no progress."""

    def step(self, task: str, done: int, total: int) -> None:
        """Take a step."""


def first_turn(row: dict[str, Any]) -> tuple[str, str]:
    """Take the first prompt and the first answer of a row of any of the three layouts."""
    if "messages" in row or "conversations" in row:
        turns = [
            (turn.get("role") or turn.get("from"), turn.get("content") or turn.get("value") or "")
            for turn in row.get("messages") or row["conversations"]
        ]
        asked = next((text for who, text in turns if who in {"user", "human"}), "")
        return asked, next((text for who, text in turns if who in {"assistant", "gpt"}), "")
    return f"{row.get('instruction') or ''}\n{row.get('input') or ''}", row.get("output") or ""


def splice(a: str, b: str) -> str:
    """Take every other sentence of `a` from `b`."""
    ours, theirs = SENTENCE.split(a), SENTENCE.split(b)
    return " ".join(theirs[i] if i % 2 and i < len(theirs) else sentence for i, sentence in enumerate(ours))


def write_pools(source: Path, n_rows: int, n_new: int, folder: Path) -> Path:
    """Write ``pool/pool.jsonl``; return the file of new rows, which lies beside the pool."""
    with gzip.open(source, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rng = random.Random(0)  # noqa: S311 - not for secrets
    rng.shuffle(rows)
    new, rows = rows[:n_new], rows[n_new:]
    turns = [first_turn(row) for row in rows]
    pool = folder / "pool"
    pool.mkdir(parents=True)
    with (pool / "pool.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows[:n_rows])
        for number in range(n_rows - len(rows)):
            (prompt, answer), (other_prompt, other_answer) = rng.choice(turns), rng.choice(turns)
            made = {
                "id": f"spliced-{number}",
                "instruction": f"{splice(prompt, other_prompt)} {SENTENCE.split(other_prompt)[0][:160]}",
                "output": f"{splice(answer, other_answer)} {SENTENCE.split(other_answer)[-1][:300]}",
            }
            file.write(json.dumps(made) + "\n")
    held_back = folder / "new.jsonl"
    held_back.write_text("".join(json.dumps(row) + "\n" for row in new), encoding="utf-8")
    return held_back


def timed_run(home: Home) -> tuple[dict[str, AssetRun], float, float]:
    """Run everything: the assets, seconds on the wall, seconds of all processors."""
    before, start = _processor_seconds(), time.perf_counter()
    runs = {run.asset: run for run in run_target(home, "pool", Silent())}
    return runs, time.perf_counter() - start, _processor_seconds() - before


def _processor_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Measure, and print a line per asset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="rows as JSON lines, compressed with gzip")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--new", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    new = write_pools(options.source, options.rows, options.new, options.folder)
    home = Home(options.folder / "home").prepare()
    pool = home.pool("default").model_copy(update={"paths": [str(options.folder / "pool")]})
    home.save_pool("default", pool)
    TargetRegistry(home).name(None, None)
    first, wall_1, processor_1 = timed_run(home)
    new.replace(options.folder / "pool" / "new.jsonl")
    second, wall_2, processor_2 = timed_run(home)
    print(f"{'asset':<24}{'first':>10}{'then':>10}")
    for asset, run in first.items():
        print(f"{asset:<24}{run.seconds:>10.1f}{second[asset].seconds:>10.1f}")
    print(f"{'wall':<24}{wall_1:>10.1f}{wall_2:>10.1f}{wall_2 / wall_1:>8.1%}")
    print(f"{'processors':<24}{processor_1:>10.1f}{processor_2:>10.1f}{processor_2 / processor_1:>8.1%}")


if __name__ == "__main__":
    main()
