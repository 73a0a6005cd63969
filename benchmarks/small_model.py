"""Held-out cross-entropy of a small language model that was trained on a subset: does the subset teach?

    python benchmarks/small_model.py HOME             # results/small_model.json; under an hour of one core
    python benchmarks/small_model.py HOME --keep DIR  # keeps what was trained, for a run that was cut off

Needs PyTorch, which is no requirement of the project: `pip install torch==2.13.0` (any build for the CPU).

A transformer of half a million parameters with a byte-level BPE vocabulary of 2,048. 30% of the pool's rows
train a base model (and the vocabulary). For each seed the others are parted: six sevenths to select from,
one held out (a tenth of the pool). Each method's subset, 5% of the rows to select from, trains a copy of
the base further. **All methods get the same number of training tokens**, the same steps and rates; a small
subset is seen more often. A row is the last 64 tokens of its prompt and the first 128 of its response.
Measured is the cross-entropy of the response's tokens, in nats:

- *pool*: held-out rows, each domain weighted as the pool has it; *domains alike*: the mean of the twelve
  domains;
- a target: 25 examples are given to the method, the model is measured on the 25 others and on the held-out
  rows of the hidden domain. Tags, vectors and tree were made of all rows, without labels.

Differences to random are paired by seed; their 95% intervals (Student) say more than those of the losses,
which hold what a seed's methods have in common.
"""

# The checkout comes first on the path.
# ruff: noqa: E402

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

try:
    import torch
except ImportError:
    sys.exit("small_model.py needs PyTorch: pip install torch==2.13.0 (any build for the CPU)")
import samplers
from alignment_probe import ROOT
from language_model import PROMPT, RESPONSE, TARGETS, VOCABULARY, byte_pairs, domains, encoded
from peers import Round, kept_bed
from results import Table, interval, save
from torch import nn
from torch.nn import functional

CONTEXT, WIDTH, LAYERS, HEADS = PROMPT + RESPONSE, 96, 3, 3
BATCH = 2  # many small steps teach a model of this size more than few large ones
BASE_TOKENS, TUNING_TOKENS = 600_000, 75_000
BASE_RATE, TUNING_RATE = 3e-3, 1e-3
BASE_KEY = f"base of {BASE_TOKENS} tokens"
ROWS_A_DOMAIN = 40
"""Held-out rows of a domain that are measured, at most."""


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before_attention, self.before_mlp = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = (
            nn.Linear(WIDTH, 4 * WIDTH, bias=False),
            nn.Linear(4 * WIDTH, WIDTH, bias=False),
        )

    def forward(self, x):
        n, length, _ = x.shape
        q, k, v = self.qkv(self.before_attention(x)).view(n, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(n, length, WIDTH))
        return x + self.down(functional.gelu(self.up(self.before_mlp(x))))


class Model(nn.Module):
    """A small pre-norm transformer, embeddings tied."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks, self.last = nn.ModuleList(Block() for _ in range(LAYERS)), nn.RMSNorm(WIDTH)
        for part in self.parameters():
            if part.ndim > 1:
                nn.init.normal_(part, std=0.02)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.last(x) @ self.tokens.weight.T


def train(model, rows, n_tokens, rate, seed):
    """Train on the rows in random order, over and over until `n_tokens` were seen; rates rise and fall."""
    rng = np.random.default_rng(seed)
    stream, length = [], 0
    while length <= n_tokens:
        for row in rng.permutation(len(rows)):
            stream.append(rows[row][0])
            length += len(rows[row][0])
    stream = torch.from_numpy(np.concatenate(stream)[: n_tokens + 1].astype(np.int64))
    step = BATCH * CONTEXT
    n_steps = n_tokens // step
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.1)
    warm = max(n_steps // 20, 1)
    model.train()
    for at in range(n_steps):
        part = stream[at * step : (at + 1) * step + 1]
        for group in optimiser.param_groups:
            group["lr"] = rate * min((at + 1) / warm, 1.0) * (1 - 0.9 * at / n_steps)
        logits = model(part[:-1].view(BATCH, CONTEXT))
        loss = functional.cross_entropy(logits.flatten(0, 1), part[1:])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model


@torch.no_grad()
def losses(model, rows):
    """Sum of the cross-entropy of each row's response, in nats, and its tokens: (n_rows, 2)."""
    model.eval()
    found = np.zeros((len(rows), 2))
    order = np.argsort([len(tokens) for tokens, _ in rows], kind="stable")
    for start in range(0, len(order), 32):
        some = order[start : start + 32]
        longest = max(len(rows[row][0]) for row in some)
        tokens = torch.zeros((len(some), longest), dtype=torch.int64)
        said = torch.zeros((len(some), longest), dtype=torch.bool)
        for at, row in enumerate(some):
            ids, begin = rows[row]
            tokens[at, : len(ids)] = torch.from_numpy(ids)
            said[at, begin : len(ids)] = True
        logits = model(tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        loss = loss.view(len(some), -1) * said[:, 1:]
        found[some, 0] = loss.sum(dim=1)
        found[some, 1] = said[:, 1:].sum(dim=1)
    return found


def mean_loss(found):
    return float(found[:, 0].sum() / found[:, 1].sum())


class Kept:
    """What was trained before, in a folder (or only for this run)."""

    def __init__(self, folder):
        self.folder, self.runs = folder, {}
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / "runs.json").is_file():
                self.runs = json.loads((folder / "runs.json").read_text())
        self.seconds = sum(one["seconds"] for one in self.runs.values())

    def keep_run(self, key, found):
        before = self.runs.get(key, {})
        self.runs[key] = {**before, **found, "seconds": before.get("seconds", 0.0) + found["seconds"]}
        if self.folder:
            (self.folder / "runs.json").write_text(json.dumps(self.runs))

    def base(self):
        if BASE_KEY not in self.runs:
            return None
        model = Model()
        model.load_state_dict(torch.load(self.folder / "base.pt"))
        return model

    def keep_base(self, model, seconds):
        if self.folder:
            torch.save(model.state_dict(), self.folder / "base.pt")
        self.keep_run(BASE_KEY, {"seconds": seconds})


class Base:
    """The base model, on rows that nobody selects from, with its vocabulary: one for all seeds."""

    def __init__(self, bed, kept):
        order = np.random.default_rng(1_000).permutation(np.flatnonzero(~bed.is_twin))
        rows, self.rest = np.split(order, [int(0.3 * len(order))])
        said = bed.rows[np.sort(rows)]
        self.tokenizer = byte_pairs(said.select(pl.concat_str("prompt", "response"))[:, 0].to_list())
        self.model = kept.base()
        if self.model is None:
            start = time.process_time()
            torch.manual_seed(0)
            self.model = train(Model(), encoded(self.tokenizer, said), BASE_TOKENS, BASE_RATE, 0)
            kept.keep_base(self.model, time.process_time() - start)


class Split:
    """One seed: the other rows parted into those to select from and those held out, and what is measured."""

    def __init__(self, bed, base, domain, seed, kept):
        self.bed, self.base, self.seed, self.kept = bed, base, seed, kept
        rng = np.random.default_rng(1_001 + seed)
        selectable, held_out = np.split(rng.permutation(base.rest), [int(6 / 7 * len(base.rest))])
        known = {name: np.sort(rng.choice(50, 25, replace=False)) for name in bed.examples}
        self.round = Round(bed, np.sort(selectable), known, rng)
        self.random = rng.choice(len(self.round.pool), self.round.k, replace=False)
        names, pooled = np.unique(domain[~bed.is_twin], return_counts=True)
        self.share = dict(zip(names.tolist(), (pooled / pooled.sum()).tolist(), strict=True))
        self.measured = {
            "global": {
                name: encoded(base.tokenizer, bed.rows[held_out[domain[held_out] == name][:ROWS_A_DOMAIN]])
                for name in names.tolist()
            }
        }
        for name, of_target in TARGETS.items():
            unseen = bed.example_rows[name][np.setdiff1d(np.arange(50), known[name])]
            of_domain = bed.rows[held_out[domain[held_out] == of_target][: 3 * ROWS_A_DOMAIN]]
            self.measured[name] = {
                "examples": encoded(base.tokenizer, unseen),
                "domain": encoded(base.tokenizer, of_domain),
            }

    def run(self, picks, title):
        """Train on rows of the bed (None: not at all) and measure; kept where it was trained before."""
        ids = None if picks is None else np.sort(picks).tolist()
        settings = (BASE_TOKENS, TUNING_TOKENS, BASE_RATE, TUNING_RATE, WIDTH, LAYERS, ROWS_A_DOMAIN)
        key = hashlib.sha256(json.dumps([self.seed, settings, ids]).encode()).hexdigest()
        if title not in self.kept.runs.get(key, {}):
            start = time.process_time()
            model, n_tokens = copy.deepcopy(self.base.model), 0
            if ids is not None:
                rows = encoded(self.base.tokenizer, self.bed.rows[ids])
                n_tokens = sum(len(tokens) for tokens, _ in rows)
                train(model, rows, TUNING_TOKENS, TUNING_RATE, self.seed)
            # what several tables show is measured for all of them at once
            shared = ids is None or ids == np.sort(self.round.rows[self.random]).tolist()
            found = {"tokens": n_tokens}
            for wanted in self.measured if shared else [title]:
                by_name = {
                    name: mean_loss(losses(model, rows)) for name, rows in self.measured[wanted].items()
                }
                if wanted == "global":
                    by_name = {
                        "pool": sum(self.share[name] * loss for name, loss in by_name.items()),
                        "domains alike": float(np.mean(list(by_name.values()))),
                    }
                found[wanted] = by_name
            self.kept.keep_run(key, {**found, "seconds": time.process_time() - start})
        return {**self.kept.runs[key][title], "tokens": self.kept.runs[key]["tokens"]}

    def everything(self):
        one = self.round
        yield "base model, no subset", lambda: None
        yield "all rows to select from", lambda: np.arange(len(one.rows))
        yield "random", lambda: self.random
        yield "longest answers", lambda: samplers.top(one.pool.length, one.k)
        yield "K-Means representatives", lambda: samplers.k_means(one.pool, one.k, one.rng)
        yield "MIG", lambda: samplers.mig(one.pool, one.k)
        yield "ours", lambda: one.ours("ours")

    def targeted(self, target):
        wanted = {"DSIR, hashed n-grams", "centred centroid", "ours"}
        yield "base model, no subset", lambda: None
        yield "random", lambda: self.random
        for name, work in self.round.targeted(target):
            if name in wanted:
                yield name, work


def measured(splits, title):
    """Results by method, one a seed."""
    found = {}
    for split in splits:
        for name, pick in split.everything() if title == "global" else split.targeted(title):
            picks = pick()
            rows = None if picks is None else split.round.rows[picks]
            found.setdefault(name, []).append(split.run(rows, title))
            print(f"seed {split.seed}, {title}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    return found


def rows_of(found, columns):
    """Losses, each followed by its difference to random's, paired by seed."""
    table = []
    for name, results in found.items():
        cells = [name]
        for column in columns:
            values = np.array([one[column] for one in results])
            random = np.array([one[column] for one in found["random"]])
            cells += [interval(values), None if name == "random" else interval(values - random)]
        cells.append(float(np.mean([one["tokens"] for one in results])) or None)
        table.append(cells)
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder of what was trained before")
    parser.add_argument(
        "--bed", type=Path, help="file that keeps the prepared pool, that of peers.py as well"
    )
    given = parser.parse_args()
    for needed in (given.home / "warehouse.duckdb", given.data / "pool_mixed.jsonl.gz"):
        if not needed.is_file():
            sys.exit(f"{needed} is not there. See the head of peers.py.")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    kept = Kept(given.keep)
    before = kept.seconds
    bed = kept_bed(given.bed, given.home, given.data, n_twins=20)
    domain, base = domains(bed, given.data), Base(bed, kept)
    splits = [Split(bed, base, domain, seed, kept) for seed in range(given.seeds)]
    tables = {}
    for title in ("global", *TARGETS):
        columns = ["pool", "domains alike"] if title == "global" else ["examples", "domain"]
        head = {"": None}
        for column in columns:
            head |= {column: 3, f"{column} - random": 3}
        rows = rows_of(measured(splits, title), columns)
        best = {f"{column} - random": "min" for column in columns}
        tables[title] = Table({**head, "tokens of the subset": 0}, rows, best)
    figures = {
        "seeds": given.seeds,
        "picks": splits[0].round.k,
        "parameters": sum(part.numel() for part in Model().parameters()),
        "base_tokens": BASE_TOKENS,
        "tuning_tokens": TUNING_TOKENS,
    }
    save("small_model", tables, figures, before + time.process_time())


if __name__ == "__main__":
    main()
