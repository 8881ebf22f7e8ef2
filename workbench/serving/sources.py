"""Passages as an answer's sources: a list for programs, lines for people whose client shows the text only."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from workbench.serving.wire import Source
from workbench.types import Hit


def list_sources(hits: Sequence[Hit], collection: str, *, cited: Collection[int] | None = None) -> list[Source]:
    """Return hits as sources, numbered as they are cited; `cited`: the numbers that are, None: not to be said."""
    return [
        Source(
            number=number,
            collection=collection,
            document_id=hit.chunk.document_id,
            start=hit.chunk.start,
            end=hit.chunk.end,
            page=hit.chunk.page,
            headings=list(hit.chunk.headings),
            score=float(hit.score),
            cited=None if cited is None else number in cited,
            text=hit.chunk.text,
        )
        for number, hit in enumerate(hits, start=1)
    ]


def write_sources(sources: Sequence[Source]) -> str:
    """Return the lines that follow an answer; none where there is no source."""
    if not sources:
        return ""
    lines = [
        f"[{source.number}] {source.collection}/{source.document_id}, "
        + (f"page {source.page}" if source.page is not None else f"characters {source.start}-{source.end}")
        for source in sources
    ]
    return "\n\nSources:\n" + "\n".join(lines)
