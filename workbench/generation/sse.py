"""Server-sent events, as far as streamed answers use them: bytes as they come → the `data` of each whole event.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (event names, ids and retry times are passed
over). Not a client: whoever reads the connection feeds it.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.errors import RemoteEngineError

LONGEST_EVENT = 2**20  # bytes; a piece of an answer is some hundred


class EventParser:
    """Takes a stream apart. A character, a line or an event may be split between two `feed`s anywhere."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[str] = []

    def feed(self, content: bytes) -> Iterator[str]:
        """Yield the data of each event that `content` completes, lines joined by a newline.

        Raises:
            RemoteEngineError: a line is not UTF-8, or an event is longer than 1 MiB.
        """
        self._rest += content
        *lines, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            if (data := self._take(bytes(line).removesuffix(b"\r"))) is not None:
                yield data
        size = len(self._rest) + sum(map(len, self._data))
        if size > LONGEST_EVENT:
            raise RemoteEngineError(f"a streamed event is longer than {LONGEST_EVENT} bytes, it holds {size} so far")

    def _take(self, line: bytes) -> str | None:
        """Take one line; return the event's data where it is the empty one that ends an event."""
        if not line:
            data, self._data = self._data, []
            return "\n".join(data) if data else None
        field, _, value = line.partition(b":")
        if field == b"data":
            try:
                self._data.append(value.removeprefix(b" ").decode())
            except UnicodeDecodeError as error:
                raise RemoteEngineError(f"a streamed event is not UTF-8: {value[:80]!r}") from error
        return None
