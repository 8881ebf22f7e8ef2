"""Where a text may be cut: after a row or line, after a sentence, between words, and between tokens at the last.

Sentence ends are found by punctuation, which is wrong after an abbreviation; a cut there costs little.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

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
    ruler: Ruler, span: Span, kind: BlockKind, room: int, overlap: int, *, later_room: int | None = None
) -> list[Span]:
    """Return pieces of `span` of at most `room` tokens each, neighbours sharing about `overlap` tokens of prose.

    All pieces but the first have `later_room`, where it is given: they carry more context.

    All characters that are not blank are in a piece; each piece ends later than the one before.
    """
    start, end = span
    overlap = 0 if kind in _WITHOUT_OVERLAP else min(overlap, room // 4)
    pieces: list[Span] = []
    done = start
    while ruler.count(start, end) > room:
        reach = min(ruler.reach(start, room), end)
        if reach <= done:  # the overlap filled the piece: tokens without characters of their own
            start = done
            continue
        stop = find_cut(ruler.text, (done + (reach - done) // 3, reach), kind)
        if stop >= end:
            break
        pieces.append((start, _skip_blanks_back(ruler.text, stop)))
        room = room if later_room is None else later_room
        done = _skip_blanks(ruler.text, stop)
        start = find_overlap(ruler, done, overlap, kind)
    return [*pieces, (start, end)]


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
