"""Two editions side by side: what the same questions find in each, before one is promoted or rolled back.

Passages are compared by their place in the documents, since each embedder may have cut its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from workbench.errors import ConfigError, DamagedCollectionError, StaleIndexError
from workbench.evaluation.retrieval_metrics import retrieval_scores
from workbench.knowledge.collection import DATABASE, SEGMENTS, Collection
from workbench.knowledge.editions import Pinned, pin_segments
from workbench.knowledge.records import Records
from workbench.knowledge.reembed import list_editions
from workbench.knowledge.refusals import refuse_lone
from workbench.knowledge.schema import State
from workbench.knowledge.searching import find_vectors
from workbench.knowledge.view import View, build_view
from workbench.types import EVERYTHING, Float32, HitRecord, Question, Span

EmbedQuestions = Callable[[Sequence[str]], Float32]
SAMPLE_WORDS = 12


@dataclass(frozen=True, slots=True)
class EditionComparison:
    """What both editions find. Scores are means over the judged questions, in [0, 1], by name."""

    k: int
    n_questions: int
    n_judged: int  # questions with relevant spans
    overlap: float  # share of the active edition's hits that the other finds too, mean over the questions
    active: Mapping[str, float]
    other: Mapping[str, float]


def sample_questions(collection: Collection, n: int, *, seed: int = 0) -> list[Question]:
    """Return a question for each of `n` chunks drawn from the active edition: words from its middle, and its span.

    For collections without questions of their own. They are easier than what people ask: good for comparing alone.
    """
    chunks = collection.all_chunks()
    drawn = np.random.default_rng(seed).permutation(len(chunks))[:n]
    questions = []
    for place in sorted(drawn.tolist()):
        chunk = chunks[place]
        words = chunk.text.split()
        start = max(0, (len(words) - SAMPLE_WORDS) // 2)
        text = " ".join(words[start : start + SAMPLE_WORDS])
        if text:
            span = Span(document_id=chunk.document_id, start=chunk.start, end=chunk.end)
            questions.append(Question(id=chunk.id, text=text, relevant=(span,)))
    return questions


def compare_editions(
    collection: Collection,
    questions: Sequence[Question],
    embed_active: EmbedQuestions,
    embed_other: EmbedQuestions,
    *,
    k: int = 10,
) -> EditionComparison:
    """Ask both editions of the newest state the same questions.

    Args:
        collection: open, with two editions that hold all documents.
        questions: at least one; those with relevant spans are judged.
        embed_active: embeds questions with the embedder of the active edition, shape (N, D).
        embed_other: the same for the other edition.
        k: how many passages are looked at.

    Raises:
        ConfigError: there are no questions.
        StaleIndexError: there is no other edition, or it lacks documents, or vectors have another dimension.
    """
    if not questions:
        raise ConfigError(
            f"there are no questions to compare the editions of {collection.folder} by; give a file that has some: "
            f"workbench reembed {collection.folder} EMBEDDER --questions FILE"
        )
    editions = list_editions(collection)
    if len(editions) == 1:
        raise refuse_lone(collection.folder, editions[0].identity)
    for edition in editions:
        if edition.n_missing:
            name = edition.identity.name
            raise StaleIndexError(
                f"the edition of embedder {name!r} lacks {edition.n_missing} documents of {collection.folder}; whole "
                f"ones are compared: workbench reembed {collection.folder} {name}"
            )
    texts = [question.text for question in questions]
    with closing(Records(collection.folder / DATABASE)) as store:
        pinned = pin_segments(store, collection.folder / SEGMENTS)
        active, _ = store.vouched()
        pinned.sort(key=lambda one: one.edition.number != active)
        found = [
            _ask(store, _open_view(store, one), questions, embed(texts), k)
            for one, embed in zip(pinned, (embed_active, embed_other), strict=True)
        ]
    relevant = {question.id: question.relevant for question in questions if question.relevant}
    return EditionComparison(
        k=k,
        n_questions=len(questions),
        n_judged=len(relevant),
        overlap=float(np.mean([_overlap(found[0][one.id], found[1][one.id]) for one in questions])),
        active=_score(found[0], relevant, k),
        other=_score(found[1], relevant, k),
    )


def _open_view(store: Records, pinned: Pinned) -> View:
    if pinned.faults:
        raise DamagedCollectionError(
            f"segments {', '.join(pinned.faults)} of edition {pinned.edition.number} are unusable; build them again: "
            f"workbench repair {store.path.parent}"
        )
    ledgers = store.scan_documents(), store.scan_chunks(pinned.edition.number)
    return build_view(store, State(pinned.edition.number, pinned.edition, b""), *ledgers, pinned.segments)


Found = dict[str, list[HitRecord]]  # by question id


def _ask(store: Records, view: View, questions: Sequence[Question], vectors: Float32, k: int) -> Found:
    found: Found = {}
    for question, vector in zip(questions, vectors, strict=True):
        scored = find_vectors(store, view, vector, k=k, scope=EVERYTHING)
        chunks = [store.chunk(view.state.edition.number, id_).chunk for id_, _ in scored]
        found[question.id] = [
            HitRecord(document_id=one.document_id, start=one.start, end=one.end, score=score, in_prompt=False)
            for one, (_, score) in zip(chunks, scored, strict=True)
        ]
    return found


def _overlap(hits: Sequence[HitRecord], others: Sequence[HitRecord]) -> float:
    """Return the share of `hits` that one of `others` has half in common with, of the shorter of both; no hits: 1."""
    if not hits:
        return 1.0
    return sum(any(_agree(hit, other) for other in others) for hit in hits) / len(hits)


def _agree(hit: HitRecord, other: HitRecord) -> bool:
    common = min(hit.end, other.end) - max(hit.start, other.start)
    return hit.document_id == other.document_id and 2 * common >= min(hit.end - hit.start, other.end - other.start)


def _score(found: Found, relevant: Mapping[str, Sequence[Span]], k: int) -> dict[str, float]:
    """Return the means of the measures of `retrieval_scores`, and of recall: the share of spans that some hit meets."""
    if not relevant:
        return {}
    rows = retrieval_scores(found, relevant, depth=k)
    recalls = [
        np.mean([any(_meets(hit, span) for hit in found[id_]) for span in spans]) for id_, spans in relevant.items()
    ]
    means = {name: float(np.mean([row[name] for row in rows.values()])) for name in next(iter(rows.values()))}
    return {f"recall@{k}": float(np.mean(recalls)), **means}


def _meets(hit: HitRecord, span: Span) -> bool:
    return hit.document_id == span.document_id and hit.start < span.end and span.start < hit.end
