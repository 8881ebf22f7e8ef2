"""Documents to chunks: whole blocks packed under their heading, none longer than the embedder reads.

Not semantic splitting: structure decides, and the embedder's own tokens measure. A document is tokenised once and its
spans are counted by bisection; every finished chunk is then counted once more with its headings, since token counts
do not add up over a cut. Promises, for every document: spans are exact, every character that is not blank is in a
chunk, chunks come in order, ids are unique, and no chunk with its headings and special tokens exceeds the limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from workbench.config import ChunkingConfig
from workbench.contracts import TokenOffsets
from workbench.corpus.cutting import Ruler, Span, cut, halve
from workbench.corpus.outline import Unit, outline, shared_path, units_within
from workbench.errors import ConfigError
from workbench.types import BlockKind, Chunk, Document

_GROUP_CHARACTERS = 4_000_000  # text tokenised at once; its offsets take about 100 MB
_TINY_SHARE = 8  # a section below 1/8 of a chunk takes the next section in

HeadingPath = tuple[str, ...]  # headings, outermost first


def chunk_document(document: Document, offsets: TokenOffsets, config: ChunkingConfig) -> list[Chunk]:
    """Return the chunks of one document, in order; none for a blank one."""
    return chunk_documents([document], offsets, config)


def chunk_documents(documents: Iterable[Document], offsets: TokenOffsets, config: ChunkingConfig) -> list[Chunk]:
    """Return the chunks of all documents, in order.

    Raises:
        ConfigError: the limit has no room for a single character.
    """
    limit = min(config.max_tokens, offsets.max_tokens) - offsets.n_special_tokens
    if limit < 4:
        raise ConfigError(
            f"chunking.max_tokens {config.max_tokens} and the embedder's limit {offsets.max_tokens} leave {limit} "
            f"tokens for text beside {offsets.n_special_tokens} special ones; raise chunking.max_tokens"
        )
    chunks: list[Chunk] = []
    for group in _group(documents):
        outlines = [outline(document) for document in group]
        measures = measure_paths({unit.path for units in outlines for unit in units}, offsets, limit // 2)
        counted = offsets.token_offsets([document.text for document in group])
        drafts = [
            _Draft(document, units, pack(units, Ruler(document.text, tokens), measures, limit, config.overlap_tokens))
            for document, units, tokens in zip(group, outlines, counted, strict=True)
        ]
        chunks += settle(drafts, measures, offsets, limit)
    return chunks


@dataclass(frozen=True, slots=True)
class _Draft:
    """A document on its way to chunks."""

    document: Document
    units: Sequence[Unit]
    spans: Sequence[Span]


@dataclass(frozen=True, slots=True)
class PathMeasure:
    """The part of a heading path that a chunk may carry, and its tokens."""

    kept: HeadingPath
    n_tokens: int


def measure_paths(paths: Iterable[HeadingPath], offsets: TokenOffsets, budget: int) -> dict[HeadingPath, PathMeasure]:
    """Return for each path its innermost headings that fit `budget` tokens: the outermost go first."""
    ordered = sorted(paths)
    lines = [" > ".join(path) + "\n" for path in ordered]  # as Chunk.indexed_text writes it
    measures: dict[HeadingPath, PathMeasure] = {(): PathMeasure((), 0)}
    for path, line, tokens in zip(ordered, lines, offsets.token_offsets(lines), strict=True):
        ruler = Ruler(line, tokens)
        kept, start = path, 0
        while kept and ruler.count(start, len(line)) > budget:
            start += len(kept[0]) + len(" > ")
            kept = kept[1:]
        measures[path] = PathMeasure(kept, ruler.count(start, len(line)) if kept else 0)
    return measures


def pack(
    units: Sequence[Unit], ruler: Ruler, measures: dict[HeadingPath, PathMeasure], limit: int, overlap: int
) -> list[Span]:
    """Return spans of whole units, filled up to `limit` tokens; a unit beyond it is cut, its end left open for more.

    A heading opens a span unless what stands before is only headings, or tiny and under the same headings.
    """
    spans: list[Span] = []
    members: list[Unit] = []  # of the open span, which starts at `start`
    start = 0
    for unit in units:
        room = limit - measures[(members or [unit])[0].path].n_tokens
        if members and ruler.count(start, unit.end) <= room and _may_join(members, unit, ruler, start, limit):
            members.append(unit)
            continue
        headings = _trailing_headings(members)  # they go with what follows
        if len(headings) < len(members):
            spans.append((start, members[-len(headings) - 1].end))
            members = headings
            start = (headings or [unit])[0].start
        elif not members:
            start = unit.start
        members = [*members, unit]
        room = limit - measures[unit.path].n_tokens
        if ruler.count(start, unit.end) > room:
            *whole, (start, _) = cut(ruler, (start, unit.end), unit.kind, room, overlap)
            spans += whole
            members = [unit]
    if not members:
        return spans
    end = members[-1].end
    if spans and len(_trailing_headings(members)) == len(members) and ruler.count(spans[-1][0], end) <= limit // 2:
        start = spans.pop()[0]  # headings that nothing follows
    return [*spans, (start, end)]


def settle(
    drafts: Sequence[_Draft], measures: dict[HeadingPath, PathMeasure], offsets: TokenOffsets, limit: int
) -> list[Chunk]:
    """Return the drafts' spans as chunks that were counted with their headings; those over `limit` are halved.

    Raises:
        ConfigError: one character alone takes more than `limit` tokens.
    """
    settled: dict[tuple[int, Span], Chunk] = {}
    open_spans = [(n, span) for n, draft in enumerate(drafts) for span in draft.spans]
    while open_spans:
        chunks = [_build(drafts[n], span, measures) for n, span in open_spans]
        counts = offsets.token_offsets([chunk.indexed_text for chunk in chunks])
        halves: list[tuple[int, Span]] = []
        for (n, span), chunk, tokens in zip(open_spans, chunks, counts, strict=True):
            if len(tokens) <= limit:
                settled[n, span] = chunk
            elif span[1] - span[0] > 1:
                halves += [(n, half) for half in halve(drafts[n].document.text, span)]
            else:
                settled[n, span] = _without_headings(chunk, offsets, limit)
        open_spans = halves
    return [settled[key] for key in sorted(settled)]


def _may_join(members: Sequence[Unit], unit: Unit, ruler: Ruler, start: int, limit: int) -> bool:
    """Whether `unit`, which fits, belongs into the open span."""
    if unit.kind is not BlockKind.HEADING or len(_trailing_headings(members)) == len(members):
        return True
    path = shared_path(members)
    return ruler.count(start, members[-1].end) * _TINY_SHARE < limit and unit.path[: len(path)] == path


def _trailing_headings(members: Sequence[Unit]) -> list[Unit]:
    n = len(members)
    while n and members[n - 1].kind is BlockKind.HEADING:
        n -= 1
    return list(members[n:])


def _build(draft: _Draft, span: Span, measures: dict[HeadingPath, PathMeasure]) -> Chunk:
    start, end = span
    document = draft.document
    units = units_within(draft.units, start, end)
    path = shared_path(units)
    kept = measures[path].kept if path in measures else path
    id_ = f"{document.id}:{start}-{end}"
    return Chunk(id_, document.id, start, end, document.text[start:end], kept, units[0].page)


def _without_headings(chunk: Chunk, offsets: TokenOffsets, limit: int) -> Chunk:
    """Return a chunk of one character that only fits bare."""
    n_tokens = len(offsets.token_offsets([chunk.text])[0])
    if n_tokens > limit:
        raise ConfigError(
            f"character {chunk.text!r} of {chunk.document_id} takes {n_tokens} tokens, "
            f"but chunks have room for {limit}; raise chunking.max_tokens"
        )
    return Chunk(chunk.id, chunk.document_id, chunk.start, chunk.end, chunk.text, (), chunk.page)


def _group(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Yield the documents in lists of about `_GROUP_CHARACTERS`."""
    group: list[Document] = []
    n_characters = 0
    for document in documents:
        group.append(document)
        n_characters += len(document.text)
        if n_characters >= _GROUP_CHARACTERS:
            yield group
            group, n_characters = [], 0
    if group:
        yield group
