"""What an experiment is made of, each part built from the config when it is first needed, once.

Beside `bench.py` on the same floor: that one holds the stages, this one the models, corpus, questions and prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import assert_never

import torch
from transformers import PreTrainedModel

from workbench.config import (
    ExperimentConfig,
    LocalEngineConfig,
    OpenAIEngineConfig,
    RetrievalConfig,
    leaves_to_fit,
)
from workbench.corpus import read_folder
from workbench.errors import ConfigError, EmptyCorpusError
from workbench.evaluation import (
    NearCopy,
    QuestionFile,
    assign_splits,
    limit_questions,
    load_questions,
    refuse_leaks,
)
from workbench.evaluation.calibration import ThresholdFit, fit_threshold
from workbench.filters import parse_filter
from workbench.generation import LocalGenerator, OpenAIGenerator
from workbench.knowledge import Collection
from workbench.models import (
    CrossEncoderReranker,
    HfChatTokenizer,
    InstalledModel,
    SentenceEmbedder,
    built_by,
    choose_device_and_dtype,
    find_model,
    load_generator,
    load_tokenizer,
)
from workbench.prompting import PromptBuilder
from workbench.retrieval import FusionFit, LastEmbedded, Pipeline, best_scores, build_pipeline, fit_method, narrow
from workbench.runs import fingerprint
from workbench.strategies import GoldPassages
from workbench.training import answer_text, draw
from workbench.types import EVERYTHING, Document, Float32, Frozen, Question, ReadFailure, Split

DOCUMENTS = "documents.json"  # beside what was measured, and beside an adapter: which documents there were then


@dataclass(frozen=True, slots=True)
class Corpus:
    """The documents that could be read, and the files that could not."""

    documents: tuple[Document, ...]
    failures: tuple[ReadFailure, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over ids and contents."""
        return fingerprint([(document.id, document.fingerprint) for document in self.documents])

    @property
    def contents(self) -> dict[str, str]:
        """The fingerprint of each document by id: what documents.json holds, for later to see what changed."""
        return {document.id: document.fingerprint for document in self.documents}


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """All questions with their splits, and the training rows dropped because a test question copies them."""

    questions: tuple[Question, ...]
    leaks: tuple[NearCopy, ...]
    forbidden: frozenset[str]  # documents behind the `new` split, limit or not: no training row may show a word of them
    test_texts: tuple[str, ...] = ()  # of all test questions, limit or not: no training row may copy one

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all questions, splits included, in order."""
        return fingerprint(self.questions)

    @property
    def by_id(self) -> dict[str, Question]:
        """The questions by id."""
        return {question.id: question for question in self.questions}

    @property
    def test(self) -> tuple[Question, ...]:
        """The questions of both test splits."""
        return tuple(question for question in self.questions if question.split in (Split.SEEN, Split.NEW))

    def of(self, split: Split) -> tuple[Question, ...]:
        """The questions of one split."""
        return tuple(question for question in self.questions if question.split is split)


@dataclass(frozen=True, slots=True)
class Material:
    """Documents and split questions that were made, not read: a state of a corpus, a part of it."""

    corpus: Corpus
    questions: QuestionSet


class RetrievalFit(Frozen):
    """What retrieval learnt from the dev split; None: nothing was to be learnt."""

    fusion: FusionFit | None = None
    threshold: ThresholdFit | None = None


class Parts:
    """Parts of one experiment. Reading one builds what it needs; each is built once."""

    def __init__(self, config: ExperimentConfig, folder: Path, *, material: Material | None = None) -> None:
        """Take `material` in place of what corpus.path and questions.path hold."""
        self.config = config
        self.collection_folder = folder / "collection"
        self._material = material

    def check(self) -> None:
        """Find the models and read corpus and questions, so that a mistake in them is told before any work is done."""
        retrievals = [self.config.retrieval_of(name) for name in self.config.arms]
        reranking = ("reranker_files",) if any(one.rerank for one in retrievals) else ()
        for part in ("generator_files", "embedder_files", *reranking, "questions"):
            getattr(self, part)

    @cached_property
    def _question_file(self) -> QuestionFile:
        if self.config.corpus.inside_questions:
            return load_questions(self.config.questions.path)
        return load_questions(
            self.config.questions.path,
            documents={document.id: document.text for document in self.corpus.documents},
            unread={failure.source for failure in self.corpus.failures},
        )

    @cached_property
    def corpus(self) -> Corpus:
        """The documents of corpus.path or corpus.collection, or the passages the question file brings."""
        if self._material is not None:
            return self._material.corpus
        if self.config.corpus.path is not None:
            documents, failures = read_folder(
                self.config.corpus.path, self.config.corpus.include, limits=self.config.corpus.limits
            )
            return Corpus(tuple(documents), tuple(failures))
        if self.config.corpus.collection is not None:
            with Collection.open(self.config.corpus.collection, index=self.config.index) as collection:
                return Corpus(tuple(collection.document(facts.id) for facts in collection.documents()), ())
        if not self._question_file.passages:
            raise EmptyCorpusError(
                f"{self.config.questions.path} brings no passages of its own (only SQuAD files do); set corpus.path"
            )
        return Corpus(self._question_file.passages, ())

    @cached_property
    def questions(self) -> QuestionSet:
        """The questions, split, without training rows that copy a test question, test splits cut to the limit."""
        if self._material is not None:
            return self._material.questions
        config, seed = self.config.questions, self.config.seed
        split = assign_splits(self._question_file.questions, config.split, seed=seed)
        clean, leaks = refuse_leaks(split)
        new = [question for question in clean if question.split is Split.NEW]
        forbidden = {span.document_id for question in new for span in question.relevant}
        if self.config.corpus.inside_questions:  # a SQuAD title is the unit of the split: all its passages go
            groups = {question.group for question in new}
            forbidden |= {document.id for document in self.corpus.documents if document.title in groups}
        limited = limit_questions(clean, config.limit, seed=seed)
        texts = tuple(question.text for question in split if question.split in (Split.SEEN, Split.NEW))
        return QuestionSet(tuple(limited), tuple(leaks), frozenset(forbidden), texts)

    @cached_property
    def generator_files(self) -> InstalledModel:
        """The base model's folder and fingerprint. Raises MissingModelError with the command that brings it.

        Where a server answers and no arm has an adapter, a folder with tokenizer and config alone will do.
        """
        trains = any(arm.adapter is not None for arm in self.config.arms.values())
        whole = trains or not self.answers_elsewhere
        return find_model(self.config.models.generator, kind="generator", weights=whole)

    @cached_property
    def embedder_files(self) -> InstalledModel:
        """The embedder's folder and fingerprint. Raises MissingModelError with the command that brings it."""
        return find_model(self.config.models.embedder, kind="embedder")

    @cached_property
    def reranker_files(self) -> InstalledModel:
        """The reranker's folder and fingerprint. Raises MissingModelError with the command that brings it."""
        return find_model(self.config.models.reranker, kind="reranker")

    @cached_property
    def embedder(self) -> SentenceEmbedder:
        """The embedder, on the generator's device, computed by the backend the config names.

        `auto` takes the one the collection was built with, so that installing another makes no collection stale.
        """
        backend = self.config.models.embedder_backend
        if backend == "auto" and Collection.exists(self.collection_folder):
            with Collection.open(self.collection_folder, index=self.config.index) as collection:
                backend = built_by(collection.identity)
        return SentenceEmbedder(self.embedder_files, device=self.device_and_dtype[0], backend=backend)

    @cached_property
    def _remembering(self) -> LastEmbedded:
        return LastEmbedded(self.embedder)

    def embed_question(self, text: str) -> Float32:
        """Return a question's embedding, shape (D,): the one it was just searched with, bit for bit."""
        row: Float32 = self._remembering.embed_questions([text])[0]
        return row

    @cached_property
    def device_and_dtype(self) -> tuple[str, torch.dtype]:
        """Where and in which precision the generator runs."""
        return choose_device_and_dtype(self.config.models)

    @cached_property
    def model(self) -> PreTrainedModel:
        """The base model, bare while it is trained on; the generator takes it over afterwards."""
        device, dtype = self.device_and_dtype
        return load_generator(self.generator_files, device=device, dtype=dtype, quantize=self.config.models.quantize)[0]

    @cached_property
    def tokenizer(self) -> HfChatTokenizer:
        """The generator's tokenizer and chat template; the weights are not touched."""
        return HfChatTokenizer(load_tokenizer(self.generator_files), name=self.generator_files.name)

    @cached_property
    def builder(self) -> PromptBuilder:
        """The prompt builder of training, and of all arms without worked examples."""
        return PromptBuilder(self.tokenizer, self.config.prompt)

    def shots(self, n: int) -> list[tuple[str, str]]:
        """Return `n` worked examples, (question, answer), drawn by the seed.

        Raises:
            ConfigError: there are not so many answerable train questions.
        """
        able = [question for question in self.questions.of(Split.TRAIN) if question.answerable]
        if len(able) < n:
            raise ConfigError(f"an arm wants {n} shots, but {len(able)} answerable questions are in the train split")
        return [
            (question.text, answer_text(question, self.config.prompt))
            for question in draw(able, n, seed=self.config.seed)
        ]

    @cached_property
    def collection(self) -> Collection:
        """The collection, opened; it must have been indexed and fit the embedder."""
        return Collection.open(self.collection_folder, self.embedder.identity, index=self.config.index)

    @cached_property
    def reranker(self) -> CrossEncoderReranker:
        """The cross-encoder, loaded; needed only where retrieval.rerank is set."""
        backend = self.config.models.reranker_backend
        return CrossEncoderReranker(self.reranker_files, device=self.device_and_dtype[0], backend=backend)

    def build_finder(self, fit: RetrievalFit, retrieval: RetrievalConfig | None = None) -> Pipeline:
        """The steps from a question to its passages, with the numbers fitted on dev questions.

        Args:
            retrieval: an arm's own settings; None: the experiment's.
        """
        return build_pipeline(
            retrieval or self.config.retrieval,
            self.collection,
            self._remembering,
            reranker=lambda: self.reranker,
            fit=fit.fusion,
            threshold=fit.threshold.threshold if fit.threshold else None,
        )

    @property
    def learns_retrieval(self) -> bool:
        """Whether retrieval leaves anything to be fitted on dev questions."""
        return bool(leaves_to_fit(self.config.retrieval))

    def fit_retrieval(self) -> RetrievalFit:
        """Fit what retrieval leaves to be learnt from the dev split: fusion weights first, then the threshold.

        Raises:
            ConfigError: too few dev questions of a kind.
        """
        config, dev = self.config.retrieval, self.questions.of(Split.DEV)
        scope = narrow(EVERYTHING, None if config.filter is None else parse_filter(config.filter))
        fusion = fit_method(config.method, self.collection, self.embedder, dev, scope=scope)
        if config.threshold != "fitted":
            return RetrievalFit(fusion=fusion)
        finder = self.build_finder(RetrievalFit(fusion=fusion))
        answerable, unanswerable = best_scores(finder, dev, k=config.depth)
        return RetrievalFit(fusion=fusion, threshold=fit_threshold(answerable, unanswerable))

    @cached_property
    def gold(self) -> GoldPassages:
        """Which chunks hold a question's relevant spans."""
        return GoldPassages(self.collection.all_chunks())

    @property
    def answers_elsewhere(self) -> bool:
        """Whether another machine generates."""
        return not isinstance(self.config.generation.engine, LocalEngineConfig)

    @property
    def scores_gold(self) -> bool:
        """Whether what generates can also say how likely a text is."""
        engine = self.config.generation.engine
        return isinstance(engine, LocalEngineConfig) or engine.scores

    @cached_property
    def generator(self) -> LocalGenerator | OpenAIGenerator:
        """What answers: the base model here, or a server. Build it after training: adapters are attached to it."""
        config = self.config.generation
        match config.engine:
            case LocalEngineConfig():
                return LocalGenerator(
                    self.model,
                    self.tokenizer,
                    base_fingerprint=self.generator_files.fingerprint,
                    prefix_cache_bytes=config.prefix_cache_gib * 2**30,
                    stop_at_newline=config.stop_at_newline,
                )
            case OpenAIEngineConfig():
                return OpenAIGenerator(
                    config.engine,
                    self.tokenizer,
                    base_fingerprint=self.generator_files.fingerprint,
                    stop_at_newline=config.stop_at_newline,
                )
            case _:
                assert_never(config.engine)
