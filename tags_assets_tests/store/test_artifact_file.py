from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from tags_assets.errors import UserError


def test_every_type_that_the_tables_use_comes_back_as_it_went_in(store):
    frame = pl.DataFrame(
        {
            "text": ["a\0b", "\U0001f600e\u0301\u202e", "", None, "\ufffe\uffff \x01\x7f\u2028"],
            "raw": [b"\0\xff\xfe", b"", None, "ü".encode(), bytes(range(256))],
            "messages": [
                [{"role": "user", "content": "hi\0"}, {"role": "assistant", "content": None}],
                [],
                None,
                [{"role": None, "content": ""}, None],
                [{"role": "tool", "content": "x" * 100_000}],
            ],
            "vector": [[1.5, -0.0], [], None, [1e-45], [3.4e38]],
            "aliases": [["a", None], [], None, ["ü"], ["\0"]],
            "flag": [True, False, None, True, False],
            "day": [dt.date(1, 1, 1), dt.date(9999, 12, 31), None, dt.date(2026, 1, 2), dt.date(1970, 1, 1)],
            "price": [Decimal("1.23"), Decimal("-0.01"), None, Decimal(0), Decimal("99999999.99")],
            "mass": [5e-324, 1.7976931348623157e308, None, -0.0, 0.1],
        },
        schema_overrides={"vector": pl.List(pl.Float32), "price": pl.Decimal(10, 2)},
    ).with_columns(
        *(
            pl.Series(str(kind), [0, 1, None, 2, 3], dtype=kind)
            for kind in (pl.Int8, pl.UInt32, pl.Int64, pl.UInt64)
        ),
        pl.Series("at", [0, 1, None, 2, 3]).cast(pl.Datetime("us", "UTC")),
        pl.Series("local", [0, 1, None, 2, 3]).cast(pl.Datetime("ns")),
        pl.Series("fixed", [[1.0, 2.0]] * 5, dtype=pl.Array(pl.Float32, 2)),
    )
    store.write("a", "v", frame)
    back = store.read("a")
    assert back.schema == frame.schema
    assert back.equals(frame)


def test_nan_and_infinity_come_back(store):
    store.write("a", "v", pl.DataFrame({"x": [float("nan"), float("inf"), -float("inf"), None]}))
    assert str(store.read("a")["x"].to_list()) == "[nan, inf, -inf, None]"


def test_columns_without_a_type_of_their_own_come_back_as_text(store):
    frame = pl.DataFrame(
        {"nothing": [None, None], "kind": ["a", "b"], "level": ["x", "y"]},
        schema_overrides={"kind": pl.Categorical, "level": pl.Enum(["x", "y"])},
    )
    store.write("a", "v", frame)
    assert store.read("a").equals(frame.cast(pl.String))


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (pl.DataFrame({"x": [dt.timedelta(1)]}), TypeError),
        (pl.DataFrame({"x": [[{"y": dt.timedelta(1)}]]}), TypeError),
        (pl.DataFrame({"x": [object()]}), TypeError),
        (pl.DataFrame({"x": pl.Series([1], dtype=pl.Int128)}), TypeError),
        (pl.DataFrame({"a": [1], "A": [2]}), ValueError),
        (pl.DataFrame({"rowid": [1]}), ValueError),
        (pl.DataFrame(), ValueError),
        ([], ValueError),
        ([pl.DataFrame({"x": [1]}), pl.DataFrame({"x": ["1"]})], ValueError),
        ([pl.DataFrame({"x": [1]}), pl.DataFrame({"y": [1]})], ValueError),
    ],
)
def test_what_would_not_come_back_is_refused_and_leaves_nothing(store, frame, error):
    with pytest.raises(error, match=r"data|columns"):
        store.write("a", "v", frame)
    assert store.find("a", "v") is None
    assert list(store.layout.scratch.iterdir()) == []


def test_odd_column_names_come_back(store):
    frame = pl.DataFrame({'a"b': [1], "sel ect": [2], "from": [3], "ünï": [4], "t": [5], "filename": [6]})
    store.write("a", "v", frame)
    assert store.read("a").equals(frame)
    assert store.read("a", columns=["from", 'a"b']).equals(frame.select("from", 'a"b'))


@pytest.mark.parametrize("kind", ["frame", "lazy", "pieces"])
def test_a_long_table_keeps_its_order_however_it_is_given(store, kind):
    # Longer than DuckDB's row groups (122,880), which several threads might hand out in any order.
    frame = pl.DataFrame({"i": np.arange(400_000), "text": [f"row {i % 977}" for i in range(400_000)]})
    given = {"frame": frame, "lazy": frame.lazy(), "pieces": (piece for piece in frame.iter_slices(33_333))}[
        kind
    ]
    version = store.write("a", "v", given)
    assert version.rows == 400_000
    assert store.read("a").equals(frame)
    assert pl.concat(store.read_batches(version, rows=50_000)).equals(frame)


def test_the_checksum_is_of_values_and_their_order(store, rows):
    of = lambda name, frame: store.write("a", name, frame).tables["data"].checksum  # noqa: E731
    assert of("v1", rows) == of("v2", [rows.head(1), rows.tail(2)])
    assert (
        len(
            {
                of("v3", rows),
                of("v4", rows.reverse()),
                of("v5", rows.head(2)),
                of("v6", rows.with_columns(rank=0)),
            }
        )
        == 4
    )


def test_an_empty_table_keeps_its_columns(store):
    schema = pl.Schema({"instance_id": pl.String, "messages": pl.List(pl.Struct({"role": pl.String}))})
    for name, given in {"v1": pl.DataFrame(schema=schema), "v2": pl.LazyFrame(schema=schema)}.items():
        assert store.write("a", name, given).rows == 0
        assert store.read("a").schema == schema


def test_vectors_come_back_as_one_matrix_in_order(store):
    matrix = np.random.default_rng(0).normal(size=(40_000, 8)).astype(np.float32)
    ids = [f"{i:05x}" for i in range(len(matrix))]
    for name, dtype in {"v1": pl.List(pl.Float32), "v2": pl.Array(pl.Float32, 8)}.items():
        store.write("e", name, pl.DataFrame({"instance_id": ids, "vector": matrix}).cast({"vector": dtype}))
        vectors = store.read_vectors("e")
        assert vectors.ids.to_list() == ids
        assert vectors.matrix.dtype == np.float32
        assert vectors.matrix.flags.c_contiguous
        np.testing.assert_array_equal(vectors.matrix, matrix)


@pytest.mark.parametrize("second", [[1.0], [], None, [1.0, None]])
def test_vectors_that_make_no_matrix_are_an_error(store, second):
    frame = pl.DataFrame({"instance_id": ["a", "b"], "vector": [[1.0, 2.0], second]})
    store.write("e", "v", frame.cast({"vector": pl.List(pl.Float32)}))
    with pytest.raises(ValueError, match="not all of length 2"):
        store.read_vectors("e")


def test_no_vectors_are_a_matrix_without_rows(store):
    schema = pl.Schema({"instance_id": pl.String, "vector": pl.List(pl.Float32)})
    store.write("e", "v", pl.DataFrame(schema=schema))
    assert store.read_vectors("e").matrix.shape[0] == 0


def test_unknown_tables_and_columns_are_named_with_the_nearest(store, rows):
    store.write("knowledge_tree", "v", {"data": rows, "tags": rows})
    with pytest.raises(UserError, match=r"no table of knowledge_tree v named 'tagz'. Did you mean 'tags'"):
        store.read("knowledge_tree", "tagz")
    with pytest.raises(UserError, match=r"named 'instance'. Did you mean 'instance_id'"):
        store.read("knowledge_tree", columns=["instance"])
