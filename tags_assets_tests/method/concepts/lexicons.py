"""A lexicon of three areas whose fields are directions, so that what belongs where is known."""

from __future__ import annotations

import numpy as np

from tags_assets.method.concepts.fields import Fields, FieldVectors
from tags_assets.method.concepts.lexicon import Lexicon

AREAS = ("science", "arts", "home")
DOMAINS = ("physics", "biology", "music", "painting", "cooking", "garden")
PER_DOMAIN = 2
N_CONCEPTS = 6


def lexicon() -> Lexicon:
    """Six domains of two fields of six concepts each."""
    fields = tuple(f"{domain} field {i}" for domain in DOMAINS for i in range(PER_DOMAIN))
    return Lexicon(
        areas=AREAS,
        domains=DOMAINS,
        fields=fields,
        area_of_domain=np.repeat(np.arange(3), 2),
        domain_of_field=np.repeat(np.arange(6), PER_DOMAIN),
        concepts=tuple(f"{field} concept {j}" for field in fields for j in range(N_CONCEPTS)),
        aliases=((),) * (len(fields) * N_CONCEPTS),
        field_of_concept=np.repeat(np.arange(len(fields)), N_CONCEPTS),
        descriptions={("physics", ""): "Matter and motion", ("physics", "physics field 0"): "Waves"},
    )


def fields() -> Fields:
    """The lexicon, its fields along the axes of the space."""
    own = lexicon()
    n = len(own.fields)
    return Fields(own, FieldVectors(np.zeros(n, dtype=np.float32), np.eye(n, dtype=np.float32)))


def tags_of(field: int, n: int, rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Tags that lie near one field and name no concept."""
    axis = np.eye(len(lexicon().fields), dtype=np.float32)[field]
    vectors = axis + 0.1 * rng.normal(size=(n, len(axis))).astype(np.float32)
    names = [f"t{field:02d} {chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(n)]
    return names, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
