"""What a reader sees while others write: one committed state, whole, until it asks for the newest; never two mixed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from workbench.errors import BusyError
from workbench.knowledge import Collection
from workbench.locking import hold_writer_lock
from workbench.types import Document

OLD = [make_document("old.md", "The lamp is made of brass.\nThe lens is made of glass.")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A closed collection that holds OLD."""
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        fill(collection, OLD)
    return tmp_path / "c"


def fill(collection: Collection, documents: list[Document]) -> None:
    collection.update(documents, cut_paragraphs, HashEmbedder().embed_documents)


def assert_searches(collection: Collection) -> None:
    assert [id_ for id_, _ in collection.search_words("brass", k=5)] == ["old.md#0000"]
    assert collection.search_vectors(embed_text("old.md\nThe lens is made of glass."), k=1)[0][0] == "old.md#0001"


def flip_vectors(folder: Path) -> None:
    (path,) = folder.glob("segments/*/vectors.npy")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def test_a_reader_keeps_its_state_while_another_writes(folder: Path) -> None:
    with Collection.open(folder) as reader, Collection.open(folder) as writer:
        before = reader.fingerprint
        fill(writer, [make_document("other.md", "Nothing of the kind.")])
        assert_searches(reader)
        assert reader.chunks(["old.md#0000"])[0].text == "The lamp is made of brass."
        assert reader.fingerprint == before != writer.fingerprint
        # Its own update starts from what is there now, not from what it had seen.
        fill(reader, OLD)
        assert_searches(reader)
        assert reader.fingerprint == before


def test_a_reader_that_mended_keeps_its_state_while_another_deletes(folder: Path) -> None:
    flip_vectors(folder)
    with Collection.open(folder) as reader:
        assert len(reader.events) == 1
        with Collection.open(folder) as writer:
            writer.delete(["old.md"])
        assert_searches(reader)
        assert reader.document("old.md") == OLD[0]
        reader.refresh()
        assert reader.search_words("brass", k=5) == []


def test_after_a_refresh_that_failed_nothing_of_two_states_is_mixed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = [make_document("new.md", "The tube is made of brass.")]
    with Collection.open(folder) as reader:
        with Collection.open(folder) as writer:
            fill(writer, new)
        flip_vectors(folder)  # so that seeing the new state takes the lock
        impatient = partial(hold_writer_lock, wait_seconds=0)
        monkeypatch.setattr("workbench.knowledge.collection.hold_writer_lock", impatient)
        reads = (
            reader.refresh,
            reader.documents,
            reader.all_chunks,
            lambda: reader.search_words("brass", k=5),
            lambda: reader.document("old.md"),
            lambda: reader.fingerprint,
        )
        with hold_writer_lock(folder / "writer.lock"):
            for read in reads:
                with pytest.raises(BusyError):
                    read()
        assert [id_ for id_, _ in reader.search_words("brass", k=5)] == ["new.md#0000"]
        assert reader.all_chunks() == cut_paragraphs(new)
        assert len(reader.events) == 1
