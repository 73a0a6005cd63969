"""Language models behind an OpenAI-compatible API: tagging, judging and naming, each answer paid for once."""

from __future__ import annotations

from tags_assets.llm.answer_cache import AnswerCache
from tags_assets.llm.check import ServerReport, check_server
from tags_assets.llm.client import Client, CostEstimate
from tags_assets.llm.embedder import APIEmbedder
from tags_assets.llm.judge import Judge, JudgingResult
from tags_assets.llm.rating import DEFAULT_WEIGHTS, DIMENSIONS, JUDGEMENTS_SCHEMA, rate
from tags_assets.llm.refiner import LLMRefiner, RefinementEstimate
from tags_assets.llm.settings import ClientSettings, Price
from tags_assets.llm.status import Status
from tags_assets.llm.tagger import FAILURES_SCHEMA, TAGS_SCHEMA, LLMTagger, TaggingResult

__all__ = [
    "DEFAULT_WEIGHTS",
    "DIMENSIONS",
    "FAILURES_SCHEMA",
    "JUDGEMENTS_SCHEMA",
    "TAGS_SCHEMA",
    "APIEmbedder",
    "AnswerCache",
    "Client",
    "ClientSettings",
    "CostEstimate",
    "Judge",
    "JudgingResult",
    "LLMRefiner",
    "LLMTagger",
    "Price",
    "RefinementEstimate",
    "ServerReport",
    "Status",
    "TaggingResult",
    "check_server",
    "rate",
]
