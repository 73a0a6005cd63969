"""YAML as a person writes it, read strictly: what is wrong is said with the line it is in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from tags_assets.errors import UserError

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


class _Loader(yaml.SafeLoader):
    """Safe YAML in which ``no`` (Norwegian), ``on`` and ``yes`` are text, as in YAML 1.2."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (
            tag,
            re.compile("^(?:true|True|TRUE|false|False|FALSE)$")
            if tag == "tag:yaml.org,2002:bool"
            else pattern,
        )
        for tag, pattern in resolvers
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path) -> YamlFile:
    """Read one mapping.

    Raises
    ------
    UserError
        For what is not UTF-8, not YAML, empty or no mapping, for a key given twice and a key without a value.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        number = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UserError("is not UTF-8 text", where=f"{path}:{number}", mend="Save it as UTF-8.") from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        raise UserError(
            f"has the character U+{error.character:04X}, which YAML does not allow",
            where=f"{path}:{text.count(chr(10), 0, error.position) + 1}",
            mend="Take it out.",
        ) from None
    try:
        node = loader.get_single_node()
        if node is None:
            raise UserError("is empty", where=str(path), mend="It needs at least one field.")
        _refuse_doubles(node, path)
        document = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f":{mark.line + 1}"
        raise UserError(
            f"is not valid YAML: {error.problem or error.context}", where=f"{path}{line}"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"is not valid YAML: {error}", where=str(path)) from None
    finally:
        loader.dispose()
    if not isinstance(document, dict):
        raise UserError("is no mapping", where=str(path), mend="Write one `field: value` a line.")
    return YamlFile(path, {str(key): value for key, value in document.items()}, node)


def _refuse_doubles(node: yaml.Node, path: Path, seen_nodes: set[int] | None = None) -> None:
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
                raise UserError("a key must be a plain word", where=f"{path}:{line}")
            if key.value in seen:
                raise UserError(
                    f"{key.value!r} is given twice, also in line {seen[key.value]}", where=f"{path}:{line}"
                )
            if value.tag == "tag:yaml.org,2002:null":
                raise UserError(
                    f"{key.value!r} has no value", where=f"{path}:{line}", mend="Give one, or take it out."
                )
            seen[key.value] = line
            _refuse_doubles(value, path, seen_nodes)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_doubles(item, path, seen_nodes)
