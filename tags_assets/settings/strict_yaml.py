"""YAML as a person writes it, read strictly: what is wrong is said with the line it is in.

Plain words are read as YAML 1.2 reads them: only ``true`` and ``false`` are flags, and there are no dates and
no numbers to the base of 60. A number may have underscores. Files are bounded in size, depth and what their
aliases stand for; tags (``!!python/object``) are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from tags_assets.errors import InvalidInputError, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, eq=False)
class YamlFile:
    """A mapping read from a YAML file, and where each field stands in it."""

    path: Path
    document: dict[str, object]
    node: yaml.Node

    def line(self, field: Sequence[int | str]) -> int:
        """Line in which a field begins, or the nearest one around it that is written."""
        node, line = self.node, self.node.start_mark.line
        for step in field:
            found: yaml.Node | None = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(step):
                        line, found = key.start_mark.line, value
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                found = node.value[step]
                line = found.start_mark.line
            if found is None:
                break
            node = found
        return line + 1

    def place(self, field: Sequence[int | str]) -> str:
        """``file:line: field.of.field``, for the ``where`` of an error."""
        return f"{self.path}:{self.line(field)}: {'.'.join(str(step) for step in field)}"


MAX_BYTES = 1 << 20
"""Size of a file, and of the text that it stands for once its aliases are written out."""

MAX_DEPTH = 32
"""Levels of lists and mappings within each other."""


class _Loader(yaml.SafeLoader):
    """Safe YAML that builds nothing deep, nothing tagged, and reads plain words as YAML 1.2 does."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        """Compose a node, unless it lies too deep or says its type."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(
                problem=f"the tag {event.tag!r:.40} is not allowed", problem_mark=event.start_mark
            )
        if self._depth >= MAX_DEPTH:
            problem = f"more than {MAX_DEPTH} lists and mappings within each other"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)  # type: ignore[arg-type]
        finally:
            self._depth -= 1


_PLAIN_WORDS = {
    "bool": ("true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9_]*)", "-+0123456789"),
    "float": (
        (
            r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
        "-+.0123456789",
    ),
    "null": ("~|null|Null|NULL|", "~nN"),
}
_Loader.yaml_implicit_resolvers = {}
for _kind, (_pattern, _first) in _PLAIN_WORDS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}",
        re.compile(f"^(?:{_pattern})$"),
        [*_first, *([""] if _kind == "null" else [])],
    )


def read_value(text: str, where: str) -> object:
    """Read one value from an option of the command line.

    Raises
    ------
    UserError
        If it is not YAML, is nested too deeply, or uses aliases.
    """
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise InvalidInputError("aliases are not allowed here", where=where, fix="Write the value out.")
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or type(error).__name__
        raise InvalidInputError(f"the value is not valid YAML ({problem})", where=where) from None


def read_yaml(path: Path, *, is_ours: bool = False) -> YamlFile:
    """Read one mapping.

    Parameters
    ----------
    path
        The file.
    is_ours
        Whether we write the file ourselves: it may be empty, and keys may have no value.

    Raises
    ------
    UserError
        For what is not UTF-8, not YAML, empty or no mapping, for a key given twice and a key without a value.
    """
    text = _text_of(path)
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        raise InvalidInputError(
            f"has the character U+{error.character:04X}, which YAML does not allow",
            where=f"{path}:{text.count(chr(10), 0, error.position) + 1}",
            fix="Take it out.",
        ) from None
    try:
        node = loader.get_single_node()
        if node is None and is_ours:
            return YamlFile(path, {}, yaml.MappingNode("tag:yaml.org,2002:map", [], *_START))
        if node is None:
            raise InvalidInputError("is empty", where=str(path), fix="It needs at least one field.")
        _refuse_doubles(node, path, nulls=is_ours)
        _refuse_bombs(node, path)
        document = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f":{mark.line + 1}"
        raise InvalidInputError(
            f"is not valid YAML: {error.problem or error.context}", where=f"{path}{line}"
        ) from None
    except ValueError:  # more digits than Python reads
        raise InvalidInputError("has a number that is too long", where=str(path)) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInputError(f"is not valid YAML: {error!s:.200}", where=str(path)) from None
    finally:
        loader.dispose()
    if not isinstance(document, dict):
        raise InvalidInputError("is not a mapping", where=str(path), fix="Write one `field: value` per line.")
    return YamlFile(path, {str(key): value for key, value in document.items()}, node)


def _text_of(path: Path) -> str:
    """Read a file of a size that a person could have written."""
    try:
        if not path.is_file():
            raise UserError("is not a file", where=str(path))
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if len(content) > MAX_BYTES:
        raise InvalidInputError(
            f"is larger than {MAX_BYTES >> 20} MB", where=str(path), fix="Name another file."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        raise InvalidInputError(
            "is not UTF-8 text", where=f"{path}:{number}", fix="Save it as UTF-8."
        ) from None


def _refuse_bombs(root: yaml.Node, path: Path) -> None:
    """Refuse a file of which a few aliases stand for more than a person could have written."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            if not (known := sizes[id(node)]):
                line = node.start_mark.line + 1
                raise InvalidInputError("an alias stands for what it is part of", where=f"{path}:{line}")
            return known
        sizes[id(node)] = 0  # until it is known
        if isinstance(node, yaml.ScalarNode):
            total = 1 + len(node.value)
        elif isinstance(node, yaml.MappingNode):
            total = 1 + sum(size(key) + size(value) for key, value in node.value)
        else:
            total = 1 + sum(size(item) for item in node.value)
        sizes[id(node)] = total
        return total

    if size(root) > MAX_BYTES:
        raise InvalidInputError(
            f"its aliases stand for more than {MAX_BYTES >> 20} MB of text",
            where=str(path),
            fix="Write the values out instead.",
        )


_START = (yaml.Mark("", 0, 0, 0, None, 0), yaml.Mark("", 0, 0, 0, None, 0))


def _refuse_doubles(
    node: yaml.Node, path: Path, seen_nodes: set[int] | None = None, *, nulls: bool = False
) -> None:
    """Refuse keys that are given twice, of which YAML would keep the last, and keys without a value."""
    seen_nodes = set() if seen_nodes is None else seen_nodes
    if id(node) in seen_nodes:  # an alias of a node that was looked at
        return
    seen_nodes.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InvalidInputError("a key must be a plain word", where=f"{path}:{line}")
            if key.value in seen:
                raise InvalidInputError(
                    f"{key.value!r} is given twice, also in line {seen[key.value]}", where=f"{path}:{line}"
                )
            if value.tag == "tag:yaml.org,2002:null" and not nulls:
                raise InvalidInputError(
                    f"{key.value!r} has no value", where=f"{path}:{line}", fix="Give one, or take it out."
                )
            seen[key.value] = line
            _refuse_doubles(value, path, seen_nodes, nulls=nulls)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_doubles(item, path, seen_nodes, nulls=nulls)
