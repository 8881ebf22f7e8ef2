"""The commands that change a collection, each as: how it begins, what runs, and which states are legal ever after.

A legal state is the one before, the one after, or one after a committed group in between, always a whole one.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from tests.knowledge.proofs.oracle import World, match_world
from workbench.knowledge import Change, Collection, FileMark
from workbench.knowledge.portability import export_collection, import_collection
from workbench.knowledge.purge import purge_collection
from workbench.knowledge.reembed import drop_edition, promote_edition, reembed_collection, rollback_edition
from workbench.knowledge.repair import repair_collection
from workbench.types import Document, Float32

OTHER = replace(IDENTITY, name="other", fingerprint="1" * 64, dimension=24)
EXPORTED = "out/exported.zip"
ARCHIVE = "archive.zip"
WORDS = ("brass", "lamp", "tin", "lens", "of", "glass", "one", "tube", "oil", "wick", "flame", "stand")


@dataclass(frozen=True, slots=True)
class Verb:
    """One command: `prepare` makes the folder it starts from, `act` is the command, and again to finish it.

    `act` gets the collection open; None: creating or opening it is the command, or `command`, which gets its folder.
    """

    name: str
    prepare: Callable[[Path], None]
    act: Callable[[Collection], None] | None
    worlds: Sequence[World]  # legal states: the first is the one before, the last the one after
    command: Callable[[Path], None] | None = None
    damaged: bool = False  # before: then a refusal is legal too

    def run(self, folder: Path) -> None:
        """Run the command on the collection in `folder`, as a process of its own would."""
        if self.command is not None:
            self.command(folder)
            return
        collection = Collection.open(folder) if Collection.exists(folder) else Collection.create(folder, IDENTITY)
        with collection:
            (self.act or sweep)(collection)

    def run_and_read(self, folder: Path) -> None:
        """Run the command; where it fails, the same open collection must still answer, or that is the failure."""
        if self.act is None:
            self.run(folder)
            return
        with Collection.open(folder) as collection:
            try:
                self.act(collection)
            except Exception as error:
                found = match_world(collection, self.worlds)
                if isinstance(found, str):
                    raise AssertionError(f"open when it failed, it is now {found}") from error
                raise


def write_document(id_: str, n_lines: int, *, seed: str = "", readers: tuple[str, ...] | None = None) -> Document:
    """Return a document of seeded lines; equal ids and seeds have equal texts."""
    draw = random.Random(f"{id_}{seed}")
    lines = [f"{' '.join(draw.choices(WORDS, k=4))} {id_} {number}" for number in range(n_lines)]
    document = make_document(id_, "\n".join(lines))
    return replace(document, title="Lamps", metadata={"lines": n_lines, "tags": ("a", id_)}, readers=readers)


def mark_of(document: Document) -> FileMark:
    """Return what is recorded of the file that a document came from."""
    return FileMark(document.id, document.fingerprint, len(document.text), "reader 1", document.id)


FAILED = FileMark("broken.pdf", "1" * 64, 9, "reader 1", None, "damaged", "no pages")
FAILED_LATER = FileMark("empty.pdf", "2" * 64, 0, "reader 1", None, "empty", "no text")


def make_world(documents: Sequence[Document], failed: Sequence[FileMark] = ()) -> World:
    """Return the world of documents that came from files."""
    files = {mark.path: mark for mark in (*map(mark_of, documents), *failed)}
    return World({document.id: document for document in documents}, files)


FIRST = [write_document(f"d{number:02}", 2 + number % 3) for number in range(10)]
DELETED = [write_document(f"x{number}", 3) for number in range(2)]
BEFORE = make_world(FIRST, [FAILED])


def fill(folder: Path) -> None:
    """Make a collection that is `BEFORE`, after a history that left several segments and deleted rows in them."""
    with Collection.create(folder, IDENTITY) as collection:
        old = replace(FIRST[0], text=f"{FIRST[0].text}\nan old line")
        for group in ([*FIRST[1:4], *DELETED], [old, *FIRST[4:8]], FIRST[8:]):
            changes = [Change(document, mark_of(document)) for document in group]
            collection.apply(changes, cut_paragraphs, HashEmbedder().embed_documents)
        collection.delete([document.id for document in DELETED])
        changes = [Change(FIRST[0], mark_of(FIRST[0])), Change(None, FAILED)]
        collection.apply(changes, cut_paragraphs, HashEmbedder().embed_documents)


def sync_changes() -> tuple[list[Change], list[str]]:
    """Return what a sync brings in, and which documents leave: two of them, and one that moved."""
    edited = replace(FIRST[1], text=FIRST[1].text.replace("0", "zero"), fingerprint="3" * 64)
    longer = replace(FIRST[2], text=f"{FIRST[2].text}\nwick and flame", fingerprint="4" * 64)
    retagged = replace(FIRST[3], metadata={"lines": 7}, readers=("red",))
    moved = replace(FIRST[4], id="moved", source="moved")
    new = [write_document(f"n{number}", 3) for number in range(4)]
    documents = [edited, longer, retagged, moved, *new]
    changes = [Change(document, mark_of(document)) for document in documents]
    return [*changes, Change(None, FAILED_LATER)], [FIRST[4].id, FIRST[5].id, FIRST[6].id]


def sync(collection: Collection) -> None:
    """Run the sync, as `Library.sync` runs it."""
    changes, leaving = sync_changes()
    embed, gone = HashEmbedder().embed_documents, [*leaving, FAILED.path]
    collection.apply(changes, cut_paragraphs, embed, removed=leaving, gone=gone)


def sync_worlds(group_size: int) -> list[World]:
    """Return the states after each group of a sync, from the one before to the one after."""
    changes, leaving = sync_changes()
    worlds = [BEFORE]
    documents, files = dict(BEFORE.documents), dict(BEFORE.files)
    for start in range(0, len(changes), group_size):
        for change in changes[start : start + group_size]:
            if change.document is not None:
                documents[change.document.id] = change.document
                if change.document.id == "moved":
                    del documents[leaving[0]], files[leaving[0]]
            if change.file is not None:
                files[change.file.path] = change.file
        if start + group_size >= len(changes):
            for id_ in leaving[1:]:
                del documents[id_], files[id_]
            del files[FAILED.path]
        worlds.append(World(dict(documents), dict(files)))
    return worlds


def delete(collection: Collection) -> None:
    """Delete three documents."""
    collection.delete([document.id for document in FIRST[3:6]])


def sweep(collection: Collection) -> None:
    """Write nothing; what a killed command left behind is removed on the way."""
    collection.delete([])


def damage(folder: Path) -> None:
    """Make `BEFORE` with a flipped bit in one segment and another one gone."""
    fill(folder)
    first, second, *_ = sorted(path for path in (folder / "segments").iterdir())
    path = first / "vectors.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    (second / "rows.npy").unlink()


def purge(collection: Collection) -> None:
    """Delete the same three documents, and every byte of them."""
    purge_collection(collection, [document.id for document in FIRST[3:6]])


def embed_other(text: str) -> Float32:
    """Embed with another embedder, of fewer dimensions."""
    short = embed_text(f"{text} other")[: OTHER.dimension]
    vector: Float32 = (short / np.linalg.norm(short)).astype(np.float32)
    return vector


def reembed(collection: Collection) -> None:
    """Fill an edition of the other embedder, which does not become the active one."""
    reembed_collection(collection, OTHER, lambda texts: np.stack([embed_other(one) for one in texts]), cut_paragraphs)


def change_embedder(collection: Collection) -> None:
    """Fill an edition of the other embedder and search that one from now on, unless that was done already."""
    if collection.identity != OTHER:
        reembed(collection)
    promote_edition(collection)


def roll_back(collection: Collection) -> None:
    """Search the former edition again."""
    rollback_edition(collection)


def drop(collection: Collection) -> None:
    """Delete the edition that is not active."""
    drop_edition(collection)


def after_filling(*steps: Callable[[Collection], None]) -> Callable[[Path], None]:
    """Return what prepares `BEFORE` and then takes these steps."""

    def prepare(folder: Path) -> None:
        fill(folder)
        with Collection.open(folder) as collection:
            for step in steps:
                step(collection)

    return prepare


def alter_rows(folder: Path) -> None:
    """Make `BEFORE` with altered chunks and vectors, and without some vectors."""
    fill(folder)
    connection = sqlite3.connect(folder / "collection.sqlite", isolation_level=None)
    connection.execute("UPDATE chunks SET body = replace(body, 'lamp', 'lump') WHERE row % 5 = 0")
    connection.execute("UPDATE vectors SET vector = zeroblob(128) WHERE rowid % 7 = 0")
    connection.execute("DELETE FROM vectors WHERE rowid % 7 = 1")
    connection.close()


def repair(folder: Path) -> None:
    """Mend it; the next write, here of nothing, removes the segments that are needed no more."""
    repair_collection(folder, IDENTITY, cut_paragraphs, HashEmbedder().embed_documents)
    with Collection.open(folder) as collection:
        sweep(collection)


def export(folder: Path) -> None:
    """Export to a file; one that is there already is whole, or importing it fails."""
    path = folder / EXPORTED
    path.parent.mkdir(exist_ok=True)
    try:
        export_collection(folder, path)
    except FileExistsError:
        with TemporaryDirectory() as place:
            import_collection(path, Path(place) / "imported")


def write_archive(folder: Path) -> None:
    """Export `BEFORE` to a file beside `folder`, which is not made."""
    with TemporaryDirectory() as place:
        fill(Path(place) / "source")
        export_collection(Path(place) / "source", folder.with_name(ARCHIVE))


def take_in(folder: Path) -> None:
    """Import that file; a folder that is there already is whole, or the checks that follow fail."""
    if not folder.exists():
        import_collection(folder.with_name(ARCHIVE), folder)


def list_verbs() -> list[Verb]:
    """Return all verbs; `small_steps` must be in force."""
    kept = [document for document in FIRST if document not in FIRST[3:6]]
    other = replace(BEFORE, identity=OTHER, embed=embed_other)
    return [
        Verb("create", lambda _: None, None, [make_world([])]),
        Verb("sync", fill, sync, sync_worlds(3)),
        Verb("delete", fill, delete, [BEFORE, make_world(kept, [FAILED])]),
        Verb("purge", fill, purge, [BEFORE, make_world(kept, [FAILED])]),
        Verb("reembed and promote", fill, change_embedder, [BEFORE, other]),
        Verb("sync beside an edition", after_filling(reembed), sync, sync_worlds(3)),
        Verb("rollback", after_filling(change_embedder), roll_back, [other, BEFORE]),
        Verb("drop an edition", after_filling(change_embedder), drop, [other]),
        Verb("repair", alter_rows, None, [BEFORE], repair, damaged=True),
        Verb("export", fill, None, [BEFORE], export),
        Verb("import", write_archive, None, [BEFORE], take_in),
        Verb("rebuild on open", damage, None, [BEFORE], damaged=True),
    ]
