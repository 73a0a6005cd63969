"""What of a row the tagger reads: its prose, bounded, without code, markup and links."""

from __future__ import annotations

import re
import unicodedata

PROMPT_CHARS = 1000
RESPONSE_CHARS = 700
"""Characters read of each. Concepts stand early; measured on the gold set, more adds noise and time."""

TAIL_CHARS = 300
"""Of a longer prompt the last characters are read too: a question often follows its table or passage."""

FENCE = re.compile(r"```[ \t]*([A-Za-z+#]*)[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
"""Fenced code: the name behind its fence, and the code."""

_NOISE = re.compile(
    r"<<[^<>]{0,80}>>"  # GSM8K's calculator
    r"|https?://\S+|www\.\S+|\S+@\S+\.\w+"
    r"|</?[A-Za-z][^<>\n]{0,200}>"  # markup
    r"|\$\$?[^$\n]{0,100}[\\^_{][^$\n]{0,100}\$\$?|\\[A-Za-z]+(?:\{[^{}]{0,80}\})*"  # TeX
    r"|`[^`\n]{1,120}`"
    r"|[\w./\\]*[/\\][\w./\\]*[/\\][\w./\\]*"  # paths
)
_LIST_MARK = re.compile(
    r"^[ \t]*(?:(?:human|user|assistant|system|ai|question|answer|input|output|[qa])[ \t]*:"
    r"|[(]?[A-Za-z\d][.)][ \t]|[-*#>+]+[ \t])+",
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


def prose(text: str) -> str:
    """Leave the sentences of a bounded text: no code, markup, links, formulas or list marks.

    What people write inside code stays: comments and documentation strings name what the code is about.
    The cells of a table are kept apart.
    """
    text = FENCE.sub(lambda match: "\n" + "\n".join(_written_in_code(match[2])) + "\n", text)
    text = _COMMENT.sub("", text)
    text = _NOISE.sub(" , ", text)
    lines = [line for line in text.splitlines() if not _CODE_LINE.match(line)]
    return _CELLS.sub(" ; ", _LIST_MARK.sub("", "\n".join(lines)))


def _written_in_code(code: str) -> list[str]:
    return [a or b or c for a, b, c in _WRITTEN.findall(code)]
