"""Held-out cross-entropy of a language model trained on a subset: does the subset teach what is asked?

    python benchmarks/language_model.py HOME     # results/language_model.json; a minute of one core a seed

An n-gram model (order 4, interpolated Kneser-Ney, `ngrams.py`) over a byte-level BPE vocabulary of 2,048
that was learned of a fifth of the pool's rows. It is trained from nothing, in a second, so that every method
and seed can have one; `small_model.py` does the same with a transformer. Each seed holds a tenth of the rows
out. A subset is 5% of the rest. **All models of a table and seed are trained on equally many tokens**: the
rows of each subset in random order, up to the tokens of the smallest. A row is the last 64 tokens of its
prompt and the first 128 of its response. Measured is the cross-entropy of the response's tokens, in nats:

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
import gzip
import sys
from pathlib import Path

import numpy as np
import polars as pl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import samplers
from alignment_probe import ROOT
from ngrams import NGrams
from peers import Round, kept_bed
from results import Table, interval, save

TARGETS = {"math_gsm8k_test": "math", "medicine_pubmedqa": "medicine"}
"""Held-out targets, with the domain of the pool that is theirs."""

VOCABULARY = 2_048
PROMPT, RESPONSE = 64, 128
ROWS_A_DOMAIN = 60
"""Held-out rows of a domain that are measured, at most."""

SEPARATOR, END = "<|answer|>", "<|end|>"


def byte_pairs(texts):
    """Learn the vocabulary of the base model's rows."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[SEPARATOR, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encoded(tokenizer, rows):
    """Tokens of each row, and where its response begins."""
    separator, end = tokenizer.token_to_id(SEPARATOR), tokenizer.token_to_id(END)
    # what lies far beyond what is kept need not be tokenised: few tokens are longer than 16 letters
    prompts = tokenizer.encode_batch([(text or "")[-16 * PROMPT :] for text in rows["prompt"]])
    answers = tokenizer.encode_batch([(text or "")[: 16 * RESPONSE] for text in rows["response"]])
    found = []
    for prompt, answer in zip(prompts, answers, strict=True):
        asked = prompt.ids[-(PROMPT - 1) :]
        said = ([*answer.ids, end])[:RESPONSE]
        found.append((np.array([*asked, separator, *said]), len(asked) + 1))
    return found


def domains(bed, data):
    """Each row's hidden domain, twelve in all: the kinds of exam and of reasoning game are one each."""
    with gzip.open(data / "pool_mixed.labels.csv.gz") as file:
        labels = pl.read_csv(file.read(), infer_schema=False, columns=["id", "domain"])
    joined = bed.rows.select("id").join(labels, on="id", how="left", maintain_order="left")["domain"]
    return joined.fill_null("").str.replace("^(exam|reasoning)_.*", "$1").to_numpy().astype(str)


class Split:
    """One seed: the rows to select from, those held out, and what is measured."""

    def __init__(self, bed, domain, tokenizer, seed):
        self.bed, self.tokenizer, self.seed = bed, tokenizer, seed
        rng = np.random.default_rng(1_000 + seed)
        order = rng.permutation(np.flatnonzero(~bed.is_twin))
        selectable, held_out = np.split(order, [int(0.9 * len(order))])
        known = {name: np.sort(rng.choice(50, 25, replace=False)) for name in bed.examples}
        self.round = Round(bed, np.sort(selectable), known, rng)
        self.random = rng.choice(len(self.round.pool), self.round.k, replace=False)
        names, pooled = np.unique(domain[~bed.is_twin], return_counts=True)
        self.share = dict(zip(names.tolist(), (pooled / pooled.sum()).tolist(), strict=True))
        self.by_domain = {
            name: encoded(tokenizer, bed.rows[held_out[domain[held_out] == name][:ROWS_A_DOMAIN]])
            for name in names.tolist()
        }
        self.unseen = {
            name: encoded(tokenizer, bed.example_rows[name][np.setdiff1d(np.arange(50), known[name])])
            for name in TARGETS
        }

    def methods(self, title):
        one = self.round
        yield "random", lambda: self.random
        if title != "global":
            wanted = {"DSIR, hashed n-grams", "centred centroid", "RDS+ round robin", "ours"}
            yield from (pair for pair in one.targeted(title) if pair[0] in wanted)
            return
        yield "longest answers", lambda: samplers.top(one.pool.length, one.k)
        yield "highest quality (ours)", lambda: samplers.top(one.pool.quality, one.k)
        yield "K-Means representatives", lambda: samplers.k_means(one.pool, one.k, one.rng)
        yield "MIG", lambda: samplers.mig(one.pool, one.k)
        yield "ours, information gain alone", lambda: one.ours("ours", alignment=0.0)
        yield "ours", lambda: one.ours("ours")

    def measure(self, title):
        """Results by method."""
        subsets = {}
        for name, pick in self.methods(title):
            rows = [tokens for tokens, _ in encoded(self.tokenizer, self.bed.rows[self.round.rows[pick()]])]
            subsets[name] = [rows[at] for at in np.random.default_rng(self.seed).permutation(len(rows))]
        n_tokens = {name: sum(map(len, rows)) for name, rows in subsets.items()}
        budget = min(n_tokens.values())
        found = {}
        for name, rows in subsets.items():
            ends = np.cumsum([len(row) for row in rows])
            model = NGrams(rows[: int(np.searchsorted(ends, budget)) + 1], VOCABULARY)
            if title == "global":
                losses = {domain: mean_loss(model, held) for domain, held in self.by_domain.items()}
                found[name] = {
                    "pool": sum(self.share[domain] * loss for domain, loss in losses.items()),
                    "domains alike": float(np.mean(list(losses.values()))),
                }
            else:
                found[name] = {
                    "examples": mean_loss(model, self.unseen[title]),
                    "domain": mean_loss(model, self.by_domain[TARGETS[title]]),
                }
            found[name]["tokens"] = n_tokens[name]
            print(f"seed {self.seed}, {title}, {name}: {found[name]}", file=sys.stderr, flush=True)
        return found, budget


def mean_loss(model, rows):
    """Cross-entropy of the responses' tokens, nats a token."""
    losses = np.concatenate([model.losses(tokens)[begin:] for tokens, begin in rows])
    return float(losses.mean())


def rows_of(found, columns):
    """Losses, each followed by its difference to random's, paired by seed."""
    table = []
    for name in found[0]:
        cells = [name]
        for column in columns:
            values = np.array([one[name][column] for one in found])
            random = np.array([one["random"][column] for one in found])
            cells += [interval(values), None if name == "random" else interval(values - random)]
        table.append([*cells, float(np.mean([one[name]["tokens"] for one in found]))])
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--bed", type=Path, help="file that keeps the prepared pool, that of peers.py as well"
    )
    given = parser.parse_args()
    for needed in (given.home / "warehouse.duckdb", given.data / "pool_mixed.jsonl.gz"):
        if not needed.is_file():
            sys.exit(f"{needed} is not there. See the head of peers.py.")
    bed = kept_bed(given.bed, given.home, given.data, n_twins=20)
    said = bed.rows.filter(pl.Series(~bed.is_twin)).select(pl.concat_str("prompt", "response"))
    tokenizer = byte_pairs(said[:, 0].drop_nulls().gather_every(5).str.head(2_000).to_list())
    domain = domains(bed, given.data)
    splits = [Split(bed, domain, tokenizer, seed) for seed in range(given.seeds)]
    tables, figures = {}, {"seeds": given.seeds, "picks": splits[0].round.k}
    for title in ("global", *TARGETS):
        columns = ["pool", "domains alike"] if title == "global" else ["examples", "domain"]
        head = {"": None}
        for column in columns:
            head |= {column: 3, f"{column} - random": 3}
        found, budgets = zip(*(split.measure(title) for split in splits), strict=True)
        best = {f"{column} - random": "min" for column in columns}
        tables[title] = Table({**head, "tokens of the subset": 0}, rows_of(found, columns), best)
        figures[f"{title}: tokens"] = int(np.mean(budgets))
    save("language_model", tables, figures)


if __name__ == "__main__":
    main()
