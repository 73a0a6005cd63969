"""Tags of a tagged sample, carried over to the rows that were not tagged.

A tagger that is paid per row tags a sample; the rest takes its tags from the rows that lie near it, or from
a linear multi-label model over the embeddings. How well that agrees with the tagger is measured on a part of
the sample that is held back, and said with the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from scipy import sparse

from tags_assets.errors import InvalidInputError, UserError
from tags_assets.method.text.embedding import centred

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tags_assets.method.text.embedding import Embed, Vectors

CARRIED_SCHEMA: dict[str, pl.DataType] = {"row": pl.UInt32(), "tag": pl.String(), "weight": pl.Float32()}
"""Columns of carried tags: weights of a row sum to 1."""

CARRY_OVER_VERSION = "1"
"""Raised where equal input gives other tags; part of the data version of what is carried over."""

MAX_TAGS = 8

SAME_MEANING = 0.6
"""Cosine from which two tags count as the same in the soft agreement (the measure of STACK)."""

_BLOCK_BYTES = 64 << 20
_SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Shares of a row's best score from which a tag is kept, tried on the tuning part."""

_NEIGHBOURS = (4, 8, 16, 32)
_RIDGE = 1.0
_FEWEST_ROWS = 20

Method = Literal["neighbours", "linear"]


@dataclass(frozen=True)
class Agreement:
    """How well carried tags agree with the tagger's own, on rows held back.

    Attributes
    ----------
    rows
        Rows held back.
    precision, recall, f1
        Of exactly equal tags, means over the rows.
    soft_f1
        The same where tags count as equal from a cosine of `SAME_MEANING`; None without vectors.
    baseline_f1, baseline_soft_f1
        What the sample's most frequent tags, given to every row, would reach.
    """

    rows: int
    precision: float
    recall: float
    f1: float
    soft_f1: float | None
    baseline_f1: float
    baseline_soft_f1: float | None


@dataclass(frozen=True)
class Rule:
    """How scores become tags: by which method, of how many neighbours, from which share of the best score."""

    method: Method
    n_neighbours: int
    share: float


@dataclass(frozen=True)
class CarryOver:
    """Tags for the rows that were not tagged.

    Attributes
    ----------
    tags
        Columns of `CARRIED_SCHEMA`, by row, then by falling weight; only rows that were not tagged.
    agreement
        On the part held back.
    rule
        What was chosen on another part.
    carried_share
        Share of all rows whose tags are carried.
    """

    tags: pl.DataFrame
    agreement: Agreement
    rule: Rule
    carried_share: float

    @property
    def figures(self) -> dict[str, object]:
        """For the metadata."""
        a = self.agreement
        return {
            "carried_share": round(self.carried_share, 4),
            "carried_rows": self.tags["row"].n_unique(),
            "carry_method": self.rule.method,
            "held_back_rows": a.rows,
            "agreement_precision": round(a.precision, 4),
            "agreement_recall": round(a.recall, 4),
            "agreement_f1": round(a.f1, 4),
            "agreement_soft_f1": None if a.soft_f1 is None else round(a.soft_f1, 4),
            "baseline_f1": round(a.baseline_f1, 4),
            "baseline_soft_f1": None if a.baseline_soft_f1 is None else round(a.baseline_soft_f1, 4),
        }


def sample_by_content(
    content_hashes: Sequence[str] | pl.Series, share: float, *, seed: int = 0
) -> NDArray[np.bool_]:
    """Choose the rows to be tagged, at random by their content: one once chosen stays so as the pool grows.

    Returns
    -------
    Whether each row is in the sample, bool (n,). Rows of equal content are all in or all out.

    Raises
    ------
    UserError
        Where the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise InvalidInputError(f"the share to be tagged is {share}, it must be above 0 and at most 1")
    key = seed.to_bytes(8, "little", signed=True)
    drawn = np.fromiter(
        (
            int.from_bytes(blake2b(content.encode(), digest_size=8, key=key).digest(), "little")
            for content in content_hashes
        ),
        dtype=np.uint64,
        count=len(content_hashes),
    )
    return np.asarray(drawn / 2.0**64 < share)


def carry_over(
    tags: pl.DataFrame,
    tagged: NDArray[np.bool_],
    vectors: Vectors,
    *,
    method: Method | Literal["auto"] = "auto",
    embed: Embed | None = None,
    held_back: float = 0.1,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CarryOver:
    """Carry the tags of tagged rows over to the others.

    Parameters
    ----------
    tags
        ``row`` (u32, number of a row), ``tag``, ``weight``, of rows that were tagged.
    tagged
        Which rows the tagger saw, bool (n,). Those that it gave nothing are left without tags.
    vectors
        Embeddings of unit norm, float32 (n, n_dims).
    method
        ``neighbours``: mean of the nearest tagged rows' tags, weighted by exp(cos / 0.05), vectors centred;
        ``linear``: ridge regression of the tags' weights on the vectors; ``auto``: the better of the two on a
        tuning part.
    embed
        Embeds tags, for the soft agreement; without it agreement is of equal tags only.
    held_back
        Share of the tagged rows on which agreement is measured; as many again choose the rule. Both take part
        in what is carried in the end.
    seed
        Of the split.

    Raises
    ------
    UserError
        Where too few rows are tagged to learn from.
    """
    vectors = centred(vectors)
    pool = _Pool.of(tags, tagged, vectors)
    n = len(pool.rows)
    if n < _FEWEST_ROWS:
        raise UserError(
            f"only {n} rows have tags to carry over, {_FEWEST_ROWS} are needed", fix="Tag a larger sample."
        )
    order = np.random.default_rng(seed).permutation(n)
    n_held = max(round(n * held_back), 1)
    held, tuning, fitting = np.split(order, [n_held, 2 * n_held])
    alike = _Alike.of(pool.names, embed)
    rule = _choose(pool, fitting, tuning, method, alike)
    agreement = _measure(pool, np.concatenate([fitting, tuning]), held, rule, alike)
    rest = np.flatnonzero(~tagged)
    carried = _predict(pool, np.arange(n), vectors[rest], rule, progress)
    frame = _frame(carried, pool.names, rest)
    return CarryOver(frame, agreement, rule, len(rest) / max(len(tagged), 1))


@dataclass(frozen=True)
class _Pool:
    """Tagged rows: their numbers, vectors, and weights of tags, CSR float32 (n_tagged, n_tags)."""

    rows: NDArray[np.int64]
    vectors: Vectors
    weights: sparse.csr_array
    names: tuple[str, ...]

    @classmethod
    def of(cls, tags: pl.DataFrame, tagged: NDArray[np.bool_], vectors: Vectors) -> _Pool:
        names = tags["tag"].unique().sort()
        rows = tags["row"].unique().sort().to_numpy().astype(np.int64)
        if len(tagged) != len(vectors):
            raise ValueError(f"number of rows ({len(tagged)}) must match number of vectors ({len(vectors)})")
        if len(rows) and not tagged[rows].all():
            raise ValueError("a row has tags and is not among the tagged")
        row = np.searchsorted(rows, tags["row"].to_numpy())
        tag = np.searchsorted(names.to_numpy(), tags["tag"].to_numpy())
        weights = sparse.csr_array(
            (tags["weight"].to_numpy().astype(np.float32), (row, tag)), shape=(len(rows), len(names))
        )
        return cls(rows, np.ascontiguousarray(vectors[rows]), weights, tuple(names))


@dataclass(frozen=True)
class _Alike:
    """Which tags mean the same: boolean CSR (n_tags, n_tags), None where only equal ones do."""

    same: sparse.csr_array | None

    @classmethod
    def of(cls, names: Sequence[str], embed: Embed | None) -> _Alike:
        if embed is None or not names:
            return cls(None)
        vectors = np.asarray(embed(list(names)), dtype=np.float32)
        step = max(_BLOCK_BYTES // (4 * len(names)), 1)
        parts = [
            sparse.csr_array(vectors[i : i + step] @ vectors.T >= SAME_MEANING)
            for i in range(0, len(names), step)
        ]
        return cls(sparse.csr_array(sparse.vstack(parts)))


def _predict(
    pool: _Pool,
    fitting: NDArray[np.int64],
    vectors: Vectors,
    rule: Rule,
    progress: Callable[[int, int], None] | None = None,
) -> sparse.csr_array:
    """Score the tags for each vector and keep the best, float32 CSR (n, n_tags); rows sum to 1."""
    weights = pool.weights[fitting]
    known = pool.vectors[fitting]
    if rule.method == "linear":
        model = _ridge(known, weights)
        width = model.shape[1]
    else:
        width = max(len(known), 1)
    step = max(min(_BLOCK_BYTES // (4 * width), 4096), 1)
    parts = []
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step]
        if rule.method == "linear":
            scores = sparse.csr_array(np.maximum(_with_one(block) @ model, 0))
        else:
            scores = _near(block, known, rule.n_neighbours) @ weights
        parts.append(_best(sparse.csr_array(scores), rule.share))
        if progress:
            progress(min(start + step, len(vectors)), len(vectors))
    nothing = sparse.csr_array((0, len(pool.names)), dtype=np.float32)
    stacked: sparse.csr_array = sparse.vstack([nothing, *parts], format="csr")
    return stacked


def _near(block: Vectors, known: Vectors, n_neighbours: int) -> sparse.csr_array:
    """Weigh the nearest known rows by exp(cos / 0.05), CSR (n_block, n_known)."""
    similarity = block @ known.T
    k = min(n_neighbours, known.shape[0])
    nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    nearest.sort(axis=1)  # the same order whatever the partition's
    cosines = np.take_along_axis(similarity, nearest, axis=1)
    weights = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / 0.05)
    weights /= weights.sum(axis=1, keepdims=True)
    indptr = np.arange(0, nearest.size + 1, k)
    return sparse.csr_array((weights.ravel(), nearest.ravel(), indptr), shape=similarity.shape)


def _with_one(vectors: Vectors) -> Vectors:
    return np.concatenate([vectors, np.ones((len(vectors), 1), dtype=np.float32)], axis=1)


def _ridge(vectors: Vectors, weights: sparse.csr_array) -> Vectors:
    """Fit weights of tags to vectors with an intercept, float32 (n_dims + 1, n_tags)."""
    x = _with_one(vectors).astype(np.float64)
    gram = x.T @ x + _RIDGE * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(gram, (weights.T @ x).T), dtype=np.float32)


def _best(scores: sparse.csr_array, share: float) -> sparse.csr_array:
    """Keep each row's tags from a share of its best score up, at most `MAX_TAGS`; rows sum to 1."""
    scores.eliminate_zeros()
    n_rows = scores.shape[0]
    frame = pl.DataFrame(
        {
            "row": np.repeat(np.arange(n_rows), np.diff(scores.indptr)),
            "tag": scores.indices,
            "score": scores.data,
        }
    )
    kept = (
        frame.filter(pl.col("score") >= share * pl.col("score").max().over("row"))
        .sort("row", "score", "tag", descending=[False, True, False])
        .filter(pl.int_range(pl.len()).over("row") < MAX_TAGS)
        .with_columns(pl.col("score") / pl.col("score").sum().over("row"))
    )
    where = (kept["row"].to_numpy(), kept["tag"].to_numpy())
    return sparse.csr_array((kept["score"].to_numpy().astype(np.float32), where), shape=scores.shape)


def _choose(
    pool: _Pool, fitting: NDArray[np.int64], tuning: NDArray[np.int64], method: str, alike: _Alike
) -> Rule:
    """Take the rule with the best agreement on the tuning part; the earlier one where two are equal."""
    rules: list[Rule] = []
    if method in {"auto", "neighbours"}:
        rules += [Rule("neighbours", k, 0.0) for k in _NEIGHBOURS]
    if method in {"auto", "linear"}:
        rules.append(Rule("linear", 0, 0.0))
    truth = pool.weights[tuning]
    best, best_value = rules[0], -1.0
    for rule in rules:
        # Scores are made once for each method; the shares only cut them.
        loose = replace(rule, share=_SHARES[0])
        scores = _predict(pool, fitting, pool.vectors[tuning], loose)
        for share in _SHARES:
            value = _f1(_best(scores.copy(), share), truth, alike)
            if value > best_value + 1e-9:
                best, best_value = replace(rule, share=share), value
    return best


def _measure(
    pool: _Pool, fitting: NDArray[np.int64], held: NDArray[np.int64], rule: Rule, alike: _Alike
) -> Agreement:
    truth = pool.weights[held]
    predicted = _predict(pool, fitting, pool.vectors[held], rule)
    counts = np.asarray((pool.weights[fitting] > 0).sum(axis=0)).ravel()
    n_usual = max(round(truth.nnz / max(truth.shape[0], 1)), 1)
    usual = np.sort(np.argsort(-counts, kind="stable")[:n_usual])
    every = sparse.csr_array(
        (np.ones(len(held) * len(usual), dtype=np.float32), np.tile(usual, len(held)),
         np.arange(0, len(held) * len(usual) + 1, len(usual))),
        shape=truth.shape,
    )  # fmt: skip
    exact = _Alike(None)
    precision, recall = _precision_recall(predicted, truth, exact)
    soft = alike.same is not None
    return Agreement(
        rows=len(held),
        precision=float(precision.mean()),
        recall=float(recall.mean()),
        f1=_f1(predicted, truth, exact),
        soft_f1=_f1(predicted, truth, alike) if soft else None,
        baseline_f1=_f1(every, truth, exact),
        baseline_soft_f1=_f1(every, truth, alike) if soft else None,
    )


def _precision_recall(
    predicted: sparse.csr_array, truth: sparse.csr_array, alike: _Alike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of each row's predicted tags that are true, and of its true tags that were predicted."""
    p, t = (predicted > 0).astype(np.float32), (truth > 0).astype(np.float32)
    same = alike.same.astype(np.float32) if alike.same is not None else None
    near_t, near_p = (t, p) if same is None else (t @ same, p @ same)
    hit_p = np.asarray((p.multiply(near_t) > 0).sum(axis=1)).ravel()
    hit_t = np.asarray((t.multiply(near_p) > 0).sum(axis=1)).ravel()
    n_p, n_t = np.diff(p.indptr), np.diff(t.indptr)
    return hit_p / np.maximum(n_p, 1), hit_t / np.maximum(n_t, 1)


def _f1(predicted: sparse.csr_array, truth: sparse.csr_array, alike: _Alike) -> float:
    """Mean over the rows of the harmonic mean of precision and recall."""
    precision, recall = _precision_recall(predicted, truth, alike)
    both = precision + recall
    return float(np.mean(np.where(both > 0, 2 * precision * recall / np.maximum(both, 1e-12), 0)))


def _frame(carried: sparse.csr_array, names: Sequence[str], rows: NDArray[np.int64]) -> pl.DataFrame:
    row = np.repeat(rows, np.diff(carried.indptr))
    name = pl.Series(list(names), dtype=pl.String).gather(carried.indices.astype(np.uint32))
    return (
        pl.DataFrame({"row": row, "tag": name, "weight": carried.data})
        .cast(CARRIED_SCHEMA)  # type: ignore[arg-type]
        .sort("row", "weight", "tag", descending=[False, True, False])
    )
