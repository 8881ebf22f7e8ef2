"""A generation: the FAISS file and the BM25 folder that were built from one state of the database.

Both carry the state's fingerprint in their names and are never changed. They are caches: what is missing or has
another SHA-256 than recorded is built again from the database.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from workbench.knowledge.schema import State
from workbench.knowledge.store import Store
from workbench.knowledge.vectors import VectorIndex, write_vectors
from workbench.knowledge.words import WordIndex, write_words


class UnusableGenerationError(ValueError):
    """A generation is missing or damaged. It never reaches the user: the collection builds it again."""


def write_generation(folder: Path, store: Store, dimension: int) -> None:
    """Build the generation of the rows as they stand and point to it, inside the caller's transaction."""
    folder.mkdir(exist_ok=True)
    fingerprint = store.record_content()
    vectors_sha256 = write_vectors(vectors_path(folder, fingerprint), store.vectors(dimension))
    words_sha256 = write_words(words_path(folder, fingerprint), store.all_chunks())
    store.record_generation(vectors_sha256, words_sha256)


def read_generation(folder: Path, state: State, ids: Sequence[str]) -> tuple[VectorIndex, WordIndex]:
    """Open the generation `state` points to, for the chunks `ids` (sorted).

    Raises:
        UnusableGenerationError: it is not there, or not what was written.
    """
    if state.vectors_sha256 is None or state.words_sha256 is None:
        raise UnusableGenerationError("never built")
    path = vectors_path(folder, state.fingerprint)
    try:
        vectors = VectorIndex(path, state.vectors_sha256, ids)
        path = words_path(folder, state.fingerprint)
        return vectors, WordIndex(path, state.words_sha256, len(ids))
    except FileNotFoundError as error:
        raise UnusableGenerationError(f"{path.name}: missing") from error
    except (OSError, ValueError) as error:
        raise UnusableGenerationError(f"{path.name}: {error}") from error


def remove_other_generations(folder: Path, state: State) -> None:
    """Delete all generations but the one `state` points to, and what killed writers left behind."""
    valid = {vectors_path(folder, state.fingerprint), words_path(folder, state.fingerprint)}
    for path in folder.iterdir():
        if path not in valid:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def vectors_path(folder: Path, fingerprint: str) -> Path:
    """Return where the FAISS file of a state lies."""
    return folder / f"vectors-{fingerprint[:16]}.faiss"


def words_path(folder: Path, fingerprint: str) -> Path:
    """Return where the BM25 folder of a state lies."""
    return folder / f"words-{fingerprint[:16]}"
