"""Held-out cross-entropy of a small language model that was trained on a subset: does the subset teach?

    python benchmarks/small_model.py HOME             # results/small_model.json; under an hour of one core
    python benchmarks/small_model.py HOME --keep DIR  # keeps what was trained, for a run that was cut off
    python benchmarks/small_model.py HOME --keep DIR --only 0   # this seed alone, and no result

Needs PyTorch, which is no requirement of the project: `pip install torch==2.13.0` (any build for the CPU).

A small transformer with a byte-level BPE vocabulary of 2,048. 30% of the pool's rows train a base model (and
the vocabulary); a fifteenth of these is held out of it, to tune on and to set the base beside an n-gram model
of the same rows. For each seed the other rows are parted: six sevenths to select from, one held out (a tenth
of the pool). Each method's subset, 5% of the rows to select from, trains a copy of the base further. **All
methods get the same number of training tokens**, rows in random order, the same steps and rates.
A row is the last 64 tokens of its prompt and the first 128 of its response. Measured is the cross-entropy of
the response's tokens, in nats:

- *pool*: held-out rows, each domain weighted as the pool has it; *domains alike*: the mean of the twelve
  domains;
- a target: 25 examples are given to the method, the model is measured on the 25 others and on the held-out
  rows of the hidden domain. Tags, vectors and tree were made of all rows, without labels.

Differences to random are paired by seed; their 95% intervals (Student) say more than those of the losses,
which hold what a seed's methods have in common.

A model is kept by what it was trained on, so another method is one more line of `Split.everything`, and with
`--keep` only its subsets are trained. Seeds may run side by side into one folder, once its base is there.
"""

# The checkout comes first on the path.
# ruff: noqa: E402

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import sys
import tempfile
import time
import zlib
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
from language_model import END, PROMPT, RESPONSE, TARGETS, VOCABULARY, byte_pairs, domains, encoded
from language_model import mean_loss as ngram_loss
from ngrams import NGrams
from peers import Round, kept_bed
from results import Table, code, interval, save
from torch import nn
from torch.nn import functional

CONTEXT, WIDTH, LAYERS, HEAD = PROMPT + RESPONSE, 96, 3, 32
BUCKETS = 16_384
"""Of the hashed pairs and triples of tokens that have an embedding of their own."""
BATCH = 4  # many small steps teach a model of this size more than few large ones
BASE_TOKENS, TUNING_TOKENS = 1_500_000, 50_000
BASE_RATE, TUNING_RATE = 0.01, 0.002
OTHERS_RATE = 1.0
WARM, COOLING = 20, 0.6
TITLES = ("global", *TARGETS)
ROWS_A_DOMAIN = 40
"""Held-out rows of a domain that are measured, at most."""


def normal(x):
    return functional.rms_norm(x, (x.shape[-1],))


def later(x, by=1):
    """Move each place's vector (or token) to the place behind it."""
    return functional.pad(x, (0, 0, by, 0) if x.ndim == 3 else (by, 0))[:, : x.shape[1]]


def rotated(x, angles):
    """Rotary position embedding (Su et al. 2021)."""
    (a, b), (cos, sin) = x.chunk(2, dim=-1), angles
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


class Block(nn.Module):
    """Attention with normalised queries and keys, and a squared ReLU; what it adds begins as zero.

    Both read each place mixed with the one before it, so that pairs of tokens need not be found by attention.
    """

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)
        self.before_attention = nn.Parameter(torch.full((WIDTH,), 0.5))
        self.before_mlp = nn.Parameter(torch.zeros(WIDTH))
        for part in (self.qkv, self.up):
            nn.init.normal_(part.weight, std=WIDTH**-0.5)
        for part in (self.out, self.down):
            nn.init.zeros_(part.weight)

    def forward(self, x, angles):
        n, length, _ = x.shape
        y = normal(x)
        y = torch.lerp(y, later(y), self.before_attention)
        q, k, v = self.qkv(y).view(n, length, 3, -1, HEAD).permute(2, 0, 3, 1, 4)
        q, k = rotated(normal(q), angles), rotated(normal(k), angles)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.25)
        x = x + self.out(attended.transpose(1, 2).reshape(n, length, WIDTH))
        y = normal(x)
        y = torch.lerp(y, later(y), self.before_mlp)
        return x + self.down(functional.relu(self.up(y)).square())


class Model(nn.Module):
    """A small pre-norm transformer, embeddings tied.

    Hashed pairs and triples of tokens have embeddings of their own: they cost no multiplications, and give
    in few steps what a model of this size would need most of its training for. `counts` of the tokens begin
    the output's bias.
    """

    def __init__(self, counts):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.pairs, self.triples = nn.Embedding(BUCKETS, WIDTH), nn.Embedding(BUCKETS, WIDTH)
        self.bias = nn.Parameter(torch.log((counts + 1.0) / (counts + 1.0).sum()))
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        nn.init.normal_(self.tokens.weight, std=0.05)
        nn.init.zeros_(self.pairs.weight)
        nn.init.zeros_(self.triples.weight)
        angles = torch.arange(CONTEXT + 1)[:, None] * 10_000 ** -(torch.arange(HEAD // 2) / (HEAD // 2))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, tokens):
        pair = later(tokens) * 2_654_435_761 + tokens * 40_503
        triple = pair + later(tokens, 2) * 1_000_003
        x = self.tokens(tokens) + self.pairs(pair % BUCKETS) + self.triples(triple % BUCKETS)
        x, angles = normal(x), (self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x, angles)
        return normal(x) @ self.tokens.weight.T + self.bias


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are brought near an orthogonal one (Jordan et al. 2024), by three steps of
    Newton and Schulz with the coefficients of Amsel et al. (2025).
    """

    STEPS = (
        (8.287212, -23.595887, 17.300387),
        (4.107059, -2.947850, 0.544843),
        (3.948691, -2.908902, 0.551819),
    )

    def __init__(self, matrices, rate):
        super().__init__(matrices, {"lr": rate, "momentum": 0.95})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for matrix in group["params"]:
                mean = self.state[matrix].setdefault("mean", torch.zeros_like(matrix))
                mean.lerp_(matrix.grad, 1 - group["momentum"])
                ahead = matrix.grad.lerp(mean, group["momentum"])
                # queries, keys and values are three matrices
                parts = ahead.split(WIDTH) if len(matrix) == 3 * WIDTH else [ahead]
                scale = max(1.0, len(parts[0]) / matrix.shape[1]) ** 0.5
                turned = torch.cat([self._orthogonal(part) for part in parts])
                matrix.add_(turned, alpha=-group["lr"] * scale)

    def _orthogonal(self, x):
        tall = len(x) > x.shape[1]
        x = x.T if tall else x
        x = x / (1.01 * x.norm() + 1e-7)
        for a, b, c in self.STEPS:
            square = x @ x.T
            x = a * x + (b * square + c * square @ square) @ x
        return x.T if tall else x


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
    matrices = [part for part in model.blocks.parameters() if part.ndim == 2]
    of_blocks = {id(part) for part in matrices}
    others = [part for part in model.parameters() if id(part) not in of_blocks]
    optimisers = (
        Muon(matrices, rate),
        torch.optim.Adam(others, lr=rate * OTHERS_RATE, betas=(0.8, 0.95), eps=1e-10, fused=True),
    )
    tops = [optimiser.param_groups[0]["lr"] for optimiser in optimisers]
    model.train()
    for at in range(n_steps):
        part = stream[at * step : (at + 1) * step + 1]
        factor = min((at + 1) / WARM, 1.0) * min(1.0, 0.05 + 0.95 * (1 - at / n_steps) / COOLING)
        logits = model(part[:-1].view(BATCH, CONTEXT))
        loss = functional.cross_entropy(logits.flatten(0, 1), part[1:])
        loss.backward()
        if at % 200 == 199:
            print(f"step {at + 1} of {n_steps}: {loss.item():.3f}", file=sys.stderr, flush=True)
        for optimiser, top in zip(optimisers, tops, strict=True):
            optimiser.param_groups[0]["lr"] = top * factor
            optimiser.step()
        model.zero_grad(set_to_none=True)
    return model


@torch.no_grad()
def losses(model, rows, before):
    """Sum of the cross-entropy of each row's response, in nats, and its tokens: (n_rows, 2).

    A row begins after the token `before`, the end of another, as it does where rows are trained on.
    """
    model.eval()
    found = np.zeros((len(rows), 2))
    order = np.argsort([len(tokens) for tokens, _ in rows], kind="stable")
    for start in range(0, len(order), 16):
        some = order[start : start + 16]
        longest = max(len(rows[row][0]) for row in some) + 1
        tokens = torch.full((len(some), longest), before)
        said = torch.zeros((len(some), longest), dtype=torch.bool)
        for at, row in enumerate(some):
            ids, begin = rows[row]
            tokens[at, 1 : len(ids) + 1] = torch.from_numpy(ids)
            said[at, begin + 1 : len(ids) + 1] = True
        logits = model(tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        loss = loss.view(len(some), -1) * said[:, 1:]
        found[some, 0] = loss.sum(dim=1)
        found[some, 1] = said[:, 1:].sum(dim=1)
    return found


def mean_loss(found):
    return float(found[:, 0].sum() / found[:, 1].sum())


class Kept:
    """What was trained before: a file for each model, named by what it was trained on and how."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, *trained_on):
        settings = [CONTEXT, WIDTH, LAYERS, HEAD, BUCKETS, BATCH, OTHERS_RATE, WARM, COOLING]
        settings += [BASE_TOKENS, BASE_RATE, *trained_on]
        return self.folder / f"{hashlib.sha256(json.dumps(settings).encode()).hexdigest()}.json"

    @staticmethod
    def read(path):
        return json.loads(path.read_text()) if path.is_file() else {"seconds": 0.0}

    @staticmethod
    def write(path, found):
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(found))
        beside.replace(path)


class Base:
    """The base model, on rows that nobody selects from, with its vocabulary: one for all seeds.

    Its rows are drawn by their ids, so that they are the same whatever else is in the pool.
    """

    def __init__(self, bed, kept):
        drawn = np.array([zlib.crc32(name.encode()) % 100 for name in bed.rows["id"]])
        self.rest = np.flatnonzero((drawn >= 30) & ~bed.is_twin)
        said = bed.rows.filter(pl.Series((drawn < 30) & ~bed.is_twin)).sort("id")
        both = said.select(pl.concat_str(pl.col("prompt", "response").fill_null("")))[:, 0]
        self.tokenizer = byte_pairs(both.to_list())
        self.end = self.tokenizer.token_to_id(END)
        rows = encoded(self.tokenizer, said)
        is_held = [zlib.crc32(name.encode()) % 100 < 2 for name in said["id"]]
        self.rows = [row for row, held in zip(rows, is_held, strict=True) if not held]
        self.held_out = [row for row, held in zip(rows, is_held, strict=True) if held]
        tokens = np.concatenate([tokens for tokens, _ in self.rows])
        self.n_tokens = len(tokens)
        torch.manual_seed(0)
        self.model = Model(torch.from_numpy(np.bincount(tokens, minlength=VOCABULARY)))
        path = kept.path()
        weights, self.found = path.with_suffix(".pt"), kept.read(path)
        if "loss" in self.found:
            self.model.load_state_dict(torch.load(weights))
            return
        start = time.process_time()
        train(self.model, self.rows, BASE_TOKENS, BASE_RATE, 0)
        torch.save(self.model.state_dict(), weights)
        self.found = {
            "loss": mean_loss(losses(self.model, self.held_out, self.end)),
            "n-grams": ngram_loss(NGrams([tokens for tokens, _ in self.rows], VOCABULARY), self.held_out),
            "seconds": time.process_time() - start,
        }
        kept.write(path, self.found)


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

    def picks(self, title):
        """Numbers of the bed's rows by method (None: no subset), picked anew where the code is another."""
        by = [code(), zlib.crc32(Path(samplers.__file__).read_bytes())]
        for name, pick in self.everything() if title == "global" else self.targeted(title):
            path = self.kept.path("picks", by, self.seed, title, name)
            found = self.kept.read(path)
            if "rows" not in found:
                picks = pick()
                found["rows"] = None if picks is None else self.round.rows[picks].tolist()
                self.kept.write(path, found)
            yield name, found["rows"]

    def run(self, picks, title):
        """Train on rows of the bed (None: not at all) and measure; kept where it was trained before."""
        ids = None if picks is None else np.sort(picks).tolist()
        path = self.kept.path(self.seed, TUNING_TOKENS, TUNING_RATE, ROWS_A_DOMAIN, ids)
        found = self.kept.read(path)
        if title not in found:
            start = time.process_time()
            model, found["tokens"] = copy.deepcopy(self.base.model), 0
            if ids is not None:
                rows = encoded(self.base.tokenizer, self.bed.rows[ids])
                found["tokens"] = sum(len(tokens) for tokens, _ in rows)
                train(model, rows, TUNING_TOKENS, TUNING_RATE, self.seed)
            # what several tables show is measured for all of them at once
            shared = ids is None or ids == np.sort(self.round.rows[self.random]).tolist()
            for wanted in self.measured if shared else [title]:
                found[wanted] = self.loss_of(model, wanted)
            found["seconds"] += time.process_time() - start
            self.kept.write(path, found)
        return {**found[title], "tokens": found["tokens"], "seconds": found["seconds"], "path": path.stem[:8]}

    def loss_of(self, model, wanted):
        by_name = {
            name: mean_loss(losses(model, rows, self.base.end))
            for name, rows in self.measured[wanted].items()
        }
        if wanted != "global":
            return by_name
        return {
            "pool": sum(self.share[name] * loss for name, loss in by_name.items()),
            "domains alike": float(np.mean(list(by_name.values()))),
        }

    def ngrams_of_random(self):
        """What an n-gram model has on the held-out pool that was trained on the random rows alone."""
        rows = encoded(self.base.tokenizer, self.bed.rows[self.round.rows[self.random]])
        model = NGrams([tokens for tokens, _ in rows], VOCABULARY)
        held_out = self.measured["global"]
        return sum(self.share[name] * ngram_loss(model, rows) for name, rows in held_out.items())

    def everything(self):
        one, rng = self.round, np.random.default_rng(self.seed)
        yield "base model, no subset", lambda: None
        yield "all rows to select from", lambda: np.arange(len(one.rows))
        yield "random", lambda: self.random
        yield "longest answers", lambda: samplers.top(one.pool.length, one.k)
        yield "K-Means representatives", lambda: samplers.k_means(one.pool, one.k, rng)
        yield "MIG", lambda: samplers.mig(one.pool, one.k)
        yield "ours, information gain alone", lambda: one.ours("ours", alignment=0.0)
        yield "ours", lambda: one.ours("ours")

    def targeted(self, target):
        wanted = {"DSIR, hashed n-grams", "centred centroid", "RDS+ round robin", "ours"}
        yield "base model, no subset", lambda: None
        yield "random", lambda: self.random
        # numbers of its own: what one method draws must not move another's picks
        self.round.rng = np.random.default_rng([self.seed, list(TARGETS).index(target)])
        yield from (pair for pair in self.round.targeted(target) if pair[0] in wanted)


def measured(splits, title):
    """Results by method, one a seed."""
    found = {}
    for split in splits:
        for name, rows in split.picks(title):
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
    parser.add_argument("--only", type=int, help="train for this seed alone, and save no result")
    parser.add_argument("--tables", nargs="+", choices=TITLES, default=TITLES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--bed", type=Path, help="file that keeps the prepared pool, that of peers.py as well"
    )
    given = parser.parse_args()
    for needed in (given.home / "warehouse.duckdb", given.data / "pool_mixed.jsonl.gz"):
        if not needed.is_file():
            sys.exit(f"{needed} is not there. See the head of peers.py.")
    torch.set_num_threads(given.threads)
    torch.use_deterministic_algorithms(mode=True)
    kept = Kept(given.keep or Path(tempfile.mkdtemp()))
    bed = kept_bed(given.bed, given.home, given.data, n_twins=20)
    domain, base = domains(bed, given.data), Base(bed, kept)
    seeds = range(given.seeds) if given.only is None else [given.only]
    splits = [Split(bed, base, domain, seed, kept) for seed in seeds]
    found = {title: measured(splits, title) for title in given.tables}
    if given.only is not None:
        return
    tables = {}
    for title, by_method in found.items():
        columns = ["pool", "domains alike"] if title == "global" else ["examples", "domain"]
        head = {"": None}
        for column in columns:
            head |= {column: 3, f"{column} - random": 3}
        best = {f"{column} - random": "min" for column in columns}
        tables[title] = Table({**head, "tokens of the subset": 0}, rows_of(by_method, columns), best)
    figures = {
        "seeds": given.seeds,
        "picks": splits[0].round.k,
        "parameters": sum(part.numel() for part in base.model.parameters()),
        "block_parameters": sum(part.numel() for part in base.model.blocks.parameters()),
        "base_tokens": BASE_TOKENS,
        "base_rows_tokens": base.n_tokens,
        "base_loss": base.found["loss"],
        "base_loss_of_ngrams": base.found["n-grams"],
        "random_loss_of_ngrams": float(np.mean([split.ngrams_of_random() for split in splits])),
        "tuning_tokens": TUNING_TOKENS,
    }
    trained = {
        one["path"]: one["seconds"] for rows in found.values() for ones in rows.values() for one in ones
    }
    save("small_model", tables, figures, base.found["seconds"] + sum(trained.values()))


if __name__ == "__main__":
    main()
