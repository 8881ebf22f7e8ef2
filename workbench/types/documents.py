"""What a corpus is made of: files that were read, documents, their chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Fact = str | int | float | bool | tuple[str, ...]  # one value of a document's metadata; dates are ISO 8601 text


class BlockKind(StrEnum):
    """What a stretch of a document is; the chunker cuts between blocks before it cuts inside one."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """One structural unit: `text[start:end]` of its document, in characters, end exclusive; blocks never overlap."""

    start: int
    end: int
    kind: BlockKind
    level: int = 0  # 1-6 for headings, 0 otherwise
    page: int | None = None  # counted from 1; None where the format has no pages


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reader makes of one file, before it gets an identity."""

    title: str
    text: str
    blocks: tuple[Block, ...]
    metadata: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A text with structure. `id` is the path below the corpus folder (posix), so the same file keeps its id.

    `readers` are the principals (users, groups, tenants) that may find it; None: everybody.
    """

    id: str
    source: str
    title: str
    text: str
    blocks: tuple[Block, ...]
    fingerprint: str  # SHA-256 of title, text and blocks, in hex
    metadata: Mapping[str, Fact] = field(default_factory=dict)
    readers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """A file that could not become a document: which, the kind of error, and why in one line."""

    source: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """One span of a document: `document.text[start:end] == text`, in characters, end exclusive.

    A chunk that starts inside a table carries the table's header rows in `header`; where it holds them itself, none.
    """

    id: str
    document_id: str
    start: int
    end: int
    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    header: str = ""

    @property
    def context(self) -> str:
        """Where the chunk stands, for people and models: its heading path on one line, its table header below."""
        return "\n".join(line for line in (" > ".join(self.headings), self.header) if line)

    @property
    def indexed_text(self) -> str:
        """What is embedded and searched: the context, a newline, the text."""
        return f"{self.context}\n{self.text}" if self.context else self.text
