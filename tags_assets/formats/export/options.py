"""What a user may ask of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tags_assets.formats.export.rich import Reasoning


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
