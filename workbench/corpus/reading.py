"""One file to one document, or one typed error, in this process; whoever does not trust the file calls `read_files`.

Not the folder and not the formats: the readers come in as a table from suffix to reader.
"""

from __future__ import annotations

import importlib
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.contracts import Reader
from workbench.corpus.facts import EVERYBODY, parse_readers
from workbench.corpus.guards import WAYS_OUT
from workbench.errors import ConfigError, UnreadableDocumentError
from workbench.runs import fingerprint
from workbench.types import Block, Document, Parsed


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a corpus: where it is, which folder it must not lead out of, and the id its document will have."""

    path: Path
    root: Path
    id: str
    sha256: str = ""  # of its bytes, in hex; empty: not hashed, or it cannot be opened and reading it will say why
    size: int = 0  # bytes, as hashed


def load_readers(table: str) -> Mapping[str, Reader]:
    """Return the table of readers that `table` names as "module:NAME"."""
    module, _, name = table.partition(":")
    readers: Mapping[str, Reader] = getattr(importlib.import_module(module), name)
    return readers


def read_source(file: SourceFile, readers: Mapping[str, Reader], *, max_bytes: int | None = None) -> Document:
    """Read one file with the reader its suffix names.

    Raises:
        UnreadableDocumentError: and only that; its `kind` is one word, its message one line.
    """
    try:
        check_file(file, max_bytes)
        suffix = file.path.suffix
        reader = readers.get(suffix.lower())
        if reader is None:
            raise refuse_suffix(file.id, suffix, readers)
        return make_document(file, reader(file.path))
    except (Exception, SystemExit) as error:  # a hostile file can make a parser raise anything; the batch must go on
        raise as_unreadable(file, error) from error


def check_file(file: SourceFile, max_bytes: int | None) -> None:
    """Refuse a name that cannot be stored, a link out of the root, what is no plain file, and a file too large."""
    name = file.path.relative_to(file.root).as_posix()
    if printable(name) != name:
        raise UnreadableDocumentError(f"{file.id}: the file's name is not UTF-8; rename the file", "name")
    if not file.path.resolve().is_relative_to(file.root.resolve()):
        raise UnreadableDocumentError(
            f"{file.id} leads out of the folder {file.root.name}; copy the file in", "outside"
        )
    try:
        found = file.path.stat()
    except OSError as error:
        raise UnreadableDocumentError(f"{file.id} cannot be opened: {error.strerror or error}", "missing") from error
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for ever
        raise UnreadableDocumentError(f"{file.id} is a pipe, socket or device, not a file; take it out", "special")
    if max_bytes is not None and found.st_size > max_bytes:
        message = f"{file.id} has {found.st_size:,} bytes, the limit is {max_bytes:,} (limits.input_bytes)"
        raise UnreadableDocumentError(f"{message}; split the file", "too_large")


def refuse_suffix(name: str, suffix: str, readers: Iterable[str]) -> UnreadableDocumentError:
    """Return the error for a file called `name`, for whose suffix there is none of `readers`."""
    way_out = WAYS_OUT.get(suffix.lower()) or f"only for {', '.join(readers)}"
    message = f"{name}: no reader for {suffix or 'a name without suffix'!r}; {way_out}"
    return UnreadableDocumentError(message, "unsupported")


def make_document(file: SourceFile, parsed: Parsed) -> Document:
    """Return the document; `readers` in its own metadata (front matter) become its permissions.

    Raises:
        UnreadableDocumentError: it holds no text, or its `readers` name nobody: such a file is shown to nobody.
    """
    if not parsed.text.strip():
        raise UnreadableDocumentError(f"{file.id} holds no text", "empty")
    metadata = dict(parsed.metadata)
    readers: tuple[str, ...] | None = None
    if "readers" in metadata:
        try:
            readers = parse_readers(metadata.pop("readers"))
        except ConfigError as error:
            raise UnreadableDocumentError(f"{file.id}: {error}", "permissions") from error
    mark = fingerprint_document(parsed.title, parsed.text, parsed.blocks)
    readers = None if readers == EVERYBODY else readers
    return Document(file.id, file.id, parsed.title, parsed.text, parsed.blocks, mark, metadata, readers)


def fingerprint_document(title: str, text: str, blocks: Sequence[Block]) -> str:
    """Return the fingerprint of a document with this title, text and structure."""
    return fingerprint(title, text, [(b.start, b.end, b.kind, b.level, b.page) for b in blocks])


def as_unreadable(file: SourceFile, error: BaseException) -> UnreadableDocumentError:
    """Return the typed error for whatever a parser raised."""
    if any(isinstance(cause, MemoryError) for cause in _chain(error)):  # readers wrap it like any other fault
        message = f"{file.id}: parsing it ran out of memory; split the file or raise limits.memory_bytes"
        return UnreadableDocumentError(message, "memory")
    if isinstance(error, UnreadableDocumentError):
        return error
    shown = printable(f"{type(error).__name__}: {error}")[:500]
    return UnreadableDocumentError(f"{file.id} cannot be parsed: {shown}", "damaged")


def printable(text: str) -> str:
    """Return the text with each byte that is not UTF-8 escaped: such a name can be neither stored nor printed."""
    return text.encode("utf-8", "backslashreplace").decode()


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
