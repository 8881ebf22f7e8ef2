"""One document as it is brought, a text or a file's bytes with metadata → a `Document`, like one of a folder.

Nothing of it is trusted. It is parsed in a confined child, from a private file of a random name; of the name it came
with, the suffix alone touches the disk, and only one that there is a reader for. Not storing: `collection_shelf.py`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from workbench.config import Limits
from workbench.corpus import (
    SUFFIXES,
    SourceFile,
    WarmParser,
    check_facts,
    fingerprint_document,
    read_files,
    refuse_suffix,
)
from workbench.errors import ConfigError, DocumentError, UnreadableDocumentError
from workbench.types import Document, Fact, ReadFailure

MAX_ID_CHARACTERS = 500
MAX_TITLE_CHARACTERS = 1_000
MAX_KEY_CHARACTERS = 100
MAX_FACTS = 200  # and members of a list 1,000, and 64,000 characters in all: as in the head of a file
MAX_MEMBERS = 1_000
MAX_METADATA_CHARACTERS = 64_000


class Arrivals:
    """Makes documents, one at a time or in several threads. Close it to end its child."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Take a folder for files while they are parsed, made here for this user alone, and what parsing may cost."""
        self._folder = folder
        self._limits = limits
        self._texts = WarmParser(limits)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def close(self) -> None:
        """End the child that parses texts."""
        self._texts.close()

    def read_text(
        self, text: str, *, id_: str | None = None, title: str | None = None, metadata: Mapping[str, object]
    ) -> Document:
        """Return the document of a text, read as a Markdown file is; `---` lines at its top open front matter.

        Args:
            id_: None: the `source` in the metadata, else from the SHA-256 of the text.
            title: None: the `title` in the metadata or the front matter, else its first heading, else its id.
            metadata: facts, over those in the front matter; `readers` among them are its permissions.
        Raises:
            DocumentError: the id, the title or the metadata cannot be kept.
            UnreadableDocumentError: it cannot be read, or is blank.
        """
        brought = _check(metadata, id_, title)
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise UnreadableDocumentError(f"the text holds half a character at {error.start}", "encoding") from error
        id_ = brought.id or f"text-{hashlib.sha256(data).hexdigest()[:32]}"
        with self._file(id_, ".md", data) as file:
            outcome = self._texts.read(file)
            return _settle(outcome, file, brought, fallback=id_)

    def read_file(
        self,
        filename: str,
        data: bytes,
        *,
        id_: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, object],
    ) -> Document:
        """Return the document of a file's bytes; as `read_text`, but that its id is the file's name where none is said.

        Raises:
            DocumentError: as `read_text`.
            UnreadableDocumentError: as for a file of a folder; a format without a reader is of kind "unsupported".
        """
        brought = _check(metadata, id_, title)
        name = clean_filename(filename) or hashlib.sha256(data).hexdigest()[:32]
        id_ = brought.id or name
        suffix = PurePosixPath(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise refuse_suffix(name, suffix, SUFFIXES)
        with self._file(id_, suffix, data) as file, closing(read_files([file], limits=self._limits)) as outcomes:
            return _settle(next(outcomes), file, brought, fallback=PurePosixPath(name).stem)

    @contextmanager
    def _file(self, id_: str, suffix: str, data: bytes) -> Iterator[SourceFile]:
        path = self._folder / f"{secrets.token_hex(16)}{suffix}"
        try:
            path.touch(mode=0o600, exist_ok=False)
            path.write_bytes(data)
            yield SourceFile(path, self._folder, id_, size=len(data))
        finally:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Brought:
    """What came with a document, checked; None where it does not say."""

    facts: Mapping[str, Fact]
    readers: tuple[str, ...] | None
    id: str | None
    title: str | None
    source: str | None


def clean_filename(filename: str) -> str:
    """Return the last part of a file's name, whatever system it is from, without what cannot be printed; may be ""."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    shown = "".join(sign if sign.isprintable() else "_" for sign in last).strip()
    return "" if shown in (".", "..") else shown[-MAX_ID_CHARACTERS:].strip()


def check_id(id_: str) -> str:
    """Return a document's id as it is.

    Raises:
        DocumentError: it is empty, too long, holds what cannot be printed, or a part that an address would resolve.
    """
    if not id_ or id_ != id_.strip() or len(id_) > MAX_ID_CHARACTERS or not id_.isprintable():
        raise DocumentError(
            f"id is {id_[:60]!r} ({len(id_)} characters); it takes 1 to {MAX_ID_CHARACTERS} printable ones, no blank "
            "first or last"
        )
    if {".", ".."} & set(id_.split("/")):
        raise DocumentError(f"id is {id_[:60]!r}; no part of it may be '.' or '..'")
    return id_


def _check(metadata: Mapping[str, object], id_: str | None, title: str | None) -> _Brought:
    said = {key: metadata[key] for key in ("source", "title") if metadata.get(key) is not None}
    for key, value in said.items():
        if not isinstance(value, str) or not value.strip():
            raise DocumentError(f"metadata: `{key}` is {value!r}; it is text")
    rest = {key: value for key, value in metadata.items() if key not in ("source", "title")}
    _check_sizes(metadata)
    try:
        facts, readers = check_facts(rest)
    except ConfigError as error:
        raise DocumentError(str(error)) from error
    source, own_title = (None if key not in said else str(said[key]) for key in ("source", "title"))
    chosen = title if title is not None else own_title
    if chosen is not None and (not chosen.strip() or len(chosen) > MAX_TITLE_CHARACTERS or not chosen.isprintable()):
        raise DocumentError(f"title is {chosen[:60]!r}; it takes 1 to {MAX_TITLE_CHARACTERS} printable characters")
    wanted = id_ if id_ is not None else source
    return _Brought(facts, readers, None if wanted is None else check_id(wanted), chosen, source)


def _check_sizes(metadata: Mapping[str, object]) -> None:
    if len(metadata) > MAX_FACTS:
        raise DocumentError(f"metadata has {len(metadata)} keys, the limit is {MAX_FACTS}")
    n_characters = 0
    for key, value in metadata.items():
        if not isinstance(key, str) or len(key) > MAX_KEY_CHARACTERS or not key.isprintable() or key != key.strip():
            raise DocumentError(
                f"metadata: key {str(key)[:60]!r} is not 1 to {MAX_KEY_CHARACTERS} printable characters"
            )
        members = value if isinstance(value, list | tuple) else [value]
        if len(members) > MAX_MEMBERS:
            raise DocumentError(f"metadata: `{key}` lists {len(members):,} values, the limit is {MAX_MEMBERS:,}")
        if isinstance(value, int) and abs(value) >= 2**63:
            raise DocumentError(f"metadata: `{key}` is a number of more than 64 bits")
        texts = [member for member in members if isinstance(member, str)]
        if any("\ud800" <= sign <= "\udfff" for text in texts for sign in text):
            raise DocumentError(f"metadata: `{key}` holds half a character")
        n_characters += len(key) + sum(map(len, texts))
    if n_characters > MAX_METADATA_CHARACTERS:
        raise DocumentError(f"metadata has {n_characters:,} characters, the limit is {MAX_METADATA_CHARACTERS:,}")


def _settle(outcome: Document | ReadFailure, file: SourceFile, brought: _Brought, *, fallback: str) -> Document:
    """Return the document under its own names: nobody shall see what its private file was called."""
    if isinstance(outcome, ReadFailure):
        reason = outcome.reason.replace(file.path.name, file.id).replace(file.path.stem, file.id)
        raise UnreadableDocumentError(reason, outcome.kind)
    title = outcome.title
    if brought.title or title in (file.path.stem, file.path.name):  # the file's own, where a reader found no better
        title = brought.title or fallback
    everybody = brought.readers == ("*",)
    return replace(
        outcome,
        source=brought.source or outcome.source,
        title=title,
        fingerprint=fingerprint_document(title, outcome.text, outcome.blocks),
        metadata={**outcome.metadata, **brought.facts},
        readers=None if everybody else brought.readers or outcome.readers,
    )
