"""What code shows of itself: its language, and the libraries that it imports."""

from __future__ import annotations

import re

from tags_assets.method.tagging.passages import FENCE

_LANGUAGES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.MULTILINE))
    for name, pattern in (
        ("python", r"^\s*(?:def \w+\(.*\)(?:\s*->.*)?:|from [\w.]+ import \w|elif .*:|print\()"),
        ("python", r"^\s*for \w+ in .*:$"),
        ("python", r"^\s*import (?:numpy|pandas|re|os|sys|math|random)\b"),
        ("java", r"\bpublic (?:static |final )*(?:class|void|int|String|boolean)\b|System\.out\.print"),
        ("javascript", r"\b(?:console\.log\(|document\.\w+|const \w+ = |let \w+ = |require\()"),
        ("javascript", r"=> \{|\bfunction \w*\([^)]*\)\s*\{"),
        ("sql", r"\bSELECT\b[\s\S]{1,300}?\bFROM\b|\bINSERT INTO\b|\bCREATE TABLE\b"),
        ("html", r"<!DOCTYPE html|<(?:html|body|div|head|table|form|ul)\b[^>]*>"),
        ("css", r"^\s*[.#]?[\w-]+\s*\{\s*\n\s*[\w-]+\s*:\s*[^;\n]+;"),
        ("php", r"<\?php"),
        ("c++", r"#include\s*<(?:iostream|vector|string|algorithm|map|bits/stdc\+\+\.h)>|\bstd::"),
        ("c", r"#include\s*<(?:stdio|stdlib|string)\.h>"),
        ("c#", r"\busing System;|Console\.Write"),
        ("go", r"\bpackage main\b|\bfunc \w+\(.*\).*\{|fmt\.Print"),
        ("rust", r"\bfn \w+\(.*\).*\{|println!|let mut "),
        ("ruby", r"^\s*puts |^\s*def \w+\s*$"),
        ("bash", r"^#!/bin/(?:ba)?sh|^\s*(?:sudo|apt-get|echo|grep|chmod) \S"),
        ("r", r"<- (?:function\(|c\(|data\.frame)|library\(\w+\)"),
        ("swift", r"\bimport (?:UIKit|SwiftUI|Foundation)\b"),
        ("latex", r"\\begin\{(?:document|equation|align|tabular)\}"),
    )
)  # fmt: skip
_FENCE_NAMES = {
    "py": "python", "python3": "python", "js": "javascript", "jsx": "javascript", "ts": "typescript",
    "sh": "bash", "shell": "bash", "cpp": "c++", "cs": "c#", "csharp": "c#", "golang": "go", "rb": "ruby",
    "text": "", "plaintext": "", "txt": "", "markdown": "", "md": "", "output": "", "json": "json",
}  # fmt: skip
_IMPORT = re.compile(r"^\s*(?:import|from)\s+([A-Za-z_]\w{2,30})", re.MULTILINE)
_PLAIN_MODULES = frozenset({"typing", "java", "main", "self", "the", "this", "that"})


def code_concepts(text: str) -> list[str]:
    """Name the programming languages and the imported libraries that a bounded text shows."""
    names: dict[str, None] = {}
    for tag, _ in FENCE.findall(text):
        name = _FENCE_NAMES.get(tag.lower(), tag.lower())
        if name:
            names[name] = None
    for name, pattern in _LANGUAGES:
        if pattern.search(text):
            names[name] = None
    if "c++" in names:
        names.pop("c", None)
    for name in _IMPORT.findall(text):
        if "python" in names and name.lower() not in _PLAIN_MODULES:
            names[name.lower()] = None
    return list(names)
