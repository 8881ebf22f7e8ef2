"""Each strategy offers what it should, and nothing else."""

import pytest
from pydantic import ValidationError

from tests.tiny import load_tiny
from workbench.config import ArmConfig, ExperimentConfig, PromptConfig, RetrievalConfig
from workbench.prompting import PromptBuilder
from workbench.strategies import GoldPassages, build_strategy
from workbench.types import EVERYTHING, Chunk, Found, Hit, Prompt, Question, Ranking, Scope, Span

pytestmark = pytest.mark.usefixtures("tiny_home")
CHUNKS = [
    Chunk("d:0-10", "d", 0, 10, "first part"),
    Chunk("d:8-20", "d", 8, 20, "second parts"),
    Chunk("e:0-10", "e", 0, 10, "other text"),
]


class ScriptedFinder:
    """Finds the same chunks for every question; enough to answer from, unless it asks for something forbidden."""

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        return tuple(Hit(chunk, 1.0 - place / 10) for place, chunk in enumerate(CHUNKS[:k]))

    def find(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Found:
        return Found(self.search(question, k=k), 1.0, answerable="unknown" not in question)


def ask(strategy: str, *relevant: Span, text: str = "What?") -> Prompt:
    _, tokenizer = load_tiny()
    built = build_strategy(
        ArmConfig.model_validate({"strategy": strategy}),
        RetrievalConfig(depth=3, passages=2),
        builder=PromptBuilder(tokenizer, PromptConfig(max_tokens=2000)),
        finder=ScriptedFinder,
        gold=lambda: GoldPassages(CHUNKS),
    )
    return built.prompt(Question(id="q", text=text, answers=("x",), relevant=relevant))


def ids(ranking: Ranking) -> list[str]:
    return [hit.chunk.id for hit in ranking]


def test_closed_book_reads_nothing() -> None:
    assert ask("closed_book").hits == ()


def test_rag_offers_the_best_passages_and_records_the_deeper_search() -> None:
    prompt = ask("rag")
    assert ids(prompt.hits) == ["d:0-10", "d:8-20"]
    assert ids(prompt.found) == ["d:0-10", "d:8-20", "e:0-10"]


def test_rag_keeps_the_nearest_evidence_of_what_it_refuses() -> None:
    assert not ask("rag").refused
    prompt = ask("rag", text="What is unknown?")
    assert prompt.refused
    assert ids(prompt.hits) == ["d:0-10", "d:8-20"]


def test_the_oracle_offers_one_chunk_a_span_preferring_the_one_that_holds_it_whole() -> None:
    prompt = ask("oracle", Span(document_id="d", start=7, end=12), Span(document_id="e", start=1, end=3))
    assert ids(prompt.hits) == ["d:8-20", "e:0-10"]


def test_of_two_chunks_that_hold_a_span_the_first_is_taken_and_none_twice() -> None:
    prompt = ask("oracle", Span(document_id="d", start=8, end=10), Span(document_id="d", start=0, end=2))
    assert ids(prompt.hits) == ["d:0-10"]


def test_without_relevant_spans_the_oracle_is_closed_book() -> None:
    assert ask("oracle").hits == ask("oracle", Span(document_id="gone", start=0, end=2)).hits == ()


def test_wrong_passages_are_never_of_a_relevant_document() -> None:
    assert ids(ask("wrong_passages", Span(document_id="d", start=0, end=5)).hits) == ["e:0-10"]
    assert ids(ask("wrong_passages", Span(document_id="e", start=0, end=5)).hits) == ["d:0-10", "d:8-20"]
    with pytest.raises(ValidationError, match="set control: true"):
        ExperimentConfig.model_validate(
            {"name": "x", "questions": {"path": "q"}, "arms": {"wrong": {"strategy": "wrong_passages"}}}
        )
