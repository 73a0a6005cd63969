"""Data versions: fingerprints of what went into an artifact, never of its file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXACT = 2**53  # integers up to here are floats without loss


@runtime_checkable
class _Model(Protocol):
    def model_dump(self, *, mode: str) -> dict[str, object]: ...


@runtime_checkable
class _Scalar(Protocol):
    def item(self) -> object: ...


def fingerprint(
    key: str, partition: str | None, code_version: str, config: object, upstream: Mapping[str, str]
) -> str:
    """Return the data version of an asset: equal for equal inputs, on every machine and in every process.

    Parameters
    ----------
    key, partition
        The asset, and its partition where it has them.
    code_version
        Changes when the code would give another result for the same inputs.
    config
        Resolved configuration, as `canonical` takes it.
    upstream
        Asset to the data version that is read.

    Returns
    -------
    str
        32 hexadecimal digits: BLAKE2b over the canonical JSON.

    Raises
    ------
    TypeError, ValueError
        If `config` holds a value without a canonical form; the message says where.
    """
    parts = {
        "key": key,
        "partition": partition,
        "code_version": code_version,
        "config": config,
        "upstream": dict(upstream),
    }
    return hashlib.blake2b(canonical(parts).encode(), digest_size=16).hexdigest()


def fingerprint_texts(texts: Iterable[str | bytes]) -> str:
    """Return one fingerprint of a sequence of texts: order and boundaries count."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def canonical(value: object) -> str:
    """Return the one JSON text for a value.

    Keys are sorted; there is no white space; a float that is a whole number is written as one (as in RFC
    8785), any other in its shortest exact form; text is escaped to ASCII and otherwise taken as it is. Tuples
    are lists, sets are sorted, enums are their values, dataclasses and pydantic models their fields; dates
    are ISO text and bytes hexadecimal, both marked as such.

    Raises
    ------
    TypeError
        For other types (a path, say: it differs between machines; fingerprint the file's content instead).
    ValueError
        For NaN and infinity, and for values nested too deeply.
    """
    try:
        return json.dumps(_plain(value, "value"), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except RecursionError as error:
        raise ValueError("value nests too deeply (or within itself) for a fingerprint") from error


def _plain(value: object, where: str) -> object:  # noqa: C901, PLR0911 - one case for each kind
    if value is None or (isinstance(value, (bool, str)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _number(float(value), where)
    if isinstance(value, Mapping):
        return {_key(key, where): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item, f"{where}{{}}") for item in value), key=canonical)
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, (datetime, date)):
        return {"$date": value.isoformat()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: _plain(getattr(value, field.name), f"{where}.{field.name}") for field in fields}
    if isinstance(value, _Model):
        return _plain(value.model_dump(mode="json"), where)
    if isinstance(value, _Scalar) and getattr(value, "shape", None) == ():
        return _plain(value.item(), where)
    raise TypeError(f"{where}: {type(value).__name__} has no canonical form for a fingerprint")


def _key(key: object, where: str) -> str:
    if not isinstance(key, str) or isinstance(key, Enum):
        raise TypeError(f"{where}: keys must be text for a fingerprint, not {key!r}")
    return key


def _number(value: float, where: str) -> int | float:
    if not math.isfinite(value):
        raise ValueError(f"{where}: {value} has no canonical form for a fingerprint")
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value
