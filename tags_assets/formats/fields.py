"""The fields of a row and their synonyms: the one table, for every layout, row and turn alike."""

from __future__ import annotations

import re
from functools import lru_cache

CONVERSATION_KEYS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat")
"""Fields that hold a list of turns, or a transcript."""

INSTRUCTION = "instruction"
PROMPTS = ("prompt", "question", "query", "problem", "inputs", "input")
"""Fields that hold what is asked, as text or turns."""
INPUTS = ("input", "context")
"""Fields whose text stands below what is asked."""
ANSWERS = (
    "completion",
    "response",
    "answer",
    "targets",
    "output",
    "solution",
    "answers",
    "canonical_solution",
)
"""Fields that hold what is answered, as text, turns or calls of tools."""
ALPACA_OUTPUTS = ("output", "response", "completion", "answer")
PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("query", "response"),
    ("inputs", "targets"),
    ("input", "output"),
    ("problem", "solution"),
)
"""Pairs of fields that go together; where a row has none of them, any of `PROMPTS` with any of `ANSWERS`."""

SYSTEMS = ("system", "system_prompt", "system_message")
HISTORY = "history"
CHOSEN = ("chosen", "chosen_response")
REJECTED = ("rejected", "rejected_response")
TOOLS = ("tools", "functions")
LABELS = ("kto_tag", "label")
"""Fields that say whether an answer is to be imitated; ``label`` is a class of text in other data sets, and
counts only where it is true or false."""
REASONING = ("reasoning_content", "reasoning", "thinking")
"""Fields of a row or a turn that hold what was thought before the answer."""
CHOICES = "choices"
PASS_RATES = ("pass_rate", "solve_rate")
DIFFICULTY = "difficulty"
MEDIA = {
    "images": "image",
    "image": "image",
    "videos": "video",
    "video": "video",
    "audios": "audio",
    "audio": "audio",
}
"""Fields that name files, and the kind of these."""

TURN_KEYS = (("role", "content"), ("from", "value"))
"""Fields of a turn: who speaks, and what is said."""
ARGUMENTS = ("arguments", "parameters", "args", "input")
"""Fields of a tool call that hold its arguments."""
CALL_IDS = ("tool_call_id", "call_id")

TEXT_FIELDS = frozenset(
    {*CONVERSATION_KEYS, INSTRUCTION, *PROMPTS, *INPUTS, *ANSWERS, *SYSTEMS, HISTORY, *CHOSEN, *REJECTED}
)
"""The fields that a row's text is taken from."""

KNOWN_FIELDS = TEXT_FIELDS | {*TOOLS, *LABELS, *REASONING, *MEDIA, *PASS_RATES, DIFFICULTY, CHOICES}
"""All fields of a row that are looked at, ``id`` and ``source`` aside."""

_CONTENT = re.compile(
    r"prompt|instruct|question|query|problem|context|input|output|respon|answer|completion|solution|target"
    r"|system|history|reason|think|tool|function|image|video|audio|message|conversation|dialog|content|chosen"
    r"|reject|passage|document"
)
_ABOUT_CONTENT = re.compile(
    r"_?(id|ids|type|kind|len\w*|tokens?|n_\w+|num_\w+|scores?|rating|model|source|name|lang\w*|time\w*|hash"
    r"|idx|index|count|category|domain|url|license|format|version|style|quality|embedding|difficulty)$"
)


@lru_cache(maxsize=4096)
def content_like(fields: tuple[str, ...], used: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fields that by their names hold content, and of which nothing was used."""
    return tuple(
        name
        for name in fields
        if name not in used
        and _CONTENT.search(name.casefold())
        and not _ABOUT_CONTENT.search(name.casefold())
    )
