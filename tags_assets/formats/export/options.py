"""What a user may ask of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reasoning = Literal["inline", "keep", "drop"]
"""Where a trace of reasoning goes: into the text as ``<think>``, into a field of its own, or nowhere."""


@dataclass(frozen=True)
class Options:
    """How rows that hold more than text are written.

    Attributes
    ----------
    reasoning
        Where traces of reasoning go: ``inline`` into the text, ``keep`` into a field of their own, ``drop``
        nowhere.
    attachments
        Whether rows with pictures, films and sound are written.
    """

    reasoning: Reasoning = "inline"
    attachments: bool = False
