"""What new rows cost: a pool of any size, then a thousand rows more, asset by asset.

The pool is perturbed real data: sentences of two rows are spliced until there are enough rows, so that
phrases and their frequencies stay real. The new rows are real ones that were held back. Each run is a
process of its own, its start included. The first run's home stays: the same command run again measures the
increment alone, on a copy of it.

    python benchmarks/increment.py ../shared/data/pool_mixed.jsonl.gz --rows 100000 --folder /tmp/increment
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tags_assets.graph.runner import run_target
from tags_assets.settings.home import Home
from tags_assets.settings.target_registry import TargetRegistry

SENTENCE = re.compile(r"(?<=[.!?\n])\s+")


class Silent:
    """Shows no progress."""

    def step(self, task: str, done: int, total: int, note: str = "") -> None:
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


def timed_run(home: Home) -> dict[str, Any]:
    """Run everything in this process, which does nothing else: figures of the run and of each asset."""
    runs = run_target(home, "pool", Silent())
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "processor_seconds": sum(one.ru_utime + one.ru_stime for one in used),
        "assets": {
            run.asset: {"status": run.status, "seconds": run.seconds, "peak_mb": run.peak_mb} for run in runs
        },
    }


def run_apart(home: Home, figures: Path, n_rows: int) -> dict[str, Any]:
    """Run everything in a process of its own, start included, and keep its figures in a file."""
    start = time.perf_counter()
    subprocess.run([sys.executable, __file__, "--only", str(home.path), str(figures)], check=True)
    wall = time.perf_counter() - start
    found = {"rows": n_rows, "wall_seconds": wall, **json.loads(figures.read_text(encoding="utf-8"))}
    figures.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def main() -> None:
    """Measure, and print a line per asset."""
    if sys.argv[1:2] == ["--only"]:
        Path(sys.argv[3]).write_text(json.dumps(timed_run(Home(Path(sys.argv[2])))), encoding="utf-8")
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path, help="rows as JSON lines, compressed with gzip")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--new", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    figures, first_home = options.folder / "first.json", Home(options.folder / "first")
    new, landed = options.folder / "new.jsonl", options.folder / "pool" / "new.jsonl"
    if not figures.exists():
        write_pools(options.source, options.rows, options.new, options.folder)
        first_home.prepare()
        pool = first_home.pool("default").model_copy(update={"paths": [str(options.folder / "pool")]})
        first_home.save_pool("default", pool)
        TargetRegistry(first_home).name(None, None)
        run_apart(first_home, figures, options.rows)
    first = json.loads(figures.read_text(encoding="utf-8"))
    # The first run's home stays as it is, so that the increment can be measured again.
    then_home = options.folder / "then"
    shutil.rmtree(then_home, ignore_errors=True)
    shutil.copytree(first_home.path, then_home)
    if new.exists():
        new.replace(landed)
    second = run_apart(Home(then_home), options.folder / "then.json", options.rows + options.new)
    print(f"{'asset':<24}{'first':>10}{'then':>10}{'peak MB':>10}{'then':>10}")
    for asset, run in first["assets"].items():
        then = second["assets"][asset]
        print(
            f"{asset:<24}{run['seconds']:>10.1f}{then['seconds']:>10.1f}"
            f"{run['peak_mb']:>10.0f}{then['peak_mb']:>10.0f}  {then['status']}"
        )
    for name in ("wall_seconds", "processor_seconds"):
        print(f"{name:<24}{first[name]:>10.1f}{second[name]:>10.1f}{second[name] / first[name]:>8.1%}")


if __name__ == "__main__":
    main()
