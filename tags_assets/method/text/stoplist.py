"""Words that are no concepts: the language of instructions, answers and counting. They lie in ``words/``."""

from __future__ import annotations

import importlib
import runpy
import warnings
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def word_list(name: str) -> frozenset[str]:
    """Read a list of ``words/``: words between spaces, comments behind ``#`` at a line's start."""
    text = files("tags_assets.method.text").joinpath("words", f"{name}.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("# ") for word in line.split())


GENERIC_NOUNS = word_list("generic_nouns")
GENERIC_MODIFIERS = word_list("generic_modifiers")
FIRST_NAMES = word_list("first_names")
TASK_GERUNDS = word_list("task_gerunds")
TASK_VERBS = word_list("task_verbs")
PROGRAMMING_LANGUAGES = word_list("programming_languages")
PROGRAM_NOUNS = frozenset({"function", "program", "script", "code", "snippet", "method"})


def import_quietly(name: str) -> ModuleType:
    """Import spaCy or a part of it; that some library below it is deprecated is not the user's concern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module(name)


_CODE_OF = {"ja": "ja", "zh": "zh", "zh-cn": "zh", "zh-tw": "zh", "pt-br": "pt", "uk-ua": "uk"}


@lru_cache(maxsize=64)
def stop_words(language: str) -> frozenset[str]:
    """Give spaCy's stop words of a language by its ISO 639-1 code, case folded; empty where it has none."""
    code = _CODE_OF.get(language.lower(), language.lower().split("-")[0])
    if not (code.isalpha() and len(code) in {2, 3}):
        return frozenset()
    # The file is read by itself: importing it would load all of spaCy, which takes two seconds, also where
    # the phrases of every row are known and only ranked anew.
    spacy = find_spec("spacy")
    file = Path(spacy.origin).parent / "lang" / code / "stop_words.py" if spacy and spacy.origin else None
    if file is None or not file.is_file():
        return frozenset()
    words = runpy.run_path(str(file))["STOP_WORDS"]
    return frozenset(word.casefold().replace("_", " ") for word in words if word.strip())
