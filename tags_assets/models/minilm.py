"""MiniLM sentence vectors from an ONNX file that comes from the package index: no torch, no network."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tags_assets.errors import InvalidInputError
from tags_assets.models.packaged import MINILM, minilm_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

N_DIMS = 384
MAX_POSITIONS = 512
"""Positions that the model was trained with; no text can be longer."""

TOKENS_PER_BATCH = 1024
"""Tokens in one batch, so that a batch of long texts costs the same memory as one of short texts."""


def _usable_cores() -> int:
    """Cores that this process may use, where the system says; else all of them."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class MiniLM:
    """all-MiniLM-L6-v2 with int8 weights (sentence-transformers, Apache-2.0), mean pooled, unit norm.

    A text's vector depends on that text alone: batches hold texts of exactly one length, so there is no
    padding, and each batch runs on one thread. The same text therefore has the same vector, bit for bit,
    whatever stands beside it and however many threads there are, and vectors may be cached by content.

    Parameters
    ----------
    max_tokens
        Word pieces read of a text, the two markers at its ends included. Cost grows with it: 64 is about
        twice as fast as 128. Tags are far shorter than any sensible cap.
    n_threads
        Batches in flight; the number of usable cores unless said.

    Raises
    ------
    UserError
        If the model's package is not installed, or holds other bytes than the published ones.
    """

    def __init__(self, *, max_tokens: int = 64, n_threads: int | None = None) -> None:
        if not 3 <= max_tokens <= MAX_POSITIONS:
            raise InvalidInputError(f"max_tokens must be from 3 to {MAX_POSITIONS}, not {max_tokens}")
        self.max_tokens = max_tokens
        self.n_threads = n_threads or _usable_cores()
        self._model_path = MINILM.verified()
        self._tokenizer_path = minilm_tokenizer()

    @cached_property
    def fingerprint(self) -> str:
        """Names the vectors: equal fingerprints mean equal vectors. Goes into caches and versions."""
        digest = hashlib.sha256(self._model_path.read_bytes())
        digest.update(self._tokenizer_path.read_bytes())
        return f"minilm-int8-{digest.hexdigest()[:12]}-{self.max_tokens}"

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer  # noqa: PLC0415 (loaded where the model is used)

        tokenizer = Tokenizer.from_file(str(self._tokenizer_path))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        return tokenizer

    @cached_property
    def _session(self) -> InferenceSession:
        import onnxruntime  # noqa: PLC0415 (slow to import)

        options = onnxruntime.SessionOptions()
        # One thread a batch and no spinning: fastest on a shared machine, and the order of sums is fixed.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            str(self._model_path), options, providers=["CPUExecutionProvider"]
        )

    def embed(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed texts.

        Parameters
        ----------
        texts
            Any strings, the empty one included; equal texts are computed once.
        progress
            Called as ``(done, total)`` after each batch.

        Returns
        -------
        float32 (n_texts, 384), unit norm.
        """
        number: dict[str, int] = {}
        index = np.fromiter((number.setdefault(t, len(number)) for t in texts), np.int64, len(texts))
        vectors = np.empty((len(number), N_DIMS), dtype=np.float32)
        ids = self._token_ids(list(number))
        done = 0
        with ThreadPoolExecutor(self.n_threads) as pool:
            for batch, rows in pool.map(lambda b: (b, self._run(ids, b)), _batches(ids)):
                vectors[batch] = rows
                done += len(batch)
                if progress is not None:
                    progress(len(texts) * done // len(number), len(texts))
        return vectors if len(number) == len(texts) else vectors[index]

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Count the word pieces of each text up to the cap, markers included, int32 (n_texts,)."""
        return np.array([len(i) for i in self._token_ids(texts)], dtype=np.int32)

    def _token_ids(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        # A word piece is rarely under one character, so what lies far behind the cap need not be read:
        # a row of a megabyte costs no more than one of a kilobyte. Unpaired surrogates, which broken
        # JSON holds, cannot be encoded and become question marks.
        limit = 64 * self.max_tokens
        ids: list[NDArray[np.int64]] = []
        for start in range(0, len(texts), 4096):
            part = [t[:limit].encode("utf-8", "replace").decode() for t in texts[start : start + 4096]]
            ids += [np.array(e.ids, dtype=np.int64) for e in self._tokenizer.encode_batch(part)]
        return ids

    def _run(self, ids: list[NDArray[np.int64]], batch: NDArray[np.int64]) -> NDArray[np.float32]:
        tokens = np.stack([ids[i] for i in batch])
        feed = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.zeros_like(tokens),
        }
        hidden: NDArray[np.float32] = self._session.run(None, feed)[0]
        mean = hidden.mean(axis=1, dtype=np.float32)
        norm = np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        return np.asarray(mean / norm, dtype=np.float32)


def _batches(ids: list[NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of texts of one length, longest first, ``TOKENS_PER_BATCH`` tokens at a time."""
    lengths = np.array([len(i) for i in ids], dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    ends = np.flatnonzero(np.diff(lengths[order])) + 1
    for group in np.split(order, ends):
        size = max(1, TOKENS_PER_BATCH // int(lengths[group[0]])) if len(group) else 1
        for start in range(0, len(group), size):
            yield group[start : start + size]
