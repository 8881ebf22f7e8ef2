"""Lives of a collection: random histories in which secret documents come, change, move and go, and commands are killed.

The secrets' words, names and facts occur nowhere else; what they ever were is kept, to be looked for after a purge.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tests.knowledge.fakes import IDENTITY, cut_paragraphs, embed_text, make_document
from tests.knowledge.proofs.tracing import run_killed_after
from tests.knowledge.proofs.verbs import OTHER, embed_other, mark_of, write_document
from workbench.errors import BusyError, StaleIndexError
from workbench.knowledge import Change, Collection
from workbench.knowledge.purge import purge_collection
from workbench.knowledge.reembed import drop_edition, promote_edition, reembed_collection
from workbench.types import Document, Fact, Float32

N_STEPS = 12
KEEPERS = [write_document(f"keeper{number}", 4) for number in range(8)]


@dataclass(slots=True)
class Life:
    """A collection in the making: `there` are the secrets it should hold, `ever` all that it may ever have held."""

    folder: Path
    draw: random.Random
    there: dict[str, Document] = field(default_factory=dict)
    ever: list[Document] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """The ids of all secrets, past ones included."""
        return sorted({document.id for document in self.ever})


def live(folder: Path, draw: random.Random) -> Life:
    """Return a collection of keepers and secrets after a random history."""
    life = Life(folder, draw)
    with Collection.create(folder, IDENTITY) as collection:
        put(collection, KEEPERS)
    steps = [add, add, edit, move, delete, scrub, reembed, promote, drop, be_killed]
    for step in (add, *draw.choices(steps, k=N_STEPS)):
        step(life)
    return life


def put(collection: Collection, documents: Sequence[Document], *, removed: Sequence[str] = ()) -> None:
    """Bring documents in with their files."""
    embed = embed_text if collection.identity == IDENTITY else embed_other
    collection.apply(
        [Change(document, mark_of(document)) for document in documents],
        cut_paragraphs,
        lambda texts: np.stack([embed(text) for text in texts]),
        removed=removed,
        gone=removed,
    )


def make_secrets(draw: random.Random, n: int) -> list[Document]:
    """Return documents all of whose words, names and facts occur nowhere else."""
    documents = []
    for _ in range(n):
        lines = [" ".join(make_word(draw) for _ in range(3)) for _ in range(draw.randint(1, 4))]
        document = make_document(f"{make_word(draw)}.md", "\n".join(lines))
        facts: dict[str, Fact] = {"author": make_word(draw), "tags": (make_word(draw),)}
        documents.append(replace(document, title=make_word(draw), metadata=facts, readers=(make_word(draw),)))
    return documents


def make_word(draw: random.Random) -> str:
    """Return a word that is in no other text."""
    return "zq" + "".join(draw.choices("bcdfghjklmnpqrtvwxz", k=14))


def add(life: Life) -> None:
    """Add secrets."""
    secrets = make_secrets(life.draw, 3)
    life.ever += secrets
    with Collection.open(life.folder) as collection:
        put(collection, secrets)
    life.there |= {secret.id: secret for secret in secrets}


def edit(life: Life) -> None:
    """Give a secret another text; the old one has to go as well."""
    if life.there:
        old = life.there[life.draw.choice(sorted(life.there))]
        new = replace(make_secrets(life.draw, 1)[0], id=old.id, source=old.id)
        life.ever.append(new)
        with Collection.open(life.folder) as collection:
            put(collection, [new])
        life.there[old.id] = new


def move(life: Life) -> None:
    """Give a secret another name; the old one has to go as well."""
    if life.there:
        old = life.there.pop(life.draw.choice(sorted(life.there)))
        id_ = f"{make_word(life.draw)}.md"
        new = replace(old, id=id_, source=id_)
        life.ever.append(new)
        with Collection.open(life.folder) as collection:
            put(collection, [new], removed=[old.id])
        life.there[id_] = new


def delete(life: Life) -> None:
    """Delete a secret, without a purge."""
    if life.there:
        id_ = life.draw.choice(sorted(life.there))
        with Collection.open(life.folder) as collection:
            collection.delete([id_])
        del life.there[id_]


def scrub(life: Life) -> None:
    """Write the segments that hold deleted rows anew."""
    with Collection.open(life.folder) as collection, collection.writing() as writer:
        writer.scrub()


def reembed(life: Life) -> None:
    """Fill the edition of the other embedder."""
    with Collection.open(life.folder) as collection:
        identity, embed = (OTHER, embed_other) if collection.identity == IDENTITY else (IDENTITY, embed_text)

        def embed_all(texts: Sequence[str]) -> Float32:
            return np.stack([embed(text) for text in texts])

        reembed_collection(collection, identity, embed_all, cut_paragraphs)


def promote(life: Life) -> None:
    """Search the newer edition from now on, if there is one and it is whole."""
    with Collection.open(life.folder) as collection:
        try:
            promote_edition(collection)
        except StaleIndexError:
            return


def drop(life: Life) -> None:
    """Drop the edition that is not active, if there is one."""
    with Collection.open(life.folder) as collection:
        drop_edition(collection)


def be_killed(life: Life) -> None:
    """Add secrets, or purge one, and be killed at a random time."""
    secrets = make_secrets(life.draw, 6)
    life.ever += secrets

    def work() -> None:
        with Collection.open(life.folder) as collection:
            if life.draw.random() < 0.7:
                put(collection, secrets)
            else:
                purge_collection(collection, sorted(life.there)[:1])

    run_killed_after(work, life.draw.uniform(0.0, 0.06))


def purge(folder: Path, ids: Sequence[str]) -> None:
    """Purge documents."""
    with Collection.open(folder) as collection:
        purge_collection(collection, ids)


def purge_gradually(life: Life) -> None:
    """Purge all secrets: at once, or deleted first, or refused first because somebody reads."""
    way = life.draw.randrange(3)
    if way == 0:
        with Collection.open(life.folder) as collection:
            collection.delete(life.ids)
            purge_collection(collection)
        return
    if way == 1:
        with Collection.open(life.folder):
            try:
                purge(life.folder, life.ids)
                raise AssertionError("purged beside a reader, whose snapshot keeps the bytes")
            except BusyError:
                pass
    purge(life.folder, life.ids)
