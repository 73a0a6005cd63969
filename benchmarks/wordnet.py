"""WordNet's nouns and their classes, from the files of Debian's `wordnet-base`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path("/usr/share/wordnet")
DEPTH = 5


@dataclass(frozen=True)
class Nouns:
    """Nouns, the most frequent first, and two classes of the first sense of each.

    Attributes
    ----------
    words
        (n,).
    lexicographer
        Which of WordNet's 26 noun files holds the sense, int (n,).
    hypernym
        Its ancestor five below the root (itself, where it is not so deep), int (n,).
    """

    words: list[str]
    lexicographer: np.ndarray
    hypernym: np.ndarray

    def take(self, rows: np.ndarray) -> Nouns:
        return Nouns(
            [self.words[i] for i in rows], _dense(self.lexicographer[rows]), _dense(self.hypernym[rows])
        )


def read_nouns(folder: Path = FOLDER) -> Nouns:
    """Read all nouns; those that no counted text holds follow in a fixed random order."""
    if not (folder / "data.noun").is_file():
        raise SystemExit(f"WordNet is not at {folder}. Install it with: apt-get install wordnet-base")
    file_of: dict[str, int] = {}
    above: dict[str, str] = {}
    for line in _lines(folder / "data.noun"):
        fields = line.split("|")[0].split()
        synset, n_words = fields[0], int(fields[3], 16)
        file_of[synset] = int(fields[1])
        pointers = fields[5 + 2 * n_words :]
        for symbol, target in zip(pointers[::4], pointers[1::4], strict=False):
            if symbol in {"@", "@i"}:
                above.setdefault(synset, target)
    counts: dict[str, int] = defaultdict(int)
    for line in (folder / "cntlist.rev").read_text().splitlines():
        key, _, count = line.split()
        word, rest = key.split("%")
        if rest.startswith("1:"):
            counts[word] += int(count)
    first_sense = {}
    for line in _lines(folder / "index.noun"):
        fields = line.split()
        if fields[0][0].isalpha():
            first_sense[fields[0]] = fields[-int(fields[2])]
    counted = sorted((w for w in first_sense if counts[w]), key=lambda w: (-counts[w], w))
    others = sorted(w for w in first_sense if not counts[w])
    np.random.default_rng(0).shuffle(others)
    words = counted + others
    ancestors = [_ancestor(first_sense[w], above) for w in words]
    return Nouns(
        [w.replace("_", " ") for w in words],
        np.array([file_of[first_sense[w]] for w in words]),
        _dense(np.array(ancestors)),
    )


def _ancestor(synset: str, above: dict[str, str]) -> str:
    chain = [synset]
    while chain[-1] in above:
        chain.append(above[chain[-1]])
    return chain[::-1][min(DEPTH, len(chain) - 1)]


def _dense(classes: np.ndarray) -> np.ndarray:
    return np.unique(classes, return_inverse=True)[1]


def _lines(path: Path) -> list[str]:
    # The licence stands first, each line of it behind two spaces.
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("  ")]
