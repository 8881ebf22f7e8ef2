"""Fusion by rank where documents are looked for, not passages: one hit a document, and ranks counted over documents.

Counted over chunks, a document cut into five takes five ranks of the others', and one that two parts find by different
chunks gets the sum for neither. Not for passages to read: a document's other chunks, perhaps the right ones, are left
out (docs/LOG.md has both figures).
Source: the best passage stands for its document, Callan, SIGIR 1994, https://doi.org/10.1007/978-1-4471-2099-5_31
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.contracts import ChunkStore
from workbench.retrieval.fusion import fuse_by_rank
from workbench.retrieval.scored import Part, Scored, fetch, take_best
from workbench.types import EVERYTHING, Ranking, Scope


def fuse_documents(pools: Sequence[Scored], document_of: Mapping[str, str], *, k: int, damping: int = 60) -> Scored:
    """Return one chunk id for each of the `k` best documents, with its document's score; ties go in order of chunk id.

    A document stands in a pool where its best chunk does, and only documents count: its score is the sum of
    1 / (damping + rank). Its chunk is the best of its chunks by `fuse_by_rank` over the pools as they are.

    Args:
        document_of: the document's id of every chunk id in `pools`.
    """
    chunk_of: dict[str, str] = {}
    for id_, _ in fuse_by_rank(pools, k=len(document_of), damping=damping):
        chunk_of.setdefault(document_of[id_], id_)
    ranked = [[(id_, 0.0) for id_ in dict.fromkeys(document_of[id_] for id_, _ in pool)] for pool in pools]
    fused = fuse_by_rank(ranked, k=len(chunk_of), damping=damping)
    return take_best({chunk_of[document_id]: score for document_id, score in fused}, k)


class DocumentFusionRetriever:
    """Asks every part for a pool of hits and fuses them into documents."""

    def __init__(self, parts: Sequence[Part], collection: ChunkStore, *, damping: int, pool: int) -> None:
        self._parts = tuple(parts)
        self._collection = collection
        self._damping = damping
        self._pool = pool

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return the best chunk of each of the `k` best documents, fewer where the pools hold fewer documents.

        Each pool has `pool` chunks, or `k` where that is more.
        """
        depth = max(self._pool, k)
        pools = [part.rank(question, k=depth, scope=scope) for part in self._parts]
        ids = sorted({id_ for pool in pools for id_, _ in pool})
        document_of = {chunk.id: chunk.document_id for chunk in self._collection.chunks(ids)}
        return fetch(self._collection, fuse_documents(pools, document_of, k=k, damping=self._damping))
