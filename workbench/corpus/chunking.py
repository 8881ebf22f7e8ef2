"""Documents to chunks: whole blocks packed under their heading, none longer than the embedder reads.

Not semantic splitting: structure decides, and the embedder's own tokens measure. A document is tokenised once and its
spans are counted by bisection; every finished chunk is then counted once more with its headings, since token counts
do not add up over a cut. A chunk that starts inside a table carries the table's header. Promises, for every document:
spans are exact, every character that is not blank is in a chunk, chunks come in order, ids are unique, and no chunk
with its headings, header and special tokens exceeds the limit. An edit of a long document changes the chunks around
it and none far off: see `find_anchors`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from workbench.config import ChunkingConfig
from workbench.contracts import TokenOffsets
from workbench.corpus.contexts import Context, Place, measure_contexts, pick_context
from workbench.corpus.cutting import Ruler, Span, cut, find_anchors, halve
from workbench.corpus.outline import Unit, outline, shared_path, units_within
from workbench.errors import ConfigError
from workbench.types import BlockKind, Chunk, Document

_GROUP_CHARACTERS = 4_000_000  # text tokenised at once; its offsets take about 100 MB
_TINY_SHARE = 8  # a section below 1/8 of a chunk takes the next section in
# Anchors make up to a fifth more chunks where no headings are, and an edit of a short document changes few in any case:
# up to this many chunks' worth of tokens it is filled chunk by chunk, as the recorded figures were measured.
_UNANCHORED_CHUNKS = 100
_ANCHOR_SPACING = 1.5  # in chunks: an edit changes 2 to 3 on average; 1.0: 0.3 fewer, and up to 18 % more chunks


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
        places = {(unit.path, header) for units in outlines for unit in units for header in {"", unit.header}}
        contexts = measure_contexts(places, offsets, limit)
        counted = offsets.token_offsets([document.text for document in group])
        drafts = []
        for document, units, tokens in zip(group, outlines, counted, strict=True):
            ruler = Ruler(document.text, tokens)
            anchors: list[int] = []
            if len(tokens) > _UNANCHORED_CHUNKS * limit:
                blocks = (((unit.start, unit.end), unit.kind) for unit in units)
                anchors = find_anchors(ruler, blocks, int(_ANCHOR_SPACING * limit))
            spans = pack(units, ruler, contexts, limit, config.overlap_tokens, anchors=anchors)
            drafts.append(_Draft(document, units, spans))
        chunks += settle(drafts, contexts, offsets, limit)
    return chunks


@dataclass(frozen=True, slots=True)
class _Draft:
    """A document on its way to chunks."""

    document: Document
    units: Sequence[Unit]
    spans: Sequence[Span]


def pack(
    units: Sequence[Unit],
    ruler: Ruler,
    contexts: Mapping[Place, Context],
    limit: int,
    overlap: int,
    *,
    anchors: Sequence[int] = (),
) -> list[Span]:
    """Return spans of whole units, filled up to `limit` tokens; a unit beyond it is cut, its end left open for more.

    A heading opens a span unless what stands before is only headings, or tiny and under the same headings. A unit at
    one of `anchors`, which are in order, opens a span with the headings before it.
    """
    forced = set(anchors)
    spans: list[Span] = []
    members: list[Unit] = []  # of the open span, which starts at `start`
    start = 0
    for unit in units:
        first = (members or [unit])[0]
        inside = bool(members) and start > first.start
        room = limit - contexts[first.path, first.header if inside else ""].n_tokens
        fits = unit.start not in forced and ruler.count(start, unit.end) <= room
        if members and fits and _may_join(members, unit, ruler, start, limit):
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
        room = limit - contexts[unit.path, ""].n_tokens
        if ruler.count(start, unit.end) > room:
            later_room = limit - contexts[unit.path, unit.header].n_tokens
            inner = anchors[bisect_right(anchors, unit.start) : bisect_left(anchors, unit.end)]
            *whole, (start, _) = cut(
                ruler, (start, unit.end), unit.kind, room, overlap, later_room=later_room, anchors=inner
            )
            spans += whole
            members = [unit]
    if not members:
        return spans
    end = members[-1].end
    if spans and len(_trailing_headings(members)) == len(members) and ruler.count(spans[-1][0], end) <= limit // 2:
        start = spans.pop()[0]  # headings that nothing follows
    return [*spans, (start, end)]


def settle(
    drafts: Sequence[_Draft], contexts: Mapping[Place, Context], offsets: TokenOffsets, limit: int
) -> list[Chunk]:
    """Return the drafts' spans as chunks that were counted with their headings; those over `limit` are halved.

    Raises:
        ConfigError: one character alone takes more than `limit` tokens.
    """
    settled: dict[tuple[int, Span], Chunk] = {}
    open_spans = [(n, span) for n, draft in enumerate(drafts) for span in draft.spans]
    while open_spans:
        chunks = [_build(drafts[n], span, contexts) for n, span in open_spans]
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


def _build(draft: _Draft, span: Span, contexts: Mapping[Place, Context]) -> Chunk:
    start, end = span
    document = draft.document
    units = units_within(draft.units, start, end)
    context = pick_context(contexts, shared_path(units), units[0].header if start > units[0].start else "")
    id_ = f"{document.id}:{start}-{end}"
    return Chunk(
        id_, document.id, start, end, document.text[start:end], context.headings, units[0].page, context.header
    )


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
