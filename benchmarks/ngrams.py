"""An n-gram language model: interpolated Kneser-Ney, trained in a second."""

from __future__ import annotations

import numpy as np

ORDER = 4


class NGrams:
    """Probabilities of the next token after the three before it.

    Chen and Goodman (1999), interpolated Kneser-Ney with one discount an order: the highest order counts
    occurrences, the lower ones count distinct left neighbours, the lowest is mixed with the uniform.

    Parameters
    ----------
    rows
        Token ids of each row; a row begins after ``ORDER - 1`` tokens of its own.
    n_tokens
        Size of the vocabulary; ids are below it.
    """

    def __init__(self, rows, n_tokens):
        self.n_tokens = n_tokens + 1  # and the beginning of a row
        grams = np.concatenate([self._windows(row) for row in rows])
        self.levels = []
        for order in range(ORDER, 0, -1):
            keys = self._keys(grams[:, ORDER - order :])
            if order < ORDER:
                # one for each distinct token that stands before it
                keys = self._keys(np.unique(grams[:, ORDER - order - 1 :], axis=0)[:, 1:])
            found, counts = np.unique(keys, return_counts=True)
            once, twice = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
            discount = once / (once + 2 * twice) if once else 0.5
            contexts, at = np.unique(found // self.n_tokens, return_inverse=True)
            self.levels.append(
                (
                    discount,
                    found,
                    counts,
                    contexts,
                    np.bincount(at, weights=counts),
                    np.bincount(at),
                )
            )

    def _windows(self, row):
        padded = np.concatenate([np.full(ORDER - 1, self.n_tokens - 1), row])
        return np.lib.stride_tricks.sliding_window_view(padded, ORDER)

    def _keys(self, grams):
        return grams @ self.n_tokens ** np.arange(grams.shape[1] - 1, -1, -1, dtype=np.int64)

    def losses(self, row):
        """-log P of each token of a row, in nats, (n_tokens_of_row,)."""
        grams = self._windows(row).astype(np.int64)
        probability = np.full(len(grams), 1 / self.n_tokens)
        for order, (discount, found, counts, contexts, total, kinds) in zip(
            range(1, ORDER + 1), self.levels[::-1], strict=True
        ):
            keys = self._keys(grams[:, ORDER - order :])
            seen, at = _held(contexts, keys // self.n_tokens)
            has, place = _held(found, keys)
            own = np.where(has, counts[place] - discount, 0.0)
            mixed = (own + discount * kinds[at] * probability) / total[at]
            probability = np.where(seen, mixed, probability)
        return -np.log(probability)


def _held(sorted_keys, keys):
    at = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return sorted_keys[at] == keys, at
