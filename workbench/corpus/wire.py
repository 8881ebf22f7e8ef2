"""What parent and parsing child say to each other: length-prefixed JSON, checked on arrival. Never pickle.

The child has read a file nobody vouches for, so its answer is data like any other: shape, types, spans and letters are
checked here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, Any

from workbench.corpus.reading import SourceFile
from workbench.types import Block, BlockKind, Document, Fact, ReadFailure

LENGTH_BYTES = 8
MAX_LEVEL, MAX_PAGE = 2**15, 2**31  # far beyond what readers give, and what a database takes
READY = b"ready"  # the child's first message: it has come up and confined itself


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one file, and whether the child is spent: it holds memory it will not give back."""

    outcome: Document | ReadFailure
    spent: bool


def write_frame(stream: IO[bytes], payload: bytes) -> None:
    """Write one message and flush it."""
    stream.write(len(payload).to_bytes(LENGTH_BYTES, "little"))
    stream.write(payload)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next message; None where the stream ends."""
    header = stream.read(LENGTH_BYTES)
    return stream.read(int.from_bytes(header, "little")) if len(header) == LENGTH_BYTES else None


def encode_files(files: list[SourceFile]) -> bytes:
    """Return the message that asks for these files. Names that are not UTF-8 survive: JSON escapes them."""
    return json.dumps([(str(file.path), str(file.root), file.id) for file in files]).encode("ascii")


def decode_files(payload: bytes) -> list[tuple[str, str, str]]:
    """Return (path, root, id) of each file asked for."""
    return [(path, root, id_) for path, root, id_ in json.loads(payload)]


def encode_reply(reply: Reply) -> bytes:
    """Return the message that answers for one file."""
    match reply.outcome:
        case Document() as document:
            shown: dict[str, Any] = {
                "id": document.id,
                "title": document.title,
                "text": document.text,
                "blocks": [(b.start, b.end, b.kind, b.level, b.page) for b in document.blocks],
                "fingerprint": document.fingerprint,
                "metadata": dict(document.metadata),
                "readers": document.readers,
            }
        case ReadFailure(source=source, kind=kind, reason=reason):
            shown = {"source": source, "kind": kind, "reason": reason}
    return json.dumps({"outcome": shown, "spent": reply.spent}, ensure_ascii=False, separators=(",", ":")).encode()


def decode_reply(payload: bytes, id_: str) -> Reply:
    """Return the reply for the file with this id.

    Raises:
        ValueError: it is none, or not for this file; and nothing else, whatever the child says.
    """
    try:
        answer = json.loads(payload.decode())  # decoded strictly, which json.loads does not
        shown, spent = answer["outcome"], bool(answer["spent"])
        if shown.get("id", shown.get("source")) != id_:
            raise ValueError(f"asked for {id_}, answered for another file")
        if "kind" in shown:
            return Reply(ReadFailure(id_, _to_text(shown["kind"]), _to_text(shown["reason"])), spent)
        return Reply(_to_document(shown), spent)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no answer: {error!r}") from error


def _to_document(shown: dict[str, Any]) -> Document:
    text, title, mark = (_to_text(shown[key]) for key in ("text", "title", "fingerprint"))
    blocks = tuple(_to_block(*block) for block in shown["blocks"])
    if any(not 0 <= block.start <= block.end <= len(text) for block in blocks):
        raise ValueError("a block lies outside its text")
    if any(before.end > after.start for before, after in pairwise(blocks)):
        raise ValueError("two blocks overlap")
    metadata = {_to_text(key): _to_fact(value) for key, value in shown["metadata"].items()}
    readers = None if shown["readers"] is None else tuple(map(_to_text, shown["readers"]))
    return Document(shown["id"], shown["id"], title, text, blocks, mark, metadata, readers)


def _to_block(start: Any, end: Any, kind: Any, level: Any, page: Any) -> Block:
    if any(type(number) is not int for number in (start, end, level, 0 if page is None else page)):
        raise ValueError("a block's place is no whole number")  # true is an int too, hence no isinstance
    if not 0 <= level <= MAX_LEVEL or not (page is None or 1 <= page <= MAX_PAGE):
        raise ValueError("a block has a level or page that there is not")
    return Block(start, end, BlockKind(kind), level, page)


def _to_fact(value: Any) -> Fact:
    if isinstance(value, list):
        return tuple(map(_to_text, value))
    if isinstance(value, int | float | bool):
        return value
    return _to_text(value)


def _to_text(value: Any) -> str:
    """Return a string that can be stored: JSON can escape half a surrogate pair, UTF-8 cannot hold it."""
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} instead of text")
    value.encode()
    return value
