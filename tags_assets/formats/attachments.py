"""Pictures, films, sound and files that belong to a turn: their kind and their reference, never opened."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tags_assets.formats.fields import MEDIA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tags_assets.formats.instance import Attachment

PART_KINDS = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "video": "video",
    "video_url": "video",
    "input_video": "video",
    "audio": "audio",
    "audio_url": "audio",
    "input_audio": "audio",
    "file": "file",
    "input_file": "file",
    "document": "file",
}
"""Kinds of attachment by the type of the part of a content that holds them."""

_REFERENCES = ("url", "path", "file_id", "file", "filename", "uri", "data", "bytes", "source")
_LONGEST_REFERENCE = 2048
INLINE = "inline:"
"""Begins the reference of what stands in the row itself; the row as it came holds it."""


def marker(kind: str) -> str:
    """Return the text that stands for an attachment, in the form that trainers share."""
    return f"<{kind}>"


def of_part(part: Mapping[str, Any], kind: str) -> Attachment:
    """Read the part of a content that holds an attachment."""
    value = next((part[key] for key in (str(part.get("type")), kind, *_REFERENCES) if part.get(key)), None)
    return {"kind": kind, "reference": _reference(value)}


def of_row(fields: Mapping[str, object]) -> tuple[list[Attachment], tuple[str, ...]]:
    """Read a row's columns of pictures, films and sound, and return the names of those that hold some."""
    found: list[Attachment] = []
    used = []
    for key, kind in MEDIA.items():
        if key not in fields:
            continue
        read: list[Attachment] = [
            {"kind": kind, "reference": _reference(value)} for value in _files(fields[key]) if value
        ]
        if read:
            used.append(key)
        known = {each["reference"] for each in found}
        found += [each for each in read if each["reference"] not in known]
    return found, tuple(used)


def _files(values: object) -> Iterator[object]:
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, list):
            yield from _files(value)
        elif isinstance(value, str | bytes) or (isinstance(value, dict) and any(value.values())):
            yield value


def _reference(value: object) -> str:
    if isinstance(value, dict):
        inner = next((value[key] for key in ("path", "url", *_REFERENCES) if value.get(key)), None)
        return _reference(inner)
    if isinstance(value, bytes):
        return f"{INLINE}{blake2b(value, digest_size=16).hexdigest()}"
    text = value if isinstance(value, str) else ""
    if text.startswith("data:") or len(text) > _LONGEST_REFERENCE:
        return f"{INLINE}{blake2b(text.encode(errors='replace'), digest_size=16).hexdigest()}"
    return text
