"""Tokens to pieces of text as they come: whole characters, nothing that a later token could still take back.

What is held back: bytes of a character that is not whole yet, white space that may turn out to be the end (an answer
begins and ends without any, as `LocalGenerator`'s does), and what may be the beginning of a stop text. The pieces,
joined, are the answer's text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

BROKEN = "\N{REPLACEMENT CHARACTER}"


class TextStream:
    """The text of one answer under way."""

    def __init__(self, decode: Callable[[Sequence[int]], str], *, stop: Sequence[str] = ()) -> None:
        """`decode` turns token ids into text; `stop`: texts before which the answer ends."""
        self._decode = decode
        self._stop = tuple(stop)
        self._longest_stop = max(map(len, stop), default=0)
        self._ids: list[int] = []
        self._begin = 0  # the tokens from here on are decoded together, those before `_settled` for what precedes only
        self._settled = 0
        self._raw = ""  # text of the settled tokens, white space and all
        self._sent = ""
        self.stopped = False

    @property
    def text(self) -> str:
        """What was handed out so far, or, after `finish`, the whole answer."""
        return self._sent

    def push(self, token: int) -> str:
        """Take the next token; return the text that is now certain, often none. After a stop text it is ignored."""
        if self.stopped:
            return ""
        self._ids.append(token)
        before = self._decode(self._ids[self._begin : self._settled])
        together = self._decode(self._ids[self._begin :])
        if len(together) <= len(before) or together.endswith(BROKEN):
            return ""
        self._begin, self._settled = self._settled, len(self._ids)
        self._grow(together[len(before) :])
        certain = len(self._raw) - (0 if self.stopped else self._held_back())
        return self._hand_out(self._raw[:certain].strip())

    def finish(self, line_break: int | None = None) -> str:
        """Return the rest of the answer. `line_break`: a last token that holds one, before which the answer ends."""
        if line_break is not None:
            self._ids.append(line_break)
        if not self.stopped:
            # All decoded together: were a tokenizer to join tokens otherwise then, what was handed out stays.
            self._grow(self._decode(self._ids)[len(self._raw) :])
        kept = self._raw if line_break is None else self._raw.split("\n", 1)[0]
        return self._hand_out(kept.strip())

    def _grow(self, more: str) -> None:
        """Add settled text; end the answer before the first stop text in it."""
        look_from = max(0, len(self._raw) - self._longest_stop)
        self._raw += more
        places = [place for text in self._stop if (place := self._raw.find(text, look_from)) >= 0]
        if places:
            self.stopped = True
            self._raw = self._raw[: min(places)]

    def _held_back(self) -> int:
        """Return how many characters at the end may be the beginning of a stop text."""
        for length in range(min(self._longest_stop - 1, len(self._raw)), 0, -1):
            if any(text.startswith(self._raw[-length:]) for text in self._stop):
                return length
        return 0

    def _hand_out(self, text: str) -> str:
        more = text[len(self._sent) :]
        self._sent += more
        return more
