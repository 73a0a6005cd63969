from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.errors import UserError
from tags_assets.formats.readers import streams
from tags_assets.formats.readers.record import Position

DATA = b'{"a": 1}\n' * 5000


def zipped(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def wide_window(content):
    window = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=window).compressobj()
    return compressor.compress(content) + compressor.flush()


@given(st.lists(st.binary(max_size=9), max_size=8))
def test_lines_do_not_depend_on_the_blocks(chunks):
    whole = b"".join(chunks).split(b"\n")
    if not whole[-1]:
        whole.pop()
    assert list(streams.lines(iter(chunks))) == [(n, line, True) for n, line in enumerate(whole, start=1)]


def test_a_line_that_is_too_long_is_cut_and_the_next_is_whole(monkeypatch):
    monkeypatch.setattr(streams, "MAX_ROW_BYTES", 10)
    monkeypatch.setattr(streams, "KEPT_OF_A_LONG_ROW", 4)
    chunks = [b"one\n" + b"x" * 8, b"x" * 8, b"x\ntwo\n", b"y" * 30]
    assert list(streams.lines(iter(chunks))) == [
        (1, b"one", True),
        (2, b"xxxx", False),
        (3, b"two", True),
        (4, b"yyyy", False),
    ]


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("gzip", gzip.compress(DATA)),
        ("gzip", gzip.compress(DATA[:9000]) + gzip.compress(DATA[9000:])),
        ("zstd", zstandard.compress(DATA)),
        ("zstd", zstandard.compress(DATA[:9000]) + zstandard.compress(DATA[9000:])),
        (None, DATA),
    ],
)
def test_compression_is_told_by_content(tmp_path, name, packed):
    path = tmp_path / "rows.whatever"
    path.write_bytes(packed)
    assert streams.compression_of(path) == name
    position = Position()
    assert b"".join(streams.blocks(path, name, position)) == DATA
    assert position.done == len(packed)


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("xz", lzma.compress(DATA)),
        ("lz4", pa.Codec("lz4").compress(DATA, asbytes=True)),
        ("zip", zipped({"rows.jsonl": DATA})),
        ("gzip", gzip.compress(DATA) + bytes(4096)),
        ("zstd", b"\x5a\x2a\x4d\x18\x03\x00\x00\x00xyz" + zstandard.compress(DATA)),
        ("zstd", zstandard.compress(DATA) + b"\x50\x2a\x4d\x18\x00\x00\x00\x00"),
    ],
)
def test_unusual_compression_is_read(tmp_path, name, packed):
    path = tmp_path / "rows"
    path.write_bytes(packed)
    assert streams.compression_of(path) == name
    assert b"".join(streams.blocks(path, name)) == DATA


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (zipped({"a.jsonl": DATA, "b.jsonl": DATA}), "a ZIP archive of 2 files"),
        (zipped({"[Content_Types].xml": b"", "xl/a.xml": b""}), "an Office document"),
        (lzma.compress(DATA)[:-20], "xz stream is damaged or cut short"),
        (gzip.compress(DATA)[:-9], "gzip stream is damaged or cut short"),
        (zipped({"a.jsonl": DATA})[:-30], "zip stream is damaged or cut short"),
        (
            zipped({"a.jsonl": DATA}).replace(b"a.jsonlPK", b"\0.jsonlPK"),
            "zip stream is damaged or cut short",
        ),
        (wide_window(DATA), "window of 256 MiB"),
    ],
)
def test_what_cannot_be_unpacked_says_why(tmp_path, packed, says):
    path = tmp_path / "rows"
    path.write_bytes(packed)
    with pytest.raises(UserError, match=says):
        list(streams.blocks(path, streams.compression_of(path)))


def test_line_ends_of_old_macs_are_line_ends():
    assert list(streams.lines(streams.with_line_ends(iter([b"a\rb", b"\rc"])))) == [
        (1, b"a", True),
        (2, b"b", True),
        (3, b"c", True),
    ]
    assert list(streams.with_line_ends(iter([b"a\r\nb", b"\rc"]))) == [b"a\r\nb", b"\rc"]


def damaged(packed):
    changed = bytearray(packed)
    changed[len(packed) // 2] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(DATA)[:40],
        gzip.compress(DATA)[:-3],
        damaged(gzip.compress(DATA)),
        gzip.compress(DATA) + b"and more",
        zstandard.compress(DATA)[:20],
        zstandard.compress(DATA)[:-1],
        damaged(zstandard.ZstdCompressor(write_checksum=True).compress(DATA)),
    ],
)
def test_a_stream_that_is_cut_short_or_damaged_is_an_error_of_one_line(tmp_path, content):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"damaged or cut short\. Fetch the file again"):
        list(streams.blocks(path, streams.compression_of(path)))


def test_a_missing_file_is_an_error_of_one_line(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        streams.compression_of(tmp_path / "none.jsonl")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bz2.compress])
def test_a_bomb_is_stopped_before_it_is_unpacked(tmp_path, pack):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(pack(b"\n" * 80_000_000))
    with pytest.raises(
        UserError, match=r"rows.jsonl.gz: unpacks to more than \d+ MiB, over 200 times its size"
    ):
        for _ in streams.blocks(path, streams.compression_of(path)):
            pass


def test_what_shrinks_as_data_does_is_no_bomb(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(DATA))
    assert sum(map(len, streams.blocks(path, "gzip"))) == len(DATA)
