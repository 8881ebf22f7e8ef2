"""Scripted updates: which documents are added, changed and deleted, and what is asked about them before and after.

What is asked are training questions, as they were taught: the best case for weights, and no different for passages.
Larger updates hold the smaller ones. Before the first update, the documents that the largest one adds are not there.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbench.config import FreshnessConfig
from workbench.errors import ConfigError
from workbench.parts import Corpus, Material, QuestionSet
from workbench.runs import fingerprint
from workbench.series.edits import Swap, edit_document, edit_question, find_substitute, stated_answer
from workbench.types import Document, Question, Split

FACTS_A_DOCUMENT = 4  # changed ones, at most: more would leave little of it
KINDS = ("changed", "added", "deleted", "kept")


@dataclass(frozen=True, slots=True)
class Changed:
    """One document whose facts were changed, with all its questions as they are asked of it now."""

    document: Document
    questions: Mapping[str, Question]  # by id
    asked: tuple[str, ...]  # ids of the questions whose answers changed


class UpdatePlan:
    """Draws the documents once; `before` is the state that every update starts from."""

    def __init__(self, corpus: Corpus, questions: QuestionSet, config: FreshnessConfig, *, seed: int) -> None:
        """Draw.

        Raises:
            ConfigError: too few documents have training questions, or facts that can be changed.
        """
        self.corpus, self.questions, self.config, self._seed = corpus, questions, config, seed
        self._taught: dict[str, list[Question]] = {}
        for question in questions.of(Split.TRAIN):
            documents = {span.document_id for span in question.relevant}
            if question.answerable and len(documents) == 1:
                self._taught.setdefault(documents.pop(), []).append(question)
        self._texts = {document.id: document for document in corpus.documents}
        self.sizes = {share: max(1, round(share * len(corpus.documents) / 3)) for share in config.shares}
        self._draw(max(self.sizes.values()))

    def _draw(self, most: int) -> None:
        rng = random.Random(f"{self._seed}:updates")
        taught = sorted(id_ for id_ in self._taught if id_ in self._texts)
        rng.shuffle(taught)
        self.changed: dict[str, Changed] = {}
        for id_ in taught:
            if len(self.changed) < most and (changed := self._change(id_)) is not None:
                self.changed[id_] = changed
        rest = [id_ for id_ in taught if id_ not in self.changed]
        self.added, self.deleted, self._kept = rest[:most], rest[most : 2 * most], rest[2 * most :]
        if len(self.changed) < most or len(self.deleted) < most:
            raise ConfigError(
                f"freshness.shares asks for {most} documents to change, {most} to add and {most} to delete, but of "
                f"{len(self.corpus.documents)} documents {len(taught)} are asked about by training questions, and "
                f"{len(self.changed)} of those drawn state a fact that can be changed; name smaller shares"
            )

    def _change(self, id_: str) -> Changed | None:
        """Return the document with some of its facts changed; None: no fact of it can be."""
        rng = random.Random(f"{self._seed}:{id_}:change")
        others = sorted({q.answers[0] for one, taught in self._taught.items() if one != id_ for q in taught})
        rng.shuffle(others)
        document = self._texts[id_]
        questions = {q.id: q for q in self.questions.questions if any(s.document_id == id_ for s in q.relevant)}
        asked: list[str] = []
        words: list[str] = []  # taken up by swaps already
        for taught in self._taught[id_]:
            old = stated_answer(questions[taught.id], document)
            if old is None or len(asked) == FACTS_A_DOCUMENT or _overlaps(old, words):
                continue
            new = find_substitute(old, [one for one in others if not _overlaps(one, words)], document)
            if new is not None:
                swap = Swap(old, new)
                questions = {q.id: edit_question(q, document, swap) for q in questions.values()}
                document = edit_document(document, swap)
                asked.append(taught.id)
                words += [old, new]
        old_answers = {q.id: q.answers for q in self._taught[id_]}
        for one in asked:  # an accepted wording that the swap did not touch is not true any more
            true = tuple(answer for answer in questions[one].answers if answer not in old_answers[one])
            questions[one] = questions[one].model_copy(update={"answers": true})
        return Changed(document, questions, tuple(asked)) if asked else None

    @property
    def before(self) -> Material:
        """The state before any update; everything that any update asks about is asked, as it is true now."""
        asked = {(kind, q.id): q for n in self.sizes.values() for kind, q in self._asked(n)}
        probes = [_probe(question, kind) for (kind, _), question in asked.items()]
        return self._state(without=set(self.added), changed={}, probes=probes)

    def after(self, share: float) -> Material:
        """The state after the update of this share."""
        n = self.sizes[share]
        changed = {id_: self.changed[id_] for id_ in list(self.changed)[:n]}
        now = {q.id: q for one in changed.values() for q in one.questions.values()}
        probes = [_probe(now.get(question.id, question), kind) for kind, question in self._asked(n)]
        return self._state(without={*self.added[n:], *self.deleted[:n]}, changed=changed, probes=probes)

    def old_answers(self) -> dict[str, tuple[str, ...]]:
        """Return probe id → what was true before any update, of changed and deleted facts."""
        ids = {"changed": self.changed, "deleted": self.deleted}
        return {_id(q, kind): q.answers for kind, places in ids.items() for id_ in places for q in self._taught[id_]}

    def _asked(self, n: int) -> list[tuple[str, Question]]:
        """Return (kind, question as taught) of what is asked about an update of `n` documents of each kind."""
        rows: list[tuple[str, Question]] = []
        places = {"changed": list(self.changed), "added": self.added, "deleted": self.deleted, "kept": self._kept}
        for kind in KINDS:
            of_kind = [
                question
                for id_ in places[kind][: None if kind == "kept" else n]
                for question in self._taught[id_]
                if kind != "changed" or question.id in self.changed[id_].asked
            ]
            of_kind.sort(key=lambda q: fingerprint(self._seed, q.id))  # drawn alike for every size
            rows += [(kind, question) for question in of_kind[: self.config.questions]]
        return rows

    def _state(self, *, without: set[str], changed: Mapping[str, Changed], probes: Iterable[Question]) -> Material:
        documents = [
            changed[document.id].document if document.id in changed else document
            for document in self.corpus.documents
            if document.id not in without
        ]
        now = {q.id: q for one in changed.values() for q in one.questions.values()}
        learned = [
            now.get(question.id, question)
            for question in self.questions.questions
            if question.split in (Split.TRAIN, Split.DEV)
            and not any(span.document_id in without for span in question.relevant)
        ]
        return Material(
            Corpus(tuple(documents), self.corpus.failures),
            QuestionSet((*learned, *probes), (), self.questions.forbidden, self.questions.test_texts),
        )


def _probe(question: Question, kind: str) -> Question:
    """Return the question as it is asked: of its kind, in a test split."""
    return question.model_copy(update={"id": _id(question, kind), "kind": kind, "split": Split.SEEN})


def _id(question: Question, kind: str) -> str:
    return f"{question.id}@{kind}"


def _overlaps(words: str, taken: Iterable[str]) -> bool:
    folded = words.casefold()
    return any(folded in one.casefold() or one.casefold() in folded for one in taken)
