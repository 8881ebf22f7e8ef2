"""Found by a small chunk, read in its surroundings: hits grow over the chunks around them.

A passage is an unbroken run of whole chunks of one document; no chunk is in two passages. Its text is the document's
own, so spans stay exact and citations stay true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from workbench.config import ExpansionConfig
from workbench.contracts import ChunkStore, TokenOffsets
from workbench.types import Chunk, Hit, Ranking


@dataclass(slots=True)
class _Passage:
    """A run of chunks in the document's order, and the score of the best hit inside."""

    chunks: list[Chunk]
    score: float


class Expansion:
    """Widens hits to passages of at most `max_tokens` tokens, context included."""

    def __init__(self, collection: ChunkStore, offsets: TokenOffsets, config: ExpansionConfig) -> None:
        self._collection = collection
        self._offsets = offsets
        self._config = config

    def widen(self, ranking: Ranking) -> Ranking:
        """Return the hits of `ranking` with their surroundings, best first, each with its best hit's score.

        A hit grows by the nearest chunk first, the following before the preceding, while the passage fits; a chunk over
        the limit on its own stays as it is. Passages that meet in a chunk become one where that fits; else the
        better hit keeps the chunk. A hit inside a better hit's passage adds none, so there may be fewer than before.
        """
        texts = {id_: self._collection.document(id_).text for id_ in {hit.chunk.document_id for hit in ranking}}
        passages: list[_Passage] = []
        for hit in ranking:
            run = self._grow(hit.chunk, texts)
            home = next((passage for passage in passages if _meet(passage.chunks, run)), None)
            if home is not None:
                others = [passage for passage in passages if passage is not home]
                part = _free_part(run, hit.chunk, others)
                together = _unite(home.chunks, part)
                if _meet(home.chunks, part) and self._fits(together, texts):
                    home.chunks = together
                    continue
            free = _free_part(run, hit.chunk, passages)
            if free:
                passages.append(_Passage(free, hit.score))
        widened = [Hit(_join(passage.chunks, texts), passage.score) for passage in passages]
        return tuple(sorted(widened, key=lambda hit: (-hit.score, hit.chunk.id)))

    def _grow(self, chunk: Chunk, texts: Mapping[str, str]) -> list[Chunk]:
        around = self._surroundings(chunk)
        place = [one.id for one in around].index(chunk.id)
        low = high = place
        for step in sorted(range(len(around)), key=lambda other: (abs(other - place), other < place)):
            # A side that did not fit ends there: what lies beyond is no neighbour of the run any more.
            wider = min(low, step), max(high, step)
            if step in (low - 1, high + 1) and self._fits(around[wider[0] : wider[1] + 1], texts):
                low, high = wider
        return around[low : high + 1]

    def _surroundings(self, chunk: Chunk) -> list[Chunk]:
        if self._config.by == "section":
            return self._collection.section(chunk.id)
        return self._collection.neighbours(chunk.id, before=self._config.neighbours, after=self._config.neighbours)

    def _fits(self, run: Sequence[Chunk], texts: Mapping[str, str]) -> bool:
        tokens = self._offsets.token_offsets([_join(run, texts).indexed_text])[0]
        return len(tokens) <= self._config.max_tokens


def _join(run: Sequence[Chunk], texts: Mapping[str, str]) -> Chunk:
    first = run[0]
    if len(run) == 1:
        return first
    start, end = min(chunk.start for chunk in run), max(chunk.end for chunk in run)
    levels = zip(*(chunk.headings for chunk in run), strict=False)
    shared = takewhile(lambda level: len(set(level)) == 1, levels)
    return replace(
        first,  # page and table header are those of the passage's start
        id=f"{first.document_id}:{start}-{end}",
        start=start,
        end=end,
        text=texts[first.document_id][start:end],
        headings=tuple(level[0] for level in shared),
    )


def _meet(run: Sequence[Chunk], other: Sequence[Chunk]) -> bool:
    return not {chunk.id for chunk in run}.isdisjoint(chunk.id for chunk in other)


def _unite(run: Sequence[Chunk], other: Sequence[Chunk]) -> list[Chunk]:
    return sorted({chunk.id: chunk for chunk in (*run, *other)}.values(), key=lambda chunk: (chunk.start, chunk.end))


def _free_part(run: Sequence[Chunk], chunk: Chunk, passages: Sequence[_Passage]) -> list[Chunk]:
    """Return the unbroken part of `run` around `chunk` that no passage holds; nothing where one holds `chunk`."""
    held = {one.id for passage in passages for one in passage.chunks}
    place = [one.id for one in run].index(chunk.id)
    if chunk.id in held:
        return []
    before = takewhile(lambda one: one.id not in held, reversed(run[:place]))
    after = takewhile(lambda one: one.id not in held, run[place:])
    return [*reversed(list(before)), *after]
