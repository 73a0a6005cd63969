"""`filtered_rows`: instances that a rule of the user's took out."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.checks import FigureCheck, Judged, Verdict, share
from tags_assets.assets.declaration import Declaration, Table
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.errors import InvalidInputError
from tags_assets.formats.contamination import CONTAMINATION_VERSION, Benchmarks
from tags_assets.formats.conversation import texts
from tags_assets.formats.instance import CONDITION_COLUMNS
from tags_assets.formats.pii import PII_SCHEMA, PIIMarker
from tags_assets.formats.pool import expand_pool, fingerprint_files
from tags_assets.formats.pool_files import names_of
from tags_assets.resources.run import RunResource
from tags_assets.settings.home import PoolSettings
from tags_assets.store.conditions import evaluate_condition

SCHEMA = pl.Schema({"instance_id": pl.String(), "rule": pl.String(), "detail": pl.String()})

ATTACHMENTS, CONTAMINATION, PERSONAL_DATA = "attachments", "contamination", "personal_data"
"""Rules of ours; no filter of the user's may be called so."""

MOST_SOURCES = 1_000
BATCH_ROWS = 8_192


def _source_shares(judged: Judged) -> Verdict:
    now, before = _shares(judged.figures), _shares(judged.before or {})
    if not now or not before:
        return True, "no previous version to compare with"
    jumps = {name: now.get(name, 0.0) - before.get(name, 0.0) for name in {*now, *before}}
    name = min(jumps, key=lambda source: (-abs(jumps[source]), source))
    text = (
        f"the largest change is of {name!r}: {before.get(name, 0.0):.1%} to {now.get(name, 0.0):.1%} "
        f"of the rows (limit {judged.limits.source_jump:.0%})"
    )
    return abs(jumps[name]) <= judged.limits.source_jump, text


def _shares(figures: Mapping[str, Any]) -> dict[str, float]:
    rows = figures.get("rows_by_source") or {}
    total = sum(rows.values())
    return {name: count / total for name, count in rows.items()} if total else {}


DECLARATION = Declaration(
    "filtered_rows",
    group="knowledge",
    grain="One row per instance that a rule of yours took out, with the rule.",
    schema=SCHEMA,
    meanings={
        "rule": "Name of the rule that took the row out.",
        "detail": "What it found.",
    },
    tables={
        "pii": Table(
            "One row per kept instance, role and kind of personal data found in it.",
            PII_SCHEMA,
            {
                "role": "Who says it: `user`, `assistant` or `system`.",
                "kind": "Kind of personal data.",
                "count": "How often.",
            },
        ),
    },
    plotted={
        "rows_filtered": "rows taken out",
        "rows_with_pii": "rows with personal data",
    },
    checks=(
        FigureCheck(
            "few_filtered",
            "Your rules take few of the rows out (limit `filtered`).",
            share("rows_filtered", "rows", "filtered", "were taken out by rules"),
        ),
        FigureCheck(
            "sources_keep_their_shares",
            "No source's share of the rows has jumped since the version before (limit `source_jump`).",
            _source_shares,
        ),
    ),
)


@dg.asset(deps=["raw_instances"], code_version="3", **DECLARATION.options())
def filtered_rows(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """One row per instance that a filter, a benchmark or personal data took out, with the rule that did."""
    settings = run.pool

    def config(_partition: str) -> Mapping[str, Any]:
        files = expand_pool(settings.decontaminate) if settings.decontaminate else []
        hashes = fingerprint_files(files, run.home.cache)
        benchmarks = [[name, hashes[str(file)]] for name, file in zip(names_of(files), files, strict=True)]
        marker = PIIMarker(settings.pii_kinds, settings.pii_region)
        return {
            "attachments": settings.attachments,
            "filters": settings.filters,
            "benchmarks": [CONTAMINATION_VERSION, settings.contamination_words, benchmarks] if files else [],
            "pii": [settings.pii, marker.fingerprint] if settings.pii != "off" else [],
        }

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        rules = _Rules(settings)
        removed: list[pl.DataFrame] = [pl.DataFrame(schema=SCHEMA)]
        marked: list[pl.DataFrame] = [pl.DataFrame(schema=PII_SCHEMA)]
        rows, sources = 0, Counter[str]()
        total = inputs.versions["raw_instances"].rows
        for batch in _kept(inputs, with_texts=rules.read_texts):
            pii = rules.personal_data(batch)
            marked.append(pii)
            removed += [found.select(SCHEMA.names()) for found in rules.take_out(batch, pii)]
            rows += len(batch)
            sources.update(dict(batch["source"].value_counts().iter_rows()))
            inputs.progress(min(rows, total), total)
        # Only the first rule that removes a row is stored.
        taken = pl.concat(removed).unique("instance_id", keep="first", maintain_order=True)
        personal = pl.concat(marked)
        counts = taken.group_by("rule").len("rows").sort("rule")
        kinds = personal.group_by("kind").agg(pl.col("instance_id").n_unique().alias("rows")).sort("kind")
        return Artifact(
            {"data": taken, "pii": personal},
            {
                "rows": rows,
                "rows_filtered": len(taken),
                "by_rule": dict(counts.iter_rows()),
                "rows_with_pii": personal["instance_id"].n_unique(),
                "pii_by_kind": dict(kinds.iter_rows()),
                "rows_by_source": dict(sorted(sources.most_common(MOST_SOURCES))),
            },
            pages.filtered_rows(inputs, taken, rules.of(taken), kinds, rows=rows),
        )

    return materialize(context, run, compute, config=config)


class _Rules:
    """The rules of a pool, in the order in which they apply: filters, benchmarks, personal data."""

    def __init__(self, settings: PoolSettings) -> None:
        self.filters = settings.filters
        for name in (ATTACHMENTS, CONTAMINATION, PERSONAL_DATA):
            if name in self.filters:
                raise InvalidInputError(
                    f"a filter cannot be called {name!r}: that is a rule of ours",
                    where=f"filter {name!r}",
                    fix="Give it another name.",
                )
        files = expand_pool(settings.decontaminate) if settings.decontaminate else []
        self.benchmarks = Benchmarks.read(files, settings.contamination_words) if files else None
        self.marker = PIIMarker(settings.pii_kinds, settings.pii_region) if settings.pii != "off" else None
        self.take_personal = settings.pii == "filter"
        self.take_attachments = settings.attachments == "filter"
        self.said = dict(self.filters)
        """What each rule says, for people."""
        if self.benchmarks is not None:
            names = ", ".join(file.name for file in files)
            self.said[CONTAMINATION] = f"{self.benchmarks.n} words in a row, or nearly a text, of {names}"
        if self.marker is not None and self.take_personal:
            self.said[PERSONAL_DATA] = "holds " + ", ".join(self.marker.kinds)
        self.read_texts = bool(self.filters or self.benchmarks or self.marker)

    def of(self, taken: pl.DataFrame) -> dict[str, str]:
        """Say the rules that are set, and that of attachments where it took rows out."""
        attached = (
            "the row has a picture, film, sound or file, which is not opened; --attachments keep keeps it"
        )
        return ({ATTACHMENTS: attached} if (taken["rule"] == ATTACHMENTS).any() else {}) | self.said

    def personal_data(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Mark what personal data the rows hold."""
        if self.marker is None:
            return pl.DataFrame(schema=PII_SCHEMA)
        return next(self.marker.mark([batch]))

    def take_out(self, batch: pl.DataFrame, pii: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Yield the rows that each rule takes out."""
        if self.take_attachments:
            yield batch.filter(pl.col("attachments") > 0).select(
                "instance_id",
                pl.lit(ATTACHMENTS).alias("rule"),
                pl.format("{} of them", "attachments").alias("detail"),
            )
        if self.filters:
            rows = _for_conditions(batch, pii)
            for rule, condition in self.filters.items():
                hit = evaluate_condition(rows, condition, where=f"filter {rule!r}")
                yield rows.filter(hit).select(
                    "instance_id", pl.lit(rule).alias("rule"), pl.lit(condition).alias("detail")
                )
        if self.benchmarks is not None:
            yield self.benchmarks.hits(batch).select(
                "instance_id", pl.lit(CONTAMINATION).alias("rule"), "detail"
            )
        if self.take_personal:
            kinds = pl.col("kind").unique().sort().str.join(", ").alias("detail")
            yield (
                pii.group_by("instance_id", maintain_order=True)
                .agg(kinds)
                .with_columns(rule=pl.lit(PERSONAL_DATA))
            )


def _kept(inputs: Inputs, *, with_texts: bool) -> Iterator[pl.DataFrame]:
    """Rows that are not duplicates, batch by batch."""
    columns = [*CONDITION_COLUMNS, "duplicate_of", *(["messages"] if with_texts else [])]
    version = inputs.versions["raw_instances"]
    for batch in inputs.store.read_batches(version, columns=columns, rows=BATCH_ROWS):
        yield batch.filter(pl.col("duplicate_of").is_null()).drop("duplicate_of")


def _for_conditions(batch: pl.DataFrame, pii: pl.DataFrame) -> pl.DataFrame:
    """Lay out what a condition may see: the normal form, the texts, and the kinds of personal data."""
    kinds = pii.group_by("instance_id").agg(pl.col("kind").unique().sort().alias("pii"))
    rows = pl.concat([batch.drop("messages"), texts(batch).select("prompt", "response")], how="horizontal")
    return rows.join(kinds, on="instance_id", how="left", maintain_order="left").with_columns(
        pl.col("pii").fill_null([])
    )
