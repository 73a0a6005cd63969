"""Damaged and hostile files for every reader: each costs one line, never a traceback, a crash or a hang.

``python benchmarks/fuzz_readers.py --seconds 600 --seed 1``. A case is a good file with bytes changed, cut,
copied, repeated or taken from another. A process with a limit on time and memory reads it. Anything but rows
or one line of error is a finding: its file is kept, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import bz2
import collections
import copy
import gzip
import io
import json
import os
import random
import re
import resource
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
import zstandard

ROWS = [
    {"id": n, "instruction": f"Add 1 and {n}.", "output": f"It is {n + 1}.", "tags": ["maths", "sums"]}
    for n in range(40)
]
TURNS = [
    {"messages": [{"role": "user", "content": f"q {n}"}, {"role": "assistant", "content": f"a {n}"}]}
    for n in range(40)
]
DOCUMENTS: dict[str, list[object]] = {
    "target.yaml": [
        {
            "budget": {"fraction": 0.05},
            "alignment": {"max_kl": 0.1},
            "breadth": 0.3,
            "text_share": 0.5,
            "target": {"weights": {"maths > sums": 0.7, "python": 1}},
            "constraints": {
                "max_share": {"source": {"alpaca": 0.3}, "template": {"*": 0.1}},
                "min_share": {"language": {"de": 0.05}},
                "include": ["id-1", "id-2"],
                "exclude": {"where": "response_tokens > 4096"},
            },
            "min_quality": 0.2,
            "seed": 7,
            "stability": 0.5,
            "certificate": 0.99,
            "limits": {"kl_above_random": 0.1, "certificate": 0.9},
        },
        {"target": {"examples": "examples.jsonl"}, "budget": {"rows": 5}, "alignment": 0.75},
        {"target": {"description": "school maths: sums"}, "budget": {"tokens": 2_000_000}},
        {"target": {"pool": True}, "budget": {"rows": 1}, "constraints": {"include": []}},
    ],
    "state.json": [
        {
            "_data_files": [{"filename": "good.arrow"}, {"filename": "more.arrow"}],
            "_fingerprint": "0a1b2c",
            "_format_columns": ["instruction", "output"],
            "_format_kwargs": {},
            "_format_type": None,
            "_indices_data_files": None,
            "_output_all_columns": False,
            "_split": "train",
        }
    ],
    "dataset_dict.json": [{"splits": ["train", "test"]}],
}
"""Files that only say what others hold, changed as documents: bytes changed at random seldom parse."""
ODD = (
    *(None, True, False, -1, 0, 2**63, 2**64, 10**400, 0.5, 1e308, -0.0, "", " ", "0", "1e999", "nan", "off"),
    *(
        "\x00",
        "\x1b[2J",
        "\ud800",
        "a" * 70_000,
        "..",
        "../x",
        "/etc/passwd",
        "/dev/zero",
        "~",
        "*",
        "good.arrow",
    ),
    *("train", "train/..", "x.duckdb::select 1", "1; copy (select 1) to 'x'", "日本語", "${HOME}", "\u202e"),
    *([], {}, [[]], {"": ""}, [None], {"a": {"a": {"a": 1}}}, [1] * 3000),
)
"""Values that a field may be given."""
DOCUMENT_NAMES = (
    "target",
    "examples",
    "pool",
    "budget",
    "rows",
    "weights",
    "splits",
    "_data_files",
    "filename",
)
"""Names that a field may be given."""
SECONDS_A_CASE = 60
MEMORY = 3 * 2**30
"""Bytes that a process may take: a reader of tables takes 2 GiB at the most, in its own process."""

TOKENS = (
    *(b"[" * 3000, b'{"a":' * 3000, b"\xef\xbb\xbf" * 5000, b"\x00" * 4096, b"\xff" * 64, b"9" * 6000),
    *(b'"', b"\\", b"\n", b"\r\n", b",", b"NaN", b"-Infinity", b"1e999", b"\xed\xa0\x80", b"\\ud800"),
    *(b"\x1b[2J", b"&a [*a,*a]", b"!!python/object/apply:os.system [id]", b"PAR1", b"ARROW1"),
    *(b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00"),
)


def _arrow(*, stream: bool) -> bytes:
    table = pl.DataFrame(ROWS).to_arrow()
    sink = io.BytesIO()
    open_writer = pa.ipc.new_stream if stream else pa.ipc.new_file
    options = pa.ipc.IpcWriteOptions(compression=None if stream else "zstd")
    with open_writer(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=10)
    return sink.getvalue()


def _parquet(rows: list[dict[str, object]], **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, **options)
    return sink.getvalue()


def _duckdb(folder: Path) -> bytes:
    file = folder / "seed.duckdb"
    with duckdb.connect(str(file)) as connection:
        frame = pl.DataFrame(ROWS)
        connection.register("frame", frame)
        connection.execute("create table rows as from frame")
    return file.read_bytes()


def seeds(folder: Path) -> dict[str, bytes]:
    """Build one good file of each kind, by the name that it has as a case."""
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in [*ROWS, *TURNS])
    csv = pl.DataFrame(ROWS).drop("tags").write_csv().encode()
    return {
        "lines.jsonl": lines,
        "array.json": json.dumps(TURNS).encode(),
        "wrapped.json": json.dumps({"meta": {"a": [1]}, "data": ROWS}, indent=1).encode(),
        "table.csv": csv,
        "lines.jsonl.gz": gzip.compress(lines, mtime=0),
        "lines.jsonl.zst": zstandard.compress(lines),
        "lines.jsonl.bz2": bz2.compress(lines),
        "snappy.parquet": _parquet(ROWS),
        "nested.parquet": _parquet(TURNS, compression="zstd", data_page_version="2.0"),
        "plain.parquet": _parquet(ROWS, compression="none", use_dictionary=False, row_group_size=10),
        "stream.arrow": _arrow(stream=True),
        "file.feather": _arrow(stream=False),
        "base.duckdb": _duckdb(folder),
        **{name: json.dumps(documents[0]).encode() for name, documents in DOCUMENTS.items()},
    }


def write_beside(folder: Path) -> None:
    """Write what the documents name, so that a document that is nearly good is read to the end."""
    table = _arrow(stream=True)
    examples = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS[:3])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "examples.jsonl").write_bytes(examples)
    for split in (".", "train", "test"):
        (folder / split).mkdir(parents=True, exist_ok=True)
        for name in ("good.arrow", "more.arrow"):
            (folder / split / name).write_bytes(table)
        if split != ".":
            (folder / split / "state.json").write_text(json.dumps(DOCUMENTS["state.json"][0]))


def changed(document: Any, chance: random.Random) -> Any:
    """Change one part of a document: its value, its name, or that it is there."""
    document = copy.deepcopy(document)
    around: Any = {"": document}
    at: Any = ""
    while around[at] and isinstance(around[at], dict | list) and chance.random() < 0.8:
        around = around[at]
        at = chance.choice(sorted(around)) if isinstance(around, dict) else chance.randrange(len(around))
        if around is document and chance.random() < 0.2:
            break
    match chance.randrange(5):
        case 0 if around is not document or len(document) > 1:
            del around[at]
        case 1:
            around[at] = [around[at]]
        case 2:
            around[at] = {chance.choice(("x", "rows", "filename", "source", "where")): around[at]}
        case 3 if isinstance(around, dict):
            around[chance.choice((*DOCUMENT_NAMES, at.upper(), f"{at}s"))] = around[at]
        case _:
            around[at] = chance.choice(ODD)
    return document


def damaged(kind: str, content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Damage a file as its kind asks for: three of four documents as documents, the rest as bytes."""
    if kind not in DOCUMENTS:
        return mutated(content, others, chance)
    document = chance.choice(DOCUMENTS[kind])
    for _ in range(chance.randint(0, 3)):
        document = changed(document, chance) if isinstance(document, dict | list) and document else document
    write = json.dumps if kind.endswith(".json") or chance.random() < 0.5 else yaml.safe_dump
    written = write(document).encode()
    return written if chance.random() < 0.75 else mutated(written, others, chance)


def mutated(content: bytes, others: list[bytes], chance: random.Random) -> bytes:  # noqa: C901 - a list of ways
    """Damage a file in one to four ways."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data) + 1)
        # The ends of binary formats hold their lengths and offsets.
        if chance.random() < 0.3:
            place = max(0, len(data) - chance.randrange(1, 64))
        stop = min(len(data), place + chance.choice((1, 2, 4, 8, 64, 1000)))
        match chance.randrange(8):
            case 0:
                for at in range(place, stop):
                    data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[place:stop] = chance.randbytes(stop - place)
            case 2:
                data[place:stop] = chance.choice(TOKENS)
            case 3:
                data[place:place] = chance.choice(TOKENS)
            case 4:
                del data[place : chance.randrange(place, len(data) + 1)]
            case 5:
                data[place:place] = data[place:stop] * chance.choice((2, 50, 2000))
            case 6:
                other = chance.choice(others)
                begin = chance.randrange(len(other))
                data[place:stop] = other[begin : begin + chance.randrange(1, 2000)]
            case _:
                data[place:stop] = chance.choice((b"\x00", b"\xff", b"\x7f", b"\x80")) * (stop - place)
    return bytes(data)


def read_cases(folder: Path) -> None:
    """Read the cases that come by name on stdin, one a line, and answer each with what came of it."""
    from tags_assets.errors import UserError  # noqa: PLC0415 - in the child alone
    from tags_assets.formats.pool import expand_pool, read_pool  # noqa: PLC0415
    from tags_assets.settings.target_file import load_target  # noqa: PLC0415

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    for name in map(str.strip, sys.stdin):
        file = folder / name
        try:
            if name.endswith(".yaml"):
                load_target(file)
                said = "read"
            else:
                given = file.parent if file.name in ("state.json", "dataset_dict.json") else file
                given = Path(f"{file}::rows") if name.endswith(".duckdb") else given
                read = read_pool(expand_pool([given]), cache=folder / "cache")
                left = read.rows_kept + read.rows_rejected + read.rows_duplicate
                said = "read" if left == read.rows_in else f"finding: {read.rows_in} rows in, {left} told"
        except UserError as error:
            line = str(error)
            unseen = re.search(r"[\x00-\x1f\x7f-\x9f]", line)
            said = "finding: control characters in an error" if unseen else "one line"
            if len(line) > 4000:
                said = "finding: an error of more than 4,000 characters"
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            said = f"finding: {type(error).__name__}: {str(error)[:200]!r}"
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()


def _child(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", __file__, "--child", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )


def _answer(child: subprocess.Popen[str], name: str) -> str:
    """Have the child read a case; a child that crashes or hangs has said so."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{name}\n")
    child.stdin.flush()
    os.set_blocking(child.stdout.fileno(), False)
    stop = time.monotonic() + SECONDS_A_CASE
    said = ""
    while not said.endswith("\n"):
        if time.monotonic() > stop:
            child.kill()
            child.wait()
            return f"finding: takes more than {SECONDS_A_CASE} s"
        if child.poll() is not None:
            return f"finding: ended the process ({child.returncode})"
        said += os.read(child.stdout.fileno(), 4096).decode() if _readable(child.stdout.fileno()) else ""
    return said.strip()


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0.5)[0])


def main() -> int:
    """Fuzz for as long, or for as many cases, as was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of the names of the kinds to fuzz")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_findings"))
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        read_cases(asked.child)
        return 0
    tally: collections.Counter[tuple[str, str]] = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = {kind: content for kind, content in seeds(folder).items() if asked.only in kind}
        child, stop = _child(folder), time.monotonic() + asked.seconds
        for number in range(asked.cases):
            if time.monotonic() > stop:
                break
            chance = random.Random(f"{asked.seed}/{number}")  # noqa: S311 - to be repeated
            kind = chance.choice(sorted(kinds))
            place = folder / "case"
            if not place.exists():
                write_beside(place)
            (place / kind).write_bytes(damaged(kind, kinds[kind], [*kinds.values()], chance))
            said = _answer(child, f"case/{kind}")
            tally[kind, said.partition(":")[0]] += 1
            if said.startswith("finding"):
                asked.keep.mkdir(exist_ok=True)
                (place / kind).replace(asked.keep / f"{asked.seed}-{number}-{kind}")
                print(f"{asked.seed}-{number}-{kind}: {said}", flush=True)
            (place / kind).unlink(missing_ok=True)
            if child.poll() is not None:
                child = _child(folder)
            if number % 200 == 199:
                subprocess.run(["rm", "-rf", str(folder / "cache")], check=True)
        child.kill()
        child.wait()
    for (kind, said), count in sorted(tally.items()):
        print(f"{kind:20} {said:10} {count:6,}")
    print(f"{sum(tally.values()):,} cases")
    return int(any(said == "finding" for _, said in tally))


if __name__ == "__main__":
    sys.exit(main())
