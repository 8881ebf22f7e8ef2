"""How a question becomes a prompt: closed book, RAG, and the controls. Parts come in through the constructor."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from workbench.config import ArmConfig, RetrievalConfig
from workbench.contracts import Finder, Strategy
from workbench.prompting import PromptBuilder
from workbench.strategies.closed_book import ClosedBook
from workbench.strategies.gold import GoldPassages
from workbench.strategies.oracle import Oracle
from workbench.strategies.rag import Rag
from workbench.strategies.wrong_passages import WrongPassages

__all__ = ["ClosedBook", "GoldPassages", "Oracle", "Rag", "WrongPassages", "build_strategy"]


def build_strategy(
    arm: ArmConfig,
    retrieval: RetrievalConfig,
    *,
    builder: PromptBuilder,
    finder: Callable[[], Finder],
    gold: Callable[[], GoldPassages],
) -> Strategy:
    """Return the strategy an arm names; only what it needs is built."""
    match arm.strategy:
        case "closed_book":
            return ClosedBook(builder)
        case "rag":
            return Rag(finder(), builder, depth=retrieval.depth, passages=arm.passages or retrieval.passages)
        case "oracle":
            return Oracle(gold(), builder)
        case "wrong_passages":
            return WrongPassages(finder(), builder, depth=retrieval.depth, passages=retrieval.passages)
        case "routed":
            raise AssertionError("a routed arm asks nothing: its records are chosen among the other arms'")
        case _:
            assert_never(arm.strategy)
