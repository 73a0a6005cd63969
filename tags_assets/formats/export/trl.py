"""TRL: ``messages``, ``prompt`` and ``completion``, with ``label`` or a rejected answer, as JSON Lines.

Prompts are lists of messages in every form: TRL applies the model's chat template to those and leaves plain
texts as they are. Tools are JSON text, which TRL decodes: a list of schemas would have to be of one type for
all rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tags_assets.formats.export import rich
from tags_assets.formats.export.files import Written, described
from tags_assets.formats.export.turns import left_out, left_out_notes, why_nothing_to_learn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tags_assets.formats.export.options import Options

ALL_TURNS_LEARNT = (
    "a turn of it is not to be learnt, and the form learns all; trl-prompt-completion learns the last alone"
)
ARGUMENTS_AS_TEXT = (
    "Arguments of tool calls are JSON text here, because a value of theirs has several types; templates that "
    "write them with `tojson` quote them."
)


def write_messages(rows: pl.DataFrame, folder: Path, name: str, options: Options) -> Written:
    """Write whole conversations for `SFTTrainer` (use ``assistant_only_loss`` to learn the answers alone)."""
    reason = rows.select(
        pl.coalesce(
            pl.lit(why_nothing_to_learn(rows)),
            _why_not(options),
            pl.when("masked").then(pl.lit(ALL_TURNS_LEARNT)),
        )
    ).to_series()
    dropped = left_out(rows, reason)
    taken = rows.filter(reason.is_null())
    path = folder / f"{name}.jsonl"
    laid_out = Bodies.of(taken, options)
    rich.write_rows(path, taken.select("messages"), laid_out.messages() if laid_out else None)
    notes = left_out_notes(dropped, "because TRL could not learn from them as they are")
    notes += laid_out.notes if laid_out else ()
    return [described("trl", path, taken.height, left_out=dropped.height, notes=notes)], dropped


def write_prompt_completion(rows: pl.DataFrame, folder: Path, name: str, options: Options) -> Written:
    """Write the last answer as ``completion`` and all before it as ``prompt``: the loss is on the completion
    alone.
    """
    reason = rows.select(
        pl.coalesce(
            pl.lit(why_nothing_to_learn(rows, last=True)),
            _why_not(options),
            pl.when("last_masked").then(pl.lit("its last answer is not to be learnt")),
        )
    ).to_series()
    dropped = left_out(rows, reason)
    taken = rows.filter(reason.is_null())
    path = folder / f"{name}.jsonl"
    laid_out = Bodies.of(taken, options)
    rich.write_rows(path, _split(taken), laid_out.split() if laid_out else None)
    notes = left_out_notes(dropped, "because they have no last answer to learn")
    notes += laid_out.notes if laid_out else ()
    file = described("trl-prompt-completion", path, taken.height, left_out=dropped.height, notes=notes)
    return [file], dropped


def write_labelled(rows: pl.DataFrame, folder: Path, name: str, options: Options) -> Written:
    """Write answers with their label for `KTOTrainer`."""
    reason = rows.select(
        pl.coalesce(pl.lit(why_nothing_to_learn(rows, last=True)), _why_not(options))
    ).to_series()
    dropped = left_out(rows, reason)
    taken = rows.filter(reason.is_null())
    path = folder / f"{name}.jsonl"
    laid_out = Bodies.of(taken, options)
    labels = taken["label"].to_list()
    bodies = None
    if laid_out:
        split = zip(laid_out.split(), labels, strict=True)
        bodies = (body | {"label": label} for body, label in split)
    rich.write_rows(path, _split(taken, "label"), bodies)
    notes = left_out_notes(dropped, "because they have no last answer to label")
    return [described("trl", path, taken.height, left_out=dropped.height, notes=notes)], dropped


def write_preferences(pairs: pl.DataFrame, folder: Path, name: str, options: Options) -> Written:
    """Write preference pairs for `DPOTrainer` and `RewardTrainer`."""
    dropped = left_out(pairs.drop("reason"), pairs["reason"])
    taken = pairs.filter(pl.col("reason").is_null())
    body = taken.select(
        "prompt", pl.concat_list("chosen").alias("chosen"), pl.concat_list("rejected").alias("rejected")
    )
    path = folder / f"{name}.jsonl"
    laid_out = Bodies.of_pairs(taken, options)
    rich.write_rows(path, body, laid_out.pairs() if laid_out else None)
    notes = left_out_notes(dropped, "because they are no pair of answers to one prompt")
    return [described("trl", path, taken.height, left_out=dropped.height, notes=notes)], dropped


def _split(taken: pl.DataFrame, *more: str) -> pl.DataFrame:
    return taken.select(
        pl.col("messages").list.slice(0, pl.col("messages").list.len() - 1).alias("prompt"),
        pl.col("messages").list.slice(-1).alias("completion"),
        *more,
    )


def _why_not(options: Options) -> pl.Expr:
    return rich.why_not_common(("image",), options)


class Bodies:
    """Rows of a file that are not all plain, laid out for chat templates."""

    def __init__(self, talks: Sequence[rich.Talk]) -> None:
        self._talks = talks
        self._keys = [key for key in rich.optional_keys(talks) if key != "train"]
        self._as_text = rich.arguments_need_text(talks)
        self._tools = any(talk.tools for talk in talks)
        self._images = any(talk.media for talk in talks)
        self.notes = (ARGUMENTS_AS_TEXT,) if self._as_text else ()

    @classmethod
    def of(cls, rows: pl.DataFrame, options: Options) -> Bodies | None:
        """Lay rows out; None where all of them are plain."""
        return cls(rich.talks(rows, options.reasoning)) if rows["is_rich"].any() else None

    @classmethod
    def of_pairs(cls, pairs: pl.DataFrame, options: Options) -> Bodies | None:
        """Lay pairs out as conversations that end with both answers."""
        if not pairs["is_rich"].any():
            return None
        rejected = [rich.placed(turn, options.reasoning) for turn in rich.rejected_turns(pairs)]
        return cls(
            [
                rich.Talk([*talk.turns, turn], talk.tools, talk.media)
                for talk, turn in zip(rich.talks(pairs, options.reasoning), rejected, strict=True)
            ]
        )

    def messages(self) -> Iterator[dict[str, Any]]:
        for talk in self._talks:
            yield {"messages": self._turns(talk)} | self._beside(talk)

    def split(self) -> Iterator[dict[str, Any]]:
        for talk in self._talks:
            turns = self._turns(talk)
            yield {"prompt": turns[:-1], "completion": turns[-1:]} | self._beside(talk)

    def pairs(self) -> Iterator[dict[str, Any]]:
        for talk in self._talks:
            turns = self._turns(talk)
            yield {"prompt": turns[:-2], "chosen": turns[-2:-1], "rejected": turns[-1:]} | self._beside(talk)

    def _turns(self, talk: rich.Talk) -> list[dict[str, Any]]:
        return [
            rich.chat_turn(turn, self._keys, arguments_as_text=self._as_text, parts=self._images)
            for turn in talk.turns
        ]

    def _beside(self, talk: rich.Talk) -> dict[str, Any]:
        beside: dict[str, Any] = {}
        if self._tools:
            beside["tools"] = rich.as_text(list(map(rich.openai_tool, talk.tools))) if talk.tools else None
        if self._images:
            beside["images"] = [each["reference"] for each in talk.media]
        return beside
