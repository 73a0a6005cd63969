"""What of a row the tagger reads: its prose, bounded, without code, markup and links; and what its code is."""

from __future__ import annotations

import re
import unicodedata

PROMPT_CHARS = 1000
RESPONSE_CHARS = 700
"""Characters read of each. Concepts stand early; measured on the gold set, more adds noise and time."""

TAIL_CHARS = 300
"""Of a longer prompt the last characters are read too: a question often follows its table or passage."""

_FENCE = re.compile(r"```[ \t]*([A-Za-z+#]*)[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_NOISE = re.compile(
    r"<<[^<>]{0,80}>>"  # GSM8K's calculator
    r"|https?://\S+|www\.\S+|\S+@\S+\.\w+"
    r"|</?[A-Za-z][^<>\n]{0,200}>"  # markup
    r"|\$\$?[^$\n]{0,100}[\\^_{][^$\n]{0,100}\$\$?|\\[A-Za-z]+(?:\{[^{}]{0,80}\})*"  # TeX
    r"|`[^`\n]{1,120}`"
    r"|[\w./\\]*[/\\][\w./\\]*[/\\][\w./\\]*"  # paths
)
_LIST_MARK = re.compile(
    r"^[ \t]*(?:(?:human|user|assistant|system|ai|question|answer|input|output|[qa])[ \t]*:|[(]?[A-Za-z\d][.)][ \t]|[-*#>+]+[ \t])+",
    re.IGNORECASE | re.MULTILINE,
)
_COMMENT = re.compile(r"^[ \t]*(?://+|#(?![ \t]*include))", re.MULTILINE)
_WRITTEN = re.compile(r"(?:#|//)[ \t]*([^\n]+)|\"\"\"(.*?)(?:\"\"\"|\Z)|\'\'\'(.*?)(?:\'\'\'|\Z)", re.DOTALL)
_CELLS = re.compile(r"[ \t]*\|[ \t|:-]*|\t+")
_CODE_LINE = re.compile(
    r"^\s*(?:"
    r"(?:def|class|elif|except|with|return|print|yield)\b.*[:()\[\]=,;]"
    r"|from\s+[\w.]+\s+import\b.*|import\s+[\w., ]+"
    r"|(?:public|private|protected|static|void|const|let|var|func|fn|int|float|double|char|struct)\b.*[;{}()=]"
    r"|#\s*include\b.*|<\?php.*|\?>.*|/\*.*|\*/.*|@\w+|\$\w+\s*=.*"
    r"|(?:for|while|if|else|switch|try|catch|do)\b.*[:{]"
    r"|.*[;{}]|.*\)\s*:|[\]\[(){}\s]+"
    r"|(?:SELECT|INSERT\s+INTO|UPDATE|DELETE|FROM|WHERE|GROUP\s+BY|ORDER\s+BY|CREATE\s+TABLE)\s.*"
    r"|(?:LEFT|INNER|RIGHT|OUTER)?\s*JOIN\s.*"
    r"|[\w.\[\]'\"]+\s*[-+*/]?=\s*[^=].*|\w+(?:\.\w+)*\([^)]*\)"
    r")\s*$"
)
_LANGUAGES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.MULTILINE))
    for name, pattern in (
        ("python", r"^\s*(?:def \w+\(.*\)(?:\s*->.*)?:|from [\w.]+ import \w|import (?:numpy|pandas|re|os|sys|math|random)\b|elif .*:|print\(|for \w+ in .*:\s*$)"),
        ("java", r"\bpublic (?:static |final )*(?:class|void|int|String|boolean)\b|System\.out\.print"),
        ("javascript", r"\b(?:console\.log\(|document\.\w+|const \w+ = |let \w+ = |=> \{|function \w*\([^)]*\)\s*\{|require\()"),
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
_PLAIN_MODULES = frozenset("typing java main self the this that".split())


def bounded(text: str, n_chars: int, *, tail: int = 0) -> str:
    """Take the start of a text, and its tail where it is longer, cut at whitespace where there is some.

    Control characters, NULs and unpaired surrogates go: a tokenizer must not meet them.
    """
    if len(text) > n_chars + tail:
        head = text[:n_chars]
        cut = max(head.rfind(" "), head.rfind("\n"))
        head = head[:cut] if cut > n_chars // 2 else head
        end = text[-tail:] if tail else ""
        text = f"{head}\n{end[end.find(' ') + 1 :]}" if tail else head
    text = unicodedata.normalize("NFKC", text.encode("utf-8", "ignore").decode())
    return "".join(c for c in text if c.isprintable() or c in "\n\t") if not text.isprintable() else text


def code_concepts(text: str) -> list[str]:
    """Name the programming languages and the imported libraries that a bounded text shows."""
    names: dict[str, None] = {}
    for tag, _ in _FENCE.findall(text):
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


def prose(text: str) -> str:
    """Leave the sentences of a bounded text: no code, markup, links, formulas or list marks.

    What people write inside code stays: comments and documentation strings name what the code is about.
    The cells of a table are kept apart.
    """
    text = _FENCE.sub(lambda match: "\n" + "\n".join(_written_in_code(match[2])) + "\n", text)
    text = _COMMENT.sub("", text)
    text = _NOISE.sub(" , ", text)
    lines = [line for line in text.splitlines() if not _CODE_LINE.match(line)]
    return _CELLS.sub(" ; ", _LIST_MARK.sub("", "\n".join(lines)))


def _written_in_code(code: str) -> list[str]:
    return [a or b or c for a, b, c in _WRITTEN.findall(code)]
