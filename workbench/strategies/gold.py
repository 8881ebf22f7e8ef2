"""Which chunks hold a question's relevant spans: the right passages, for the oracle control and for reader rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from workbench.types import Chunk, Hit, Question, Ranking


class GoldPassages:
    """Spans → chunks of one collection."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._by_document: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in chunks:
            self._by_document[chunk.document_id].append(chunk)

    def find(self, question: Question) -> Ranking:
        """Return one chunk a span: the first that holds all of it, else the one that holds most of it.

        Empty for an unanswerable question, or when the documents are not in the collection.
        """
        found: dict[str, Chunk] = {}
        for span in question.relevant:
            overlaps = [
                (min(chunk.end, span.end) - max(chunk.start, span.start), -chunk.start, chunk)
                for chunk in self._by_document.get(span.document_id, [])
                if chunk.start < span.end and span.start < chunk.end
            ]
            if overlaps:
                best = max(overlaps, key=lambda overlap: overlap[:2])[2]
                found.setdefault(best.id, best)
        return tuple(Hit(chunk, 1.0) for chunk in found.values())
