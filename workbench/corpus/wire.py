"""What parent and parsing child say to each other: length-prefixed JSON, checked on arrival. Never pickle.

The child has read a file nobody vouches for, so its answer is data like any other: shape and spans are checked here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, Any

from workbench.corpus.reading import SourceFile
from workbench.types import Block, BlockKind, Document, Fact, ReadFailure

LENGTH_BYTES = 8
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
        ValueError: it is none, or not for this file.
    """
    try:
        answer = json.loads(payload)
        shown, spent = answer["outcome"], bool(answer["spent"])
        if shown.get("id", shown.get("source")) != id_:
            raise ValueError(f"asked for {id_}, answered for another file")
        if "kind" in shown:
            return Reply(ReadFailure(id_, str(shown["kind"]), str(shown["reason"])), spent)
        return Reply(_to_document(shown), spent)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no answer: {error!r}") from error


def _to_document(shown: dict[str, Any]) -> Document:
    text, title, mark = str(shown["text"]), str(shown["title"]), str(shown["fingerprint"])
    blocks = tuple(Block(start, end, BlockKind(kind), level, page) for start, end, kind, level, page in shown["blocks"])
    if any(not 0 <= block.start <= block.end <= len(text) for block in blocks):
        raise ValueError("a block lies outside its text")
    if any(before.end > after.start for before, after in pairwise(blocks)):
        raise ValueError("two blocks overlap")
    metadata = {str(key): _to_fact(value) for key, value in shown["metadata"].items()}
    readers = None if shown["readers"] is None else tuple(map(str, shown["readers"]))
    return Document(shown["id"], shown["id"], title, text, blocks, mark, metadata, readers)


def _to_fact(value: Any) -> Fact:
    if isinstance(value, list):
        return tuple(map(str, value))
    if isinstance(value, str | int | float | bool):
        return value
    raise ValueError(f"{value!r} is no fact")
