"""Files to documents to chunks: one reader a format, one failure a file, exact character spans.

A new format is one file beside these and one line in `READERS`. Readers run in this process and follow no links to
the network; a document's id is its path below the corpus folder, so the same file keeps its id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.contracts import Reader
from workbench.corpus.chunking import chunk_document, chunk_documents
from workbench.corpus.docx import read_docx
from workbench.corpus.html import read_html
from workbench.corpus.markdown import read_markdown
from workbench.corpus.pdf import read_pdf
from workbench.corpus.plain import read_plain
from workbench.errors import ConfigError, EmptyCorpusError, UnreadableDocumentError
from workbench.runs import fingerprint
from workbench.types import Document, ReadFailure

__all__ = ["READERS", "SUFFIXES", "chunk_document", "chunk_documents", "read_document", "read_folder"]

READERS: dict[str, Reader] = {
    ".docx": read_docx,
    ".htm": read_html,
    ".html": read_html,
    ".markdown": read_markdown,
    ".md": read_markdown,
    ".pdf": read_pdf,
    ".txt": read_plain,
}
SUFFIXES = tuple(READERS)


def read_document(path: Path, root: Path) -> Document:
    """Read one file below `root` with the reader its suffix names.

    Raises:
        UnreadableDocumentError: and only that; its `kind` is one word, its message one line.
    """
    id_ = path.relative_to(root).as_posix()
    if (shown := _printable(id_)) != id_:
        raise UnreadableDocumentError(f"{shown}: the file's name is not UTF-8; rename the file", "name")
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            raise UnreadableDocumentError(f"{id_} leads out of the folder {root.name}; copy the file in", "outside")
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            message = f"{id_}: no reader for {path.suffix or 'a name without suffix'!r}, only {', '.join(SUFFIXES)}"
            raise UnreadableDocumentError(message, "unsupported")
        parsed = reader(path)
    except UnreadableDocumentError:
        raise
    except Exception as error:  # a hostile file can make a parser raise anything; the batch must go on
        raise UnreadableDocumentError(f"{id_} cannot be parsed: {type(error).__name__}: {error}", "damaged") from error
    if not parsed.text.strip():
        raise UnreadableDocumentError(f"{id_} holds no text", "empty")
    blocks = [(b.start, b.end, b.kind, b.level, b.page) for b in parsed.blocks]
    mark = fingerprint(parsed.title, parsed.text, blocks)
    return Document(id_, id_, parsed.title, parsed.text, parsed.blocks, mark, parsed.metadata)


def read_folder(
    root: Path, include: Sequence[str], *, on_progress: Callable[[int, int], None] | None = None
) -> tuple[list[Document], list[ReadFailure]]:
    """Read every file below `root` that a pattern of `include` matches; hidden files and folders are skipped.

    Args:
        on_progress: called after each file with (files done, files in all).
    Returns:
        Documents and failures, each sorted by path. A file without a reader is a failure of kind "unsupported".
    Raises:
        EmptyCorpusError: no such folder, or no file in it could be read.
        ConfigError: a pattern is empty, absolute, malformed, or climbs out of the folder.
    """
    if not root.is_dir():
        raise EmptyCorpusError(f"corpus folder {root} does not exist; set corpus.path to a folder of documents")
    paths = find_files(root, include)
    documents: list[Document] = []
    failures: list[ReadFailure] = []
    for n_done, path in enumerate(paths, 1):
        try:
            documents.append(read_document(path, root))
        except UnreadableDocumentError as error:
            source = _printable(path.relative_to(root).as_posix())
            failures.append(ReadFailure(source, error.kind, " ".join(str(error).split())))
        if on_progress is not None:
            on_progress(n_done, len(paths))
    if not documents:
        raise EmptyCorpusError(
            f"no readable document in {root}: {len(paths)} files match {', '.join(include)}, {len(failures)} failed"
            f"{f' (first: {failures[0].reason})' if failures else ''}; put {' '.join(SUFFIXES)} files there"
        )
    return documents, failures


def find_files(root: Path, include: Sequence[str]) -> list[Path]:
    """Return the files, and the links that lead nowhere or out of `root`, sorted by path; hidden ones left out."""
    found: set[Path] = set()
    for pattern in include:
        message = f"corpus.include has {pattern!r}, which is no pattern below {root}; write it like '**/*.md'"
        parts = Path(pattern).parts
        if not parts or Path(pattern).is_absolute() or ".." in parts:
            raise ConfigError(message)
        try:
            found.update(root.glob(pattern))
        except ValueError as error:  # such as '**.md'
            raise ConfigError(f"{message} ({error})") from error
    shown = (path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts))
    return sorted(
        (path for path in shown if path.is_file() or _leads_out(path, root)), key=lambda path: path.as_posix()
    )


def _printable(id_: str) -> str:
    """Return the name with each byte that is not UTF-8 escaped: such a name can be neither stored nor printed."""
    return id_.encode("utf-8", "backslashreplace").decode()


def _leads_out(path: Path, root: Path) -> bool:
    """Whether this is a link to nothing or to a folder elsewhere: worth a recorded failure, not silence."""
    return path.is_symlink() and not (path.is_dir() and path.resolve().is_relative_to(root.resolve()))
