"""A view: one committed state of a collection, verified and open for searching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.knowledge.ledger import Ledger, fingerprint_set
from workbench.knowledge.masks import Masks, find_owners
from workbench.knowledge.records import Records
from workbench.knowledge.rows import digest, identity_body
from workbench.knowledge.schema import State
from workbench.knowledge.segments import Kept, Segment, UnusableSegmentError, open_segment
from workbench.types import EmbedderIdentity


@dataclass(frozen=True, slots=True)
class View:
    """A state, the ledgers it vouches for, its open segments in order of row, and their masks."""

    state: State
    documents: Ledger
    chunks: Ledger
    segments: Sequence[Segment]
    masks: Masks

    @property
    def kept(self) -> list[Kept]:
        """Each segment with the positions that were not deleted."""
        return [Kept(segment, alive) for segment, alive in zip(self.segments, self.masks.alive, strict=True)]

    def describe(self) -> list[str]:
        """Return one line a segment: how many of its rows are still there, how they are indexed, and why."""
        line = "{alive} of {n} rows, {kind}, codes {codes}: {reason}"
        kept = ((one.record, one.record.n if mask is None else int(mask.sum())) for one, mask in self.kept)
        return [line.format(alive=alive, n=record.n, **record.choice) for record, alive in kept]


def read_view(store: Records, state: State, folder: Path, opened: Sequence[Segment]) -> View:
    """Return the view of the snapshot's `state`, its segments from `opened` where they are there, else from `folder`.

    Raises:
        DamagedCollectionError: the rows are not those that were committed together.
        UnusableSegmentError: a segment is missing or damaged, or the segments do not cover the chunks.
    """
    documents, chunks = verify_rows(store, state)
    known = {segment.record.name: segment for segment in opened}
    segments = [known.get(record.name) or open_segment(folder, record) for record in state.edition.segments]
    return build_view(store, state, documents, chunks, segments)


def verify_rows(store: Records, state: State) -> tuple[Ledger, Ledger]:
    """Return the ledgers of documents and of the active edition's chunks.

    Raises:
        DamagedCollectionError: they are not those that were committed.
    """
    documents, chunks = store.scan_documents(), store.scan_chunks(state.edition.number)
    for name, ledger, wanted in (
        ("documents", documents, state.documents_sha256),
        ("chunks", chunks, state.edition.chunks_sha256),
    ):
        if ledger.sha256 != wanted:
            found = ledger.sha256.hex()[:12]
            raise store.damaged(f"holds {name} with SHA-256 {found}, recorded is {wanted.hex()[:12]}")
    return documents, chunks


def build_view(store: Records, state: State, documents: Ledger, chunks: Ledger, segments: Sequence[Segment]) -> View:
    """Return the view of verified parts.

    Raises:
        UnusableSegmentError: the segments do not hold each chunk exactly once.
    """
    owners = [find_owners(segment, chunks) for segment in segments]
    rows = np.concatenate([np.empty(0, dtype=np.int64), *(segment.rows for segment in segments)])
    if (np.diff(rows) <= 0).any() or sum(int((owner > 0).sum()) for owner in owners) != len(chunks):
        raise UnusableSegmentError("the segments do not hold each chunk once")
    return View(state, documents, chunks, segments, Masks(owners, store.facts))


def fingerprint_content(store: Records, identity: EmbedderIdentity, chunks: Ledger) -> str:
    """Return a SHA-256 (hex) of documents, facts, chunks, embedder; sources, history, clock, machine leave no trace."""
    documents = fingerprint_set(b"".join(store.document_digests()))
    return digest((identity_body(identity), documents, fingerprint_set(chunks.digests.tobytes()))).hex()
