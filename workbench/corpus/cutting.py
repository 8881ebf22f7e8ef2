"""Where a text may be cut: after a row or line, after a sentence, between words, and between tokens at the last.

Sentence ends are found by punctuation, which is wrong after an abbreviation; a cut there costs little.

A long document is also cut at anchors: places chosen by a hash of their own words, so that cuts agree again from the
next anchor after an edit on. An edit that makes, ends or crowds an anchor moves a few more, each with less likelihood.
Taking places in order of the hash, none near a taken one, is Rényi's car parking (1958): gaps of 1 to 2 spacings, 1.34
on average.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise

from workbench.types import BlockKind

Span = tuple[int, int]  # characters, end exclusive

_LINE = re.compile(r"\n\s*")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？])\s*|\n[ \t]*\n\s*")
_WORD = re.compile(r"\s+")
_LADDERS = {  # best place first
    BlockKind.TABLE: (_LINE, _WORD),
    BlockKind.CODE: (_LINE, _WORD),
    BlockKind.LIST: (_LINE, _SENTENCE, _WORD),
    BlockKind.PARAGRAPH: (_SENTENCE, _WORD),
    BlockKind.HEADING: (_SENTENCE, _WORD),
}
_WITHOUT_OVERLAP = {BlockKind.TABLE, BlockKind.CODE}  # rows and lines stand for themselves
_HASHED_CHARACTERS = (24, 512)  # what an anchor depends on: little, so that few edits move one; more if that is equal


class Ruler:
    """Counts the tokens of any span of one text, which was tokenised once."""

    def __init__(self, text: str, tokens: Sequence[Span]) -> None:
        self.text = text
        self._starts = sorted(start for start, _ in tokens)
        self._ends = sorted(end for _, end in tokens)

    def count(self, start: int, end: int) -> int:
        """Return how many tokens reach into [start, end); some tokenizers count the blank before a word to it."""
        return max(bisect_left(self._starts, end) - bisect_right(self._ends, start), 0)

    def reach(self, start: int, n_tokens: int) -> int:
        """Return the end of the longest span from `start` with at most `n_tokens`; one character at least."""
        index = max(bisect_right(self._ends, start) + n_tokens, bisect_right(self._starts, start))
        return self._starts[index] if index < len(self._starts) else len(self.text)

    def reach_back(self, end: int, n_tokens: int) -> int:
        """Return the start of the longest span up to `end` with at most `n_tokens`."""
        index = bisect_left(self._starts, end) - n_tokens
        return self._starts[index] if 0 <= index < len(self._starts) else (0 if index < 0 else end)


def cut(
    ruler: Ruler,
    span: Span,
    kind: BlockKind,
    room: int,
    overlap: int,
    *,
    later_room: int | None = None,
    anchors: Sequence[int] = (),
) -> list[Span]:
    """Return pieces of `span` of at most `room` tokens each, neighbours sharing about `overlap` tokens of prose.

    All pieces but the first have `later_room`, where it is given: they carry more context. A piece ends at each of
    `anchors`, which are inside of `span` and in order.

    All characters that are not blank are in a piece; each piece ends later than the one before.
    """
    start, end = span
    later_room = room if later_room is None else later_room
    overlap = 0 if kind in _WITHOUT_OVERLAP else min(overlap, room // 4)
    pieces: list[Span] = []
    done = start
    for target in (*anchors, end):
        while ruler.count(start, target) > room:
            reach = min(ruler.reach(start, room), target)
            if reach <= done:  # the overlap filled the piece: tokens without characters of their own
                start = done
                continue
            stop = find_cut(ruler.text, (done + (reach - done) // 3, reach), kind)
            if stop >= target:
                break
            pieces.append((start, _skip_blanks_back(ruler.text, stop)))
            room = later_room
            done = _skip_blanks(ruler.text, stop)
            start = find_overlap(ruler, done, overlap, kind)
        if done < target < end:  # a cut before the blanks in front of an anchor is that anchor's
            pieces.append((start, _skip_blanks_back(ruler.text, target)))
            room = later_room
            done = target
            start = find_overlap(ruler, done, overlap, kind)
    return [*pieces, (start, end)]


def find_anchors(ruler: Ruler, blocks: Iterable[tuple[Span, BlockKind]], spacing: int) -> list[int]:
    """Return, in order, where a chunk must begin: `spacing` tokens apart or more, and seldom twice as much.

    Headings are taken before other blocks, those before the rows, sentences or words inside a long block, and equal
    places by the hash of the words there. None is nearer than `spacing` to an end of its block but at its start.

    Complexity: n log n for n places; only blocks of two spacings or more are looked into.
    """
    ranked: list[tuple[int, int]] = []  # (rank, place)
    for (start, end), kind in blocks:
        ranked.append((0 if kind is BlockKind.HEADING else 1, start))
        ranked += _inner_places(ruler, (start, end), _LADDERS[kind], 2, spacing)
    anchors: list[int] = []
    taken: dict[int, int] = {}  # stretch of `spacing` tokens: the position, in tokens, of the one anchor in it
    for _, _, place in sorted((rank, _hash_place(ruler.text, place), place) for rank, place in ranked):
        position = ruler.count(0, place)
        stretch = position // spacing
        nearby = (taken[n] for n in (stretch - 1, stretch, stretch + 1) if n in taken)
        if all(abs(position - other) >= spacing for other in nearby):
            taken[stretch] = position
            anchors.append(place)
    return sorted(anchors)


def _inner_places(
    ruler: Ruler, span: Span, ladder: Sequence[re.Pattern[str]], rank: int, spacing: int
) -> Iterator[tuple[int, int]]:
    """Yield (rank, place) of the places inside of `span` by the best pattern, and by the next one between them."""
    if not ladder or ruler.count(*span) < 2 * spacing:
        return
    window = ruler.reach(span[0], spacing), ruler.reach_back(span[1], spacing)
    places = [match.end() for match in ladder[0].finditer(ruler.text, *window) if match.end() < window[1]]
    yield from ((rank, place) for place in places)
    for stretch in pairwise([span[0], *places, span[1]]) if len(ladder) > 1 else ():
        yield from _inner_places(ruler, stretch, ladder[1:], rank + 1, spacing)


def _hash_place(text: str, place: int) -> tuple[bytes, ...]:
    """Return hashes of what follows: the same in every process, and as good as random where places are alike."""
    return tuple(
        blake2b(text[place : place + n].encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for n in _HASHED_CHARACTERS
    )


def find_cut(text: str, window: Span, kind: BlockKind) -> int:
    """Return the last good place to cut in `window`, its end included; the end itself where there is none."""
    least, most = window
    for pattern in _LADDERS[kind]:
        places = [match.end() for match in pattern.finditer(text, least, _skip_blanks(text, most))]
        if places and places[-1] > least:
            return places[-1]
    return most


def find_overlap(ruler: Ruler, done: int, overlap: int, kind: BlockKind) -> int:
    """Return where the next piece starts: at most `overlap` tokens before `done`, at a sentence or word if it can."""
    earliest = ruler.reach_back(done, overlap) if overlap else done
    for pattern in _LADDERS[kind] if earliest < done else ():
        for match in pattern.finditer(ruler.text, max(earliest - 1, 0), done):
            if earliest <= match.end() < done:
                return match.end()
    return _skip_blanks(ruler.text, earliest)


def halve(text: str, span: Span) -> list[Span]:
    """Return `span`, of two characters or more, in two: at the blank nearest to its middle, else in the middle."""
    start, end = span
    middle = (start + end) // 2
    quarter = (end - start) // 4
    places = [match.end() for match in _WORD.finditer(text, start + quarter, end - quarter)]
    place = min(places, key=lambda place: abs(place - middle), default=middle)
    return [(start, _skip_blanks_back(text, place)), (_skip_blanks(text, place), end)]


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _skip_blanks_back(text: str, position: int) -> int:
    while position and text[position - 1].isspace():
        position -= 1
    return position
