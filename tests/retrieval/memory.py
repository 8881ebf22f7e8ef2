"""A collection in memory, by brute force: everything `contracts.ChunkStore` promises, in the plainest way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from tests.knowledge.fakes import IDENTITY, cut_paragraphs, embed_text
from workbench.errors import StaleIndexError
from workbench.filters import passes
from workbench.types import EVERYTHING, Chunk, Document, EmbedderIdentity, Float32, Scope

WORD = re.compile(r"\w+")


class MemoryStore:
    """Cuts documents at line ends. Words are scored by how often the question's words occur."""

    def __init__(
        self, documents: Sequence[Document], cut: Callable[[Sequence[Document]], list[Chunk]] = cut_paragraphs
    ) -> None:
        self.documents = {document.id: document for document in documents}
        self.all = {chunk.id: chunk for chunk in cut(documents)}

    def require(self, identity: EmbedderIdentity) -> None:
        if identity != IDENTITY:
            raise StaleIndexError(f"built with name {IDENTITY.name!r}, but asked for name {identity.name!r}")

    def search_vectors(self, vector: Float32, *, k: int, scope: Scope = EVERYTHING) -> list[tuple[str, float]]:
        ids = self._inside(scope)
        scores = self.vectors_of(ids) @ vector if ids else np.zeros(0, np.float32)
        return self._best(dict(zip(ids, scores.tolist(), strict=True)), k)

    def search_words(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> list[tuple[str, float]]:
        wanted = set(WORD.findall(question.lower()))
        counts = {id_: Counter(WORD.findall(self.all[id_].indexed_text.lower())) for id_ in self._inside(scope)}
        scores = {id_: float(sum(count[word] for word in wanted)) for id_, count in counts.items()}
        return self._best({id_: score for id_, score in scores.items() if score > 0}, k)

    def chunks(self, ids: Sequence[str]) -> list[Chunk]:
        return [self.all[id_] for id_ in ids]

    def vectors_of(self, ids: Sequence[str]) -> Float32:
        return np.stack([embed_text(self.all[id_].indexed_text) for id_ in ids])

    def neighbours(self, chunk_id: str, *, before: int, after: int) -> list[Chunk]:
        run = self._siblings(chunk_id)
        place = run.index(self.all[chunk_id])
        return run[max(0, place - before) : place + after + 1]

    def section(self, chunk_id: str) -> list[Chunk]:
        runs = (list(run) for _, run in groupby(self._siblings(chunk_id), key=lambda chunk: chunk.headings))
        return next(run for run in runs if self.all[chunk_id] in run)

    def document(self, id_: str) -> Document:
        return self.documents[id_]

    def _siblings(self, chunk_id: str) -> list[Chunk]:
        document_id = self.all[chunk_id].document_id
        run = [chunk for chunk in self.all.values() if chunk.document_id == document_id]
        return sorted(run, key=lambda chunk: (chunk.start, chunk.end))

    def _inside(self, scope: Scope) -> list[str]:
        return [id_ for id_, chunk in self.all.items() if visible(self.documents[chunk.document_id], scope)]

    @staticmethod
    def _best(scores: dict[str, float], k: int) -> list[tuple[str, float]]:
        return sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:k]


def visible(document: Document, scope: Scope) -> bool:
    allowed = scope.principals is None or document.readers is None or bool(scope.principals & set(document.readers))
    return allowed and (scope.filter is None or passes(scope.filter, document.metadata))
