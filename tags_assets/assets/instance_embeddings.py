"""`instance_embeddings`: where each row lies in the embedder's space."""

import dagster as dg
import numpy as np
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.declaration import Declaration, Table
from tags_assets.assets.embedding import embedder_config, spent
from tags_assets.assets.given_vectors import GIVEN, OURS, given_vectors
from tags_assets.assets.participating import participating_rows, participating_texts
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.errors import UserError
from tags_assets.method.concepts.student import (
    FIT_SCHEMA,
    N_TEACHER,
    WORD_SCHEMA,
    RowEmbeddings,
    Student,
    embed_more,
    embed_rows,
)
from tags_assets.method.text.embedding import Embed, row_texts
from tags_assets.resources.embedder import ROW_TOKENS
from tags_assets.resources.run import RunResource
from tags_assets.store.fingerprint import canonical
from tags_assets.store.upstream import GROWN_FROM

SCHEMA = pl.Schema(
    {
        "instance_id": pl.String(),
        "vector": pl.List(pl.Float32()),
        "is_teacher": pl.Boolean(),
        "content_hash": pl.String(),
    }
)

OUTGROWN = 2.0
"""A pool of so many times the rows that the student was fitted among has the student fitted anew."""


DECLARATION = Declaration(
    "instance_embeddings",
    group="knowledge",
    grain="One row per kept instance: its vector (unit norm; 384 dimensions with MiniLM).",
    schema=SCHEMA,
    meanings={
        "is_teacher": "Whether the model itself made the vector; the others are the student's or your own.",
        "content_hash": "Hash of the conversation that it belongs to.",
    },
    tables={
        "student_words": Table(
            "One row per word that the student knows.",
            WORD_SCHEMA,
            {
                "word": "Word that the student knows.",
                "share": "Share of the rows that hold it.",
                "weights": "What it adds to the student's dimensions.",
            },
        ),
        "student_fit": Table(
            "One row per dimension: the student of the embedder.",
            FIT_SCHEMA,
            {
                "mean": "Mean of the teacher's vectors in one dimension.",
                "weights": "Weights of that dimension.",
                "n_rows": "Rows that the student learnt from.",
                "likeness": "Mean cosine to the teacher on rows that were held out.",
            },
        ),
    },
    plotted={
        "cosine_to_teacher": "student's cosine to the model",
        "n_teacher": "rows read by the model",
        "n_student": "rows read by the student",
    },
)


@dg.asset(
    deps=["raw_instances", "filtered_rows"],
    code_version="4",
    **DECLARATION.options(),
)
def instance_embeddings(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Embed each row: by the embedder where rows are few, else by a student that stays as rows come.

    Vectors in a mapped column are used instead.
    """
    seed = run.pool.seed
    column = run.pool.columns.get(OURS)

    if column is not None:
        return materialize(
            context, run, lambda inputs, _: _given(inputs, column), config=lambda _: {"embedder": GIVEN}
        )

    def config(_partition: str) -> dict[str, object]:
        return {"embedder": embedder_config(run), "row_tokens": ROW_TOKENS, "seed": seed}

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        rows = pl.DataFrame(schema={"instance_id": pl.String(), "content_hash": pl.String()})
        texts: list[str] = []
        for batch in participating_texts(inputs, ["content_hash"]):
            rows = rows.vstack(batch.select(rows.columns))
            texts += row_texts(batch["prompt"], batch["response"])
        if not texts:
            raise _no_rows()
        with run.embedder(max_tokens=ROW_TOKENS) as embed:
            grown = _grown(inputs, rows, texts, embed, seed)
            embedded = grown or embed_rows(texts, embed, seed=seed, progress=inputs.progress)
        frame = rows.with_columns(
            pl.Series("vector", embedded.vectors, dtype=pl.Array(pl.Float32(), embedded.vectors.shape[1])),
            is_teacher=pl.Series(embedded.is_teacher),
        )
        words, fit = pl.DataFrame(schema=WORD_SCHEMA), pl.DataFrame(schema=FIT_SCHEMA)
        if embedded.student is not None:
            words, fit = embedded.student.to_frames()
        return Artifact(
            {"data": frame.select(SCHEMA.names()).cast(SCHEMA), "student_words": words, "student_fit": fit},
            {**embedded.figures, "student_fitted": int(grown is None), **spent(embed)},
            pages.instance_embeddings(embedded.figures),
        )

    def grows(inputs: Inputs, _partition: str) -> bool:
        base = inputs.base_of_same_code
        if base is None or not base.tables["student_fit"].rows:
            return False
        if canonical({**base.config, GROWN_FROM: None}) != canonical({**config(""), GROWN_FROM: None}):
            return False
        n_rows = len(participating_rows(inputs, ["instance_id"]))
        fitted_among = int(inputs.store.read_version(base, "student_fit", columns=["n_rows"])["n_rows"][0])
        return N_TEACHER < n_rows <= OUTGROWN * fitted_among

    return materialize(context, run, compute, config=config, grows=grows)


def _no_rows() -> UserError:
    return UserError(
        "your rules take every row out of the pool, and none is left to select from",
        fix="Loosen --filter, --pii or --decontaminate: filtered_rows names the rule for each row.",
    )


def _given(inputs: Inputs, column: str) -> Artifact:
    """Take the vectors that the rows bring."""
    rows = participating_rows(inputs, ["content_hash", "file", "line", "given_embedding"])
    if rows.is_empty():
        raise _no_rows()
    vectors = given_vectors(rows, column)
    frame = rows.select(
        "instance_id",
        pl.Series("vector", vectors, dtype=pl.Array(pl.Float32(), vectors.shape[1])),
        pl.lit(value=False).alias("is_teacher"),
        "content_hash",
    )
    figures = {"n_teacher": 0, "n_student": 0, "n_given": len(rows), "student_fitted": 0}
    return Artifact(
        {
            "data": frame.cast(SCHEMA),
            "student_words": pl.DataFrame(schema=WORD_SCHEMA),
            "student_fit": pl.DataFrame(schema=FIT_SCHEMA),
        },
        figures,
        pages.instance_embeddings(figures),
    )


def _grown(
    inputs: Inputs, rows: pl.DataFrame, texts: list[str], embed: Embed, seed: int
) -> RowEmbeddings | None:
    """Embed the rows that the version before lacks; None where there is none, or its student does badly."""
    base = inputs.base
    if base is None:
        return None
    read = inputs.store.read_version
    student = Student.from_frames(read(base, "student_words"), read(base, "student_fit"))
    if student is None:
        return None
    before = inputs.store.read_vectors(base.asset, id_column="content_hash", data_version=base.data_version)
    places = pl.DataFrame({"content_hash": before.ids}).with_columns(
        read(base, columns=["is_teacher"])["is_teacher"], at=pl.int_range(pl.len())
    )
    found = rows.join(
        places.unique("content_hash", keep="first", maintain_order=True),
        on="content_hash",
        how="left",
        maintain_order="left",
    )
    is_known = found["at"].is_not_null().to_numpy()
    return embed_more(
        texts,
        embed,
        student,
        known=before.matrix[found["at"].drop_nulls().to_numpy()],
        is_known=is_known,
        is_teacher=np.asarray(found["is_teacher"].fill_null(value=False)),
        seed=seed,
        progress=inputs.progress,
    )
