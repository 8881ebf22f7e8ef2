"""Another embedder for a collection: a second edition is filled beside the readers of the first, then takes its place.

Both editions share the documents; each has its own chunks, vectors and segments. One is active, and a single row says
which: a kill at any point leaves the old one active or the new one, whole. The former stays for a rollback until it is
dropped. Documents that an update changes or adds meanwhile are missing from the edition that is not active, and it is
refused as long as they are; filling it again embeds only those.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace

from workbench.errors import ConfigError, StaleIndexError
from workbench.knowledge.collection import DATABASE, Collection
from workbench.knowledge.editions import open_edition
from workbench.knowledge.records import Records
from workbench.knowledge.refusals import refuse_lone
from workbench.knowledge.schema import State
from workbench.knowledge.sync import Change, Chunker, Embed, Plan, Progress, UpdateReport
from workbench.knowledge.writing import Writer
from workbench.types import EmbedderIdentity

MISSING = "SELECT count(*) FROM documents LEFT JOIN cuts ON document = number AND edition = ? WHERE cuts.mark IS NULL"


@dataclass(frozen=True, slots=True)
class EditionFacts:
    """What there is to know of an edition."""

    number: int  # a later one has a higher number
    identity: EmbedderIdentity
    active: bool
    n_chunks: int
    n_missing: int  # documents that it does not hold, or only as they were


def list_editions(collection: Collection) -> list[EditionFacts]:
    """Return the editions of the newest state, the oldest first: one, or two."""
    with closing(Records(collection.folder / DATABASE)) as store:
        return _describe(store)


def reembed_collection(
    collection: Collection,
    identity: EmbedderIdentity,
    embed: Embed,
    chunk: Chunker,
    *,
    settings: str = "",
    on_progress: Progress | None = None,
) -> UpdateReport:
    """Fill the edition of `identity`, beside readers of the active one, which stays active: see `promote_edition`.

    Killed at any point, the same call goes on where it stopped: vectors are committed batch by batch. Other writers
    are refused meanwhile.

    Args:
        collection: open.
        identity: the embedder. That of the other edition, where there is one, brings it up to date.
        embed: embeds texts with it, shape (N, D).
        chunk: cuts documents for it.
        settings: fingerprint of the chunking settings.
        on_progress: called after each batch with texts embedded and texts known so far to need it.

    Raises:
        ConfigError: it is the embedder of the active edition; updates fill that one.
        StaleIndexError: there is a second edition already, of another embedder.
        BusyError: another process is writing; nothing was changed.
    """
    with collection.writing() as writer:
        store = writer.store
        filling = _open_for(writer, identity)
        ids = [id_ for (id_,) in store.rows("SELECT id FROM documents ORDER BY id")]
        plan = Plan(store.document_marks(filling.view.state.edition.number), (), settings)
        changes = (Change(store.document(id_)) for id_ in ids)
        return filling.write(plan, changes, chunk, embed, on_progress=on_progress)


def promote_edition(collection: Collection) -> EmbedderIdentity:
    """Make the newer edition the active one and return its embedder; where it is active already, nothing happens.

    Readers keep what they see until they refresh; then they are told to open the collection anew, since their questions
    come from the former embedder.

    Raises:
        StaleIndexError: there is none, or it does not hold all documents.
        BusyError: another process is writing; nothing was changed.
    """
    return _activate(collection, -1)


def rollback_edition(collection: Collection) -> EmbedderIdentity:
    """Make the older edition the active one again; as `promote_edition`.

    Raises:
        StaleIndexError: it was dropped, or documents were changed or added since.
        BusyError: another process is writing; nothing was changed.
    """
    return _activate(collection, 0)


def drop_edition(collection: Collection) -> EmbedderIdentity | None:
    """Delete the edition that is not active and return its embedder; None: there is none. No rollback after it.

    Raises:
        BusyError: another process is writing; nothing was changed.
    """
    with collection.writing() as writer:
        others = [one for one in _describe(writer.store) if not one.active]
        with writer.store.transaction():
            for one in others:
                writer.store.drop_edition(one.number)
        writer.sweep()
    return others[0].identity if others else None


def _activate(collection: Collection, place: int) -> EmbedderIdentity:
    with collection.writing() as writer:
        editions = _describe(writer.store)
        chosen = editions[place]
        if len(editions) == 1:
            raise refuse_lone(collection.folder, chosen.identity)
        if chosen.n_missing:
            raise StaleIndexError(
                f"the edition of embedder {chosen.identity.name!r} lacks {chosen.n_missing} documents of "
                f"{collection.folder}; fill it: workbench reembed {collection.folder} {chosen.identity.name}"
            )
        if not chosen.active:
            view = open_edition(writer, chosen.number).view
            with writer.store.transaction():
                writer.store.record_state(chosen.number, view.state.documents_sha256)
            writer.view = replace(view, state=replace(view.state, active=chosen.number))
    return chosen.identity


def _open_for(writer: Writer, identity: EmbedderIdentity) -> Writer:
    """Return a writer on the edition of an embedder, which is not the active one; a new one where there is none."""
    store, active = writer.store, writer.view.state.edition
    folder = store.path.parent
    if identity == active.identity:
        raise ConfigError(
            f"{folder} is searched with embedder {identity.name!r} already; name another: workbench reembed {folder} "
            f"EMBEDDER (changed documents are taken in by workbench sync {folder} DOCUMENTS...)"
        )
    others = [one for one in store.editions() if one.number != active.number]
    for one in others:
        if one.identity != identity:
            raise StaleIndexError(
                f"{folder} holds an edition of embedder {one.identity.name!r} beside the active one, so none of "
                f"{identity.name!r} can be made; drop it first: workbench reembed {folder} --drop"
            )
    if not others:
        with store.transaction():
            others = [store.add_edition(identity)]
    return open_edition(writer, others[0].number)


def _describe(store: Records) -> list[EditionFacts]:
    state: State = store.take_snapshot()
    facts = []
    for edition in store.editions():
        chunks = store.first("SELECT count(*) FROM chunks WHERE edition = ?", (edition.number,))
        missing = store.first(MISSING, (edition.number,))
        assert chunks is not None and missing is not None
        active = edition.number == state.active
        facts.append(EditionFacts(edition.number, edition.identity, active, chunks[0], missing[0]))
    store.end_snapshot()
    return facts
