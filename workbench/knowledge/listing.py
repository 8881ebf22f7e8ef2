"""Documents shown to whoever asks: a page of their list, or one whole, and nothing outside of the asker's scope.

Not search: what a scope hides is as if it were not there, and an id that may not be seen is an unknown one.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.knowledge.masks import is_allowed
from workbench.knowledge.records import Records
from workbench.knowledge.rows import DocumentFacts
from workbench.types import Document, Scope


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """One line of a list of documents."""

    facts: DocumentFacts
    n_characters: int
    n_chunks: int


def list_documents(store: Records, edition: int, *, after: str, limit: int, scope: Scope) -> list[ListedDocument]:
    """Return the first `limit` documents in `scope` whose id comes after `after`, in order of id.

    Raises:
        ValueError: `limit` is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}, must be at least 1")
    found: list[ListedDocument] = []
    for number, facts in store.facts_after(after):
        if is_allowed(facts, scope):
            n_characters = len(store.document(facts.id).text)
            found.append(ListedDocument(facts, n_characters, len(store.rows_of_document(edition, number))))
            if len(found) == limit:
                break
    return found


def read_allowed(store: Records, id_: str, scope: Scope) -> Document:
    """Return one document. Raises KeyError for an unknown id, and for one outside `scope`."""
    document = store.document(id_)
    if not is_allowed(DocumentFacts.of(document), scope):
        raise KeyError(id_)
    return document
