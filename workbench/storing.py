"""A document that is read already, brought into a library: cut and embedded without any lock, then one transaction.

So searches, deletions and other documents wait for a few rows to be written, not for a model; and what is given up
while it is embedded leaves nothing behind, no vector either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.contracts import Embedder
from workbench.errors import TakenDocumentError
from workbench.knowledge import Change, UpdateReport
from workbench.library import Library
from workbench.types import Chunk, Document, Float32, Scope

EMBED_AT_ONCE = 64  # texts; between two such batches it can be given up


@dataclass(slots=True)
class CutDocument:
    """A document, its chunks, and the vectors of those texts that the library had not embedded before."""

    document: Document
    chunks: list[Chunk]
    missing: list[str]  # indexed texts without a vector
    vectors: dict[str, Float32] = field(default_factory=dict)  # by indexed text, each of shape (D,)

    def embed(self, embedder: Embedder, check: Callable[[], None]) -> None:
        """Embed what is missing. `check` is called before each batch and at the end; what it raises goes through."""
        for start in range(0, len(self.missing), EMBED_AT_ONCE):
            check()
            batch = self.missing[start : start + EMBED_AT_ONCE]
            self.vectors.update(zip(batch, embedder.embed_documents(batch), strict=True))
        check()


def cut_document(library: Library, document: Document) -> CutDocument:
    """Cut a document as the library's settings say.

    Raises:
        StaleIndexError: the library was built with another embedder.
    """
    chunks = library.cut([document])
    missing = library.collection.without_vector([chunk.indexed_text for chunk in chunks])
    return CutDocument(document, chunks, missing)


def refuse_hidden(library: Library, id_: str, scope: Scope) -> bool:
    """Return whether there is a document of that id.

    Raises:
        TakenDocumentError: there is one outside `scope`, which must not be overwritten unseen.
    """
    try:
        library.collection.document(id_)
    except KeyError:
        return False
    try:
        library.collection.document(id_, scope)
    except KeyError as error:
        message = f"the id {id_[:80]!r} is taken in collection {library.folder.name!r}; give another `id`"
        raise TakenDocumentError(message) from error
    return True


def put_document(library: Library, cut: CutDocument, embedder: Embedder) -> UpdateReport:
    """Bring in one document, over the one of its id, in one transaction.

    What is known of that one's file is forgotten, so that the next sync reads the file and has the last word.

    Raises:
        BusyError: another process is writing; nothing was changed.
    """

    def embed(texts: Sequence[str]) -> Float32:
        # What had a vector when the document was cut may have been deleted since.
        left = [text for text in texts if text not in cut.vectors]
        known = cut.vectors | dict(zip(left, embedder.embed_documents(left) if left else (), strict=True))
        return np.stack([known[text] for text in texts])

    marks = library.collection.file_marks().values()
    files = [mark.path for mark in marks if mark.document_id == cut.document.id]
    change = Change(cut.document)
    return library.collection.apply([change], lambda _: cut.chunks, embed, settings=library.cutting, gone=files)
