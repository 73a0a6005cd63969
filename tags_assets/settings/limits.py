"""Where the checks draw the line, and which of them stop what comes after."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Where the checks draw the line: ``limits`` of a pool's settings, or ``--limit name=value``.

    Every limit is a share of 1 unless said otherwise. A name listed in `blocking` stops what depends on the
    asset where the check fails; otherwise a failed check warns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rejected: float = Field(default=0.1, ge=0, le=1)
    """Rows that could not be read, of all rows."""
    duplicate: float = Field(default=0.5, ge=0, le=1)
    """Rows that repeat another, of all rows."""
    filtered: float = Field(default=0.5, ge=0, le=1)
    """Rows that rules of the user's took out, of the rows kept."""
    source_jump: float = Field(default=0.2, ge=0, le=1)
    """Change of any source's share of the rows against the version before."""
    shrinkage: float = Field(default=0.5, ge=0, le=1)
    """Rows lost against the version before, as a share of them."""
    untagged: float = Field(default=0.1, ge=0, le=1)
    """Kept rows without a tag."""
    drift: float = Field(default=0.15, ge=0, allow_inf_nan=False)
    """Drift of the tags against the tree (the figure ``drift`` of `knowledge_tree`)."""
    certificate: float = Field(default=0.99, ge=0, le=1)
    """Least certificate of a selection of 1,000 rows or more."""
    certificate_small: float = Field(default=0.5, ge=0, le=1)
    """The same below 1,000 rows, where the bound is loose (docs/method.md)."""
    kl_above_floor: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Most by which KL(target || selection) may exceed the least that any selection of the size can reach, in
    nats; no limit unless set, since a target asks for it with ``alignment``."""
    kl_above_random: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Most by which KL(target || selection) may exceed that of as many random rows, in nats, beyond what such
    rows differ among themselves."""
    blocking: list[str] = Field(default_factory=list)
    """Names of checks that stop what depends on the asset, beside those that always do."""


class TargetLimits(BaseModel):
    """Where the checks of one target's selection draw the line: ``limits`` of its file, over the pool's."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    certificate: float | None = Field(default=None, ge=0, le=1)
    certificate_small: float | None = Field(default=None, ge=0, le=1)
    kl_above_floor: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    kl_above_random: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    blocking: list[str] | None = None
    """Names of checks that stop this target's selection; they take the place of the pool's."""

    def over(self, pool: Limits) -> Limits:
        """Put what is said here over the limits of the pool."""
        return pool.model_copy(update=self.model_dump(exclude_none=True))
