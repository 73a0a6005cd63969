"""Does each term of the quality score earn its place, and does the score merely like length?

    python benchmarks/score_ablation.py HOME

On the bed of ``peers.py``: the real pool with one corrupted twin (see ``corrupted_twins.py``) of each of
1,200 of its rows, all tagged and grounded as the pipeline does. Asked of the score with all its terms, and
with each of them taken away:

- *AUC*: how likely an original scores above a twin, over all and within its hidden domain (mean of the
  domains, weighted by their twins), and where both have about the same length (mean of ten classes of it);
- *twins picked*, *sub-domains* and their effective number (*even*) of a selection of 5% by information gain
  alone, where the score decides most, over three draws of rows, with 95% intervals; and what four terms
  change there, paired over six other draws, and in the AUC, paired over the twins (500 bootstrap draws);
- *mixture*: KL of the hidden domains among the 5% and the quarter of highest score to those of the pool, in
  nats: does an easy domain win by being easy;
- Spearman's rank correlation of the score with the response's length, over all and within a domain.

``model_judge.py`` asks real judges about some rows. What a judge of all rows does to the score is asked of
a stand-in: a rating of .75, .25 less for a twin, a leaning by domain (normal, standard deviation .1) and
noise (.15).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

import numpy as np  # noqa: E402 - the checkout comes first on the path
import peers  # noqa: E402
import polars as pl  # noqa: E402
from corrupted_twins import KINDS, corrupted_twins  # noqa: E402
from quality_twins import auc  # noqa: E402
from results import Table, interval, save  # noqa: E402
from scipy import sparse  # noqa: E402
from scipy.stats import spearmanr  # noqa: E402

from tags_assets.method.scoring.scores import ScoringConfig, score  # noqa: E402
from tags_assets.method.scoring.text_signals import SIGNALS  # noqa: E402
from tags_assets.method.target.distribution import kl  # noqa: E402

N_TWINS, SEEDS, LENGTHS, DRAWS = 1_200, 3, 10, 500
PAIRED = (
    "the score",
    "without standing",
    "without richness",
    "richness without information content",
    "richness without concepts",
)
MIXTURES = ("5%", "25%", "5% with a judge", "25% with a judge")


def variants() -> dict[str, ScoringConfig]:
    """The score as it is, without each of its parts, and with parts that it could have."""
    full = ScoringConfig()
    return {
        "the score": full,
        "without text signals": replace(full, signals=dict.fromkeys(full.signals, 0.0)),
        "without standing": replace(full, standing=0.0),
        "without richness": replace(full, richness=0.0),
        "richness without information content": replace(full, terms={"concepts": 1.0}),
        "richness without concepts": replace(full, terms={"information_content": 1.0}),
        "richness with spread": replace(full, terms=dict(full.terms) | {"spread": 1.0}),
        "without any tree term": replace(full, richness=0.0, standing=0.0),
        "richness three times as strong": replace(full, richness=0.3),
        "standing without shrinkage": replace(full, peers=1e-6),
    }


def kinds_of(bed: peers.Bed, n_twins: int) -> np.ndarray:
    """Which corruption made each twin; empty for an original."""
    rows = bed.rows.with_row_index("at")
    originals = rows.filter(pl.Series(~bed.is_twin))
    some = np.sort(np.random.default_rng(0).choice(len(originals), n_twins, replace=False))
    donors = originals[np.setdiff1d(np.arange(len(originals)), some)]
    made = corrupted_twins(originals[some], donors)
    made = made.with_columns(instance_id="twin of " + pl.col("instance_id"))
    made = made.unique(["instance_id", "response"], keep="first", maintain_order=True)
    twins = rows.filter(pl.Series(bed.is_twin))
    found = twins.join(made, on=["instance_id", "response"], how="left", maintain_order="left")["kind"]
    assert found.null_count() == 0
    out = np.full(len(rows), "", dtype=object)
    out[bed.is_twin] = found.to_numpy()
    return out


class Twins:
    """The twins beside their originals."""

    def __init__(self, bed: peers.Bed, domain: np.ndarray) -> None:
        names = bed.rows["instance_id"].to_list()
        place = {name: at for at, name in enumerate(names)}
        self.twin = np.flatnonzero(bed.is_twin)
        self.original = np.array([place[names[at].removeprefix("twin of ")] for at in self.twin])
        self.kind = kinds_of(bed, N_TWINS)[self.twin]
        self.length = bed.rows["response"].str.len_chars().to_numpy().astype(np.int64)
        self.domain = domain[self.original]

    def overall(self, q: np.ndarray) -> float:
        return auc(q[self.original], q[self.twin])

    def of_kind(self, q: np.ndarray, kind: str) -> float:
        some = self.kind == kind
        return auc(q[self.original[some]], q[self.twin[some]])

    def within(self, q: np.ndarray) -> float:
        """Mean over domains, weighted by their twins."""
        names, counts = np.unique(self.domain, return_counts=True)
        large = names[counts >= 10]
        values = [auc(q[self.original[self.domain == d]], q[self.twin[self.domain == d]]) for d in large]
        return float(np.average(values, weights=counts[counts >= 10]))

    def at_length(self, q: np.ndarray) -> float:
        """Mean over classes of length, by the twins in them."""
        both = np.concatenate([self.length[self.original], self.length[self.twin]])
        edges = np.quantile(both, np.linspace(0, 1, LENGTHS + 1)[1:-1])
        of_original, of_twin = (np.digitize(self.length[some], edges) for some in (self.original, self.twin))
        values, counts = [], []
        for one in range(LENGTHS):
            values.append(auc(q[self.original[of_original == one]], q[self.twin[of_twin == one]]))
            counts.append(int((of_twin == one).sum()))
        known = ~np.isnan(values)
        return float(np.average(np.array(values)[known], weights=np.array(counts)[known]))


def domains(bed: peers.Bed, data: Path) -> np.ndarray:
    """The hidden domain of each row, empty for a twin."""
    labels = pl.read_csv(data / "pool_mixed.labels.csv.gz", infer_schema=False).select("id", "domain")
    found = bed.rows.join(labels, on="id", how="left", maintain_order="left")["domain"]
    return found.fill_null("").to_numpy()


def selected(quality: np.ndarray, rounds: list[peers.Round]) -> dict[str, list[float]]:
    """What selections by information gain alone come to under a score."""
    found: dict[str, list[float]] = {"twins": [], "sub-domains": [], "even": []}
    for one in rounds:
        own = one.pool.quality
        one.pool = replace(one.pool, quality=quality[one.rows])
        figures = one.figures(one.ours("ours", alignment=0.0), 0.0)
        one.pool = replace(one.pool, quality=own)
        for name, values in found.items():
            values.append(figures[name])
    return found


def domain_of_row(bed: peers.Bed, domain: np.ndarray) -> np.ndarray:
    """The hidden domain of each row; a twin is of its original's."""
    ids = bed.rows["instance_id"].to_list()
    own = dict(zip(ids, domain.tolist(), strict=True))
    return np.array([own[name.removeprefix("twin of ")] for name in ids])


def mixture(q: np.ndarray, of_row: np.ndarray, part: float) -> float:
    """KL of the domains of the highest scores to those of all rows."""
    top = np.argsort(-q, kind="stable")[: round(part * len(q))]
    names, counts = np.unique(of_row, return_counts=True)
    share = np.array([(of_row[top] == name).mean() for name in names])
    return kl(share, counts / counts.sum())


def stand_in(bed: peers.Bed, domain: np.ndarray) -> pl.DataFrame:
    """Ratings of a judge of a stated accuracy that leans by domain; a twin is of its original's domain."""
    random = np.random.default_rng(7)
    ids = bed.rows["instance_id"]
    of = domain_of_row(bed, domain).tolist()
    leaning = {name: random.normal(0, 0.1) for name in sorted(set(of))}
    noise = random.normal(0, 0.15, len(ids))
    rating = 0.75 - 0.25 * bed.is_twin + np.array([leaning[name] for name in of]) + noise
    return pl.DataFrame({"instance_id": ids, "rating": np.clip(rating, 0.0, 1.0)})


def ablate(bed: peers.Bed, domain: np.ndarray) -> dict[str, Table]:
    tree, leaves = bed.trees["ours"]
    grounding = sparse.csr_array(bed.weights @ leaves)
    signals = bed.rows.select("instance_id", *SIGNALS)
    twins = Twins(bed, domain)
    rounds = [peers.Round.drawn(bed, seed) for seed in range(SEEDS)]
    ablation, by_kind, length, judged = [], [], [], []
    ratings = stand_in(bed, domain)
    originals = ~bed.is_twin
    for name, config in variants().items():
        scores = score(grounding, tree, signals, config=config)
        q = scores["quality"].to_numpy()
        picked = {key: interval(values) for key, values in selected(q, rounds).items()}
        ablation.append([name, twins.overall(q), twins.within(q), twins.at_length(q), *picked.values()])
        by_kind.append([name, *(twins.of_kind(q, kind) for kind in KINDS)])
        if name == "the score":
            terms = ("quality", "soundness", "richness", "information_content", "concepts", "spread")
            length = [
                _length(term, scores[term].to_numpy(), twins, domain, originals)
                for term in (*terms, "peer_standing")
            ]
    for name in ("the score", "without standing", "without richness", "without any tree term"):
        config = variants()[name]
        q = score(grounding, tree, signals, judgements=ratings, config=config)["quality"].to_numpy()
        judged.append([name, twins.overall(q), twins.within(q), twins.at_length(q)])
    mixtures = []
    of_row = domain_of_row(bed, domain)
    for name in (*PAIRED, "without any tree term"):
        both = [None, ratings]
        scored = [score(grounding, tree, signals, judgements=j, config=variants()[name]) for j in both]
        qualities = [one["quality"].to_numpy() for one in scored]
        mixtures.append([name, *(mixture(q, of_row, part) for q in qualities for part in (0.05, 0.25))])
    rating = ratings["rating"].to_numpy()
    judged.append(["its rating alone", twins.overall(rating), twins.within(rating), twins.at_length(rating)])
    q_of = {name: score(grounding, tree, signals, config=variants()[name])["quality"] for name in PAIRED}
    further = [peers.Round.drawn(bed, seed) for seed in range(SEEDS, 3 * SEEDS)]
    pairs = paired({name: q.to_numpy() for name, q in q_of.items()}, twins, further)
    some = {"": None, "AUC": 3, "within a domain": 3, "at equal length": 3}
    return {
        "ablation": Table({**some, "twins picked": 4, "sub-domains": 0, "even": 1}, ablation),
        "paired": pairs,
        "mixture": Table({"": None, **dict.fromkeys(MIXTURES, 3)}, mixtures),
        "judged": Table(some, judged),
        "kinds": Table({"": None, **dict.fromkeys(KINDS, 3)}, by_kind),
        "length": Table(
            {"": None, "over all": 2, "within a domain": 2, "AUC": 3, "at equal length": 3}, length
        ),
    }


def paired(qualities: dict[str, np.ndarray], twins: Twins, rounds: list[peers.Round]) -> Table:
    """What the score does beside the score without a term: AUC twin by twin, the selection draw by draw."""
    found = {name: [] for name in qualities}
    random = np.random.default_rng(1)
    of_draws = {name: [] for name in qualities}
    for _ in range(DRAWS):
        some = random.integers(len(twins.twin), size=len(twins.twin))
        for name, q in qualities.items():
            of_draws[name].append(auc(q[twins.original[some]], q[twins.twin[some]]))
    full_auc, *other_aucs = (np.array(values) for values in of_draws.values())
    half = [float(np.diff(np.quantile(full_auc - one, [0.025, 0.975]))[0]) / 2 for one in other_aucs]
    of_all, *others_of_all = (twins.overall(q) for q in qualities.values())
    aucs = [[of_all - one, width] for one, width in zip(others_of_all, half, strict=True)]
    for one in rounds:
        for name, quality in qualities.items():
            found[name].append([values[0] for values in selected(quality, [one]).values()])
    full, *others = (np.array(found[name]) for name in qualities)
    rows = [
        [name, of_auc, *(interval(column) for column in (full - other).T)]
        for name, of_auc, other in zip(list(qualities)[1:], aucs, others, strict=True)
    ]
    columns = {"the score minus the score": None, "AUC": 4, "twins picked": 4, "sub-domains": 1, "even": 1}
    return Table(columns, rows)


def _length(name: str, values: np.ndarray, twins: Twins, domain: np.ndarray, rows: np.ndarray) -> list:
    inside, weights = [], []
    for one in np.unique(domain[rows]):
        of_domain = rows & (domain == one)
        if of_domain.sum() >= 50:
            inside.append(spearmanr(values[of_domain], twins.length[of_domain]).statistic)
            weights.append(of_domain.sum())
    over_all = spearmanr(values[rows], twins.length[rows]).statistic
    within = float(np.average(inside, weights=weights))
    return [name, float(over_all), within, twins.overall(values), twins.at_length(values)]


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--bed", type=Path, help="where the bed of peers.py is kept")
    given = parser.parse_args()
    for needed in (given.home / "warehouse.duckdb", given.data / "pool_mixed.jsonl.gz"):
        if not needed.is_file():
            sys.exit(f"{needed} is not there. See the head of {Path(__file__).name}.")
    bed = peers.kept_bed(given.bed, given.home, given.data, N_TWINS)
    tables = ablate(bed, domains(bed, given.data))
    save("score_ablation", tables, figures={"twins": N_TWINS, "seeds": SEEDS})


if __name__ == "__main__":
    main()
