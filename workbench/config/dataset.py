"""The knobs of a training dataset made from documents. Descriptions are the help text."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field, model_validator

from workbench.config.base import Knobs


class GeneratorName(StrEnum):
    """What makes rows. The first four make the forms of one fact and share `dataset.forms`."""

    QUESTIONS = "questions"  # a fact asked for, in several wordings, in the evaluation's prompt format
    STATEMENTS = "statements"  # a fact stated as plain text, its parts in several orders
    CLOZE = "cloze"  # a statement with its value left out, as a question
    REVERSED = "reversed"  # from the value back to what it is said of
    HEADINGS = "headings"  # a section ↔ what it says
    DEFINITIONS = "definitions"  # "X is a ..." sentences: what is X, what is called so
    CONNECTORS = "connectors"  # because, so that, therefore, however: what for, why, what against
    TABLES = "tables"  # what a row holds, which rows there are, look-ups between any two columns
    LISTS = "lists"  # items of a list, how many, whether a thing is among them
    FAQ = "faq"  # headings that ask, with what stands below
    QUOTES = "quotes"  # passages shown: quote the sentence and cite its number
    READER = "reader"  # passages shown, right ones and wrong ones from our own index: answer
    UNANSWERABLE = "unanswerable"  # asked for what no document says
    TEXT = "text"  # the documents' own text in windows
    REPLAY = "replay"  # general rows from a file of the user's, against forgetting


class FilterConfig(Knobs):
    """Which rows are dropped, and counted by reason. Secrets are dropped in any case."""

    round_trip: int | None = Field(
        10, ge=1, description="a question must bring a chunk it is about into the retriever's best N; none: not asked"
    )
    near_duplicates: float | None = Field(
        0.9, gt=0.5, le=1, description="Jaccard overlap of words from which a row with an equal answer repeats another"
    )
    overlap: float = Field(
        0.8, gt=0.3, le=1, description="Jaccard overlap of words from which a row copies a question of a test split"
    )
    max_tokens: int = Field(1024, ge=16, description="longest row, prompt and answer, in the generator's tokens")
    languages: tuple[str, ...] | None = Field(
        None, description="ISO 639 codes that documents and imported rows may be in; none: any"
    )
    personal_data: bool = Field(
        True, description="drop rows with mail addresses, account or telephone numbers; names of people stay"
    )


class WriterConfig(Knobs):
    """More rows from a local model: it reads a passage and writes questions with answers quoted from it, as JSON."""

    passages: int = Field(50, ge=1, description="chunks it reads, drawn by the seed")
    questions: int = Field(3, ge=1, le=10, description="questions it is asked for per passage")
    max_new_tokens: int = Field(192, ge=16, description="longest reply; what is cut off is a reject")


class DatasetConfig(Knobs):
    """Which rows are made from the documents, how many forms each fact gets, and what is filtered out."""

    generators: tuple[GeneratorName, ...] = Field(
        tuple(GeneratorName), min_length=1, description="what makes rows; those left out make none"
    )
    forms: int = Field(10, ge=1, le=16, description="forms a fact is given in; n forms are the first n of n + 1")
    facts_per_document: int | None = Field(
        40, ge=1, description="facts taken of a document, those stated most firmly first; none: all"
    )
    dev: float = Field(0.05, ge=0, lt=1, description="share of the documents whose rows are held out, by document")
    passages: int | None = Field(None, ge=1, description="reader and quotes: passages a row; none: retrieval.passages")
    reader_questions: int = Field(1, ge=1, le=5, description="reader: wordings of each fact that are asked")
    without_gold: float = Field(
        0.15, ge=0, le=1, description="reader: share of rows without their right passage, answered prompt.not_found"
    )
    quotes: float = Field(0.2, ge=0, le=1, description="quotes: share of the facts whose sentence is asked for")
    unanswerable: float = Field(0.1, ge=0, le=1, description="unanswerable questions, as a share of the facts")
    text_tokens: int = Field(256, ge=16, description="text: longest window, in the generator's tokens")
    replay_path: Path | None = Field(
        None, description="replay: rows in any format `workbench dataset convert` reads; none: no replay"
    )
    replay: float = Field(0.08, gt=0, lt=1, description="replay: share of all rows, drawn by the seed")
    writer: WriterConfig | None = Field(None, description="set: models.generator writes more rows; none: it does not")
    filters: FilterConfig = FilterConfig()

    @model_validator(mode="after")
    def _each_generator_once(self) -> DatasetConfig:
        if len(set(self.generators)) < len(self.generators):
            raise ValueError(f"generators {[str(name) for name in self.generators]} name one twice")
        return self
