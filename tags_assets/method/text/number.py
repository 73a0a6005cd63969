"""Grammatical number of English nouns, by rules that rather leave a word alone than break it."""

from __future__ import annotations

from tags_assets.method.text.stoplist import word_list

_IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth", "mice": "mouse",
    "geese": "goose", "oxen": "ox", "indices": "index", "vertices": "vertex", "matrices": "matrix",
    "appendices": "appendix", "criteria": "criterion", "phenomena": "phenomenon", "formulae": "formula",
    "alumni": "alumnus", "fungi": "fungus", "nuclei": "nucleus", "stimuli": "stimulus", "radii": "radius",
    "leaves": "leaf", "lives": "life", "wolves": "wolf", "knives": "knife", "wives": "wife",
    "halves": "half", "shelves": "shelf", "selves": "self", "thieves": "thief", "loaves": "loaf",
    "calves": "calf", "quizzes": "quiz", "movies": "movie", "cookies": "cookie", "zombies": "zombie",
    "calories": "calorie", "pies": "pie", "ties": "tie", "lies": "lie", "selfies": "selfie",
    "rookies": "rookie", "smoothies": "smoothie", "genies": "genie", "brownies": "brownie",
    "shoes": "shoe", "toes": "toe", "foes": "foe", "canoes": "canoe", "caches": "cache", "niches": "niche",
    "axes": "axis", "aches": "ache", "buses": "bus", "gases": "gas", "lenses": "lens", "biases": "bias",
    "atlases": "atlas", "canvases": "canvas", "aliases": "alias", "pancreases": "pancreas",
    "analyses": "analysis", "hypotheses": "hypothesis", "diagnoses": "diagnosis", "crises": "crisis",
    "theses": "thesis", "syntheses": "synthesis", "parentheses": "parenthesis", "oases": "oasis",
    "neuroses": "neurosis", "prognoses": "prognosis", "metastases": "metastasis", "synopses": "synopsis",
}  # fmt: skip

_UNCHANGED = word_list("unchanged_nouns")

_ES_AFTER = ("ss", "x", "ch", "sh", "zz")


def singular(word: str) -> str:  # noqa: PLR0911 (one rule, one return)
    """Give the singular of a lower-case English plural; any other word comes back as it is.

    Ours: the regular endings, with a list of exceptions. A word that ends like a singular in -s (``-ss``,
    ``-us``, ``-is``, ``-ics``) stays.

    Examples
    --------
    >>> [singular(w) for w in ("matrices", "databases", "viruses", "taxes", "physics", "news", "queries")]
    ['matrix', 'database', 'virus', 'tax', 'physics', 'news', 'query']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word in _UNCHANGED:
        return word
    if word.endswith(("ss", "us", "is", "ics", "'s")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith("aches") and word not in {"coaches", "beaches", "approaches", "peaches", "roaches"}:
        return word[:-1]
    if word.endswith("es") and word[:-2].endswith(_ES_AFTER):
        return word[:-2]
    if word.endswith(("oes", "iruses", "onuses", "tatuses", "ampuses", "ensuses")):
        return word[:-2]
    return word[:-1]


def singular_phrase(phrase: str) -> str:
    """Put the last word of a phrase, its head, into the singular."""
    start, space, head = phrase.rpartition(" ")
    return start + space + singular(head)
