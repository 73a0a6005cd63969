"""What the language model would be asked, and what that would cost, before the first call."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import polars as pl

from tags_assets.assets.examples import read_examples
from tags_assets.assets.given_vectors import OURS
from tags_assets.assets.participating import participating_rows, participating_texts
from tags_assets.assets.previews import as_metadata, table
from tags_assets.errors import UserError
from tags_assets.llm.client import CostEstimate
from tags_assets.llm.refiner import RefinementEstimate
from tags_assets.llm.sampling import estimate_sample
from tags_assets.method.concepts.student import N_TEACHER
from tags_assets.method.text.embedding import row_texts
from tags_assets.method.tree.builder import build_tree
from tags_assets.resources.knowledge import lexicon_of
from tags_assets.resources.run import Run, RunResource
from tags_assets.store.upstream import Inputs

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class JobEstimate:
    """What one job of the language model would take.

    Attributes
    ----------
    job
        ``tagging``, ``judging``, ``naming`` or ``embedding``.
    model
        The model that would be called.
    estimate
        None where it cannot be estimated yet.
    remark
        What the estimate leaves out, or how to get one.
    """

    job: str
    model: str
    estimate: CostEstimate | None
    remark: str = ""

    def __str__(self) -> str:
        details = "; ".join(str(part) for part in (self.estimate, self.remark) if part)
        return f"{self.job} with {self.model}: {details}"


def estimate_jobs(run: Run, target: str | None = None) -> list[JobEstimate]:
    """Estimate the calls that the settings of a run need for its rows, without calling a server.

    Parameters
    ----------
    run
        Its settings, and the rows it has read, else the current rows.
    target
        A target whose examples would also be tagged.

    Raises
    ------
    UserError
        If the pool has not been read yet, or address, key or model is missing.
    """
    settings = run.pool
    upstream = {
        asset: run.store.require(asset, run.record.version(asset, None))
        for asset in ("raw_instances", "filtered_rows")
    }
    inputs = Inputs(run.store, upstream, lambda _done, _total: None)
    jobs = []
    if settings.tagger == "llm":
        jobs.append(_tagging(inputs, run, target))
    if settings.judge == "llm":
        jobs.append(_judging(inputs, run))
    if settings.namer == "llm":
        jobs.append(_naming(inputs, run))
    if settings.embedder == "api":
        jobs.append(_embedding(inputs, run))
    return jobs


def _tagging(inputs: Inputs, run: Run, target: str | None) -> JobEstimate:
    settings = run.pool
    rows = participating_rows(inputs, ["content_hash", "messages", "given_tags"]).filter(
        pl.col("given_tags").list.drop_nulls().list.len().fill_null(0) == 0
    )
    with run.language_model("tag") as model:
        tagging = estimate_sample(
            model.tagger(),
            rows["content_hash"],
            rows["messages"],
            settings.tag_share,
            seed=settings.seed,
            retry_failed=run.retry_failed,
        )
        spec = None if target is None else run.record.target(target)
        if spec is not None and spec.target.examples is not None:
            tagging += model.tagger().estimate(read_examples(spec, run)["messages"])
    sample = f"{settings.tag_share:.3g} of the rows; the other rows take over their tags"
    remark = sample if settings.tag_share < 1 else ""
    return JobEstimate("tagging", model.client.settings.model, tagging, remark)


def _judging(inputs: Inputs, run: Run) -> JobEstimate:
    rows = participating_rows(inputs, ["messages"])
    with run.language_model("judge") as model:
        judging = model.judge().estimate(rows["messages"], retry_failed=run.retry_failed)
    remark = "upper bound: assumes that every row is rated perfect and audited"
    return JobEstimate("judging", model.client.settings.model, judging, remark)


def _naming(inputs: Inputs, run: Run) -> JobEstimate:
    """Build the tree with a refiner that only counts, if the tags are known."""
    store = inputs.store
    tags, vocabulary = store.current("atomic_tags"), store.current("tag_vocabulary")
    vectors = store.current("tag_embeddings")
    rows = inputs.versions["raw_instances"].data_version
    with run.language_model("refine") as model:
        name = model.client.settings.model
        known = tags is not None and tags.upstream.get("raw_instances") == rows
        if not known or vocabulary is None or vectors is None:
            return JobEstimate("naming", name, None, "cannot be estimated before the rows are tagged")
        ids, matrix = store.read_vectors("tag_embeddings", id_column="tag", data_version=vectors.data_version)
        counts = store.read_version(vocabulary, columns=["tag", "count"])
        counts = pl.DataFrame({"tag": ids}).join(counts, on="tag", how="left", maintain_order="left")
        counting = RefinementEstimate(model.client, retry_failed=run.retry_failed)
        build_tree(ids.to_list(), counts["count"].to_numpy(), matrix, refiner=counting)
    remark = "approximate, based on the current tags: the questions on each level depend on earlier answers"
    if counting.estimate is None:
        remark = "no calls: there are too few tags"
    return JobEstimate("naming", name, counting.estimate, remark)


def _embedding(inputs: Inputs, run: Run) -> JobEstimate:
    texts: list[str] = []
    for batch in () if OURS in run.pool.columns else participating_texts(inputs):
        texts += row_texts(batch["prompt"], batch["response"])
    if len(texts) > N_TEACHER:
        order = np.random.default_rng(run.pool.seed).permutation(len(texts))
        texts = [texts[i] for i in order[:N_TEACHER]]
    texts += lexicon_of(run.pool).concepts
    with run.language_model("embed") as model:
        embedding = model.embedder().estimate(texts)
    remark = "does not include tags and, for large pools, single words"
    return JobEstimate("embedding", model.client.settings.model, embedding, remark)


def total_cost(jobs: "Sequence[JobEstimate]") -> str | None:
    """Add up the cost of the jobs, if all costs are known and in one currency."""
    estimates = [job.estimate for job in jobs if job.estimate is not None]
    currencies = {estimate.currency for estimate in estimates}
    if not jobs or len(estimates) < len(jobs) or len(currencies) != 1 or None in currencies:
        return None
    return f"{sum(estimate.cost or 0.0 for estimate in estimates):,.2f} {currencies.pop()}"


@dg.op(description="Estimates the tokens and the cost of tagger, judge, namer and embedder.")
def estimate_language_model(context: dg.OpExecutionContext, run: RunResource) -> dg.Output[int]:
    """Show the estimate of each job as metadata."""
    try:
        jobs = estimate_jobs(run)
        cap = run.pool.llm.spending_cap
    except UserError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    for job in jobs:
        context.log.info(str(job))
    facts = [
        {
            "job": job.job,
            "model": job.model,
            "to ask": job.estimate and job.estimate.to_ask,
            "settled": job.estimate and job.estimate.cached,
            "prompt tokens": job.estimate and job.estimate.prompt_tokens,
            "completion tokens": job.estimate and job.estimate.completion_tokens,
            "cost": job.estimate and job.estimate.cost,
            "remark": job.remark,
        }
        for job in jobs
    ]
    metadata: dict[str, Any] = {"jobs": as_metadata(table(pl.DataFrame(facts)))}
    metadata["cost"] = total_cost(jobs) or "unknown: a price is missing, or a job cannot be estimated yet"
    if cap is not None:
        metadata["spending_cap"] = cap
    return dg.Output(len(jobs), metadata=metadata)


@dg.job(
    description="Estimates the calls to the language model for the pool as last read, without making any."
)
def dry_run() -> None:
    """Estimate without a call."""
    estimate_language_model()
