"""What a collection promises about its content: only changes cost, what goes is gone, equal content is equal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.knowledge.fakes import DIMENSION, IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from workbench.errors import MissingCollectionError, StaleIndexError
from workbench.knowledge import Collection, UpdateReport
from workbench.types import Block, BlockKind, Chunk, Document, Float32

LENS = make_document("lens.md", "The lens costs 40 euro.\nIt weighs two grams.")
LAMP = make_document("lamp.md", "The lamp costs 90 euro.\nIt is made of brass.")
TUBE = make_document("tube.md", "The tube is made of brass.")


def update(collection: Collection, documents: list[Document], settings: str = "") -> tuple[UpdateReport, list[str]]:
    """Update with a fresh counting embedder; return the report and the texts that were embedded."""
    embedder = HashEmbedder()
    return collection.update(documents, cut_paragraphs, embedder.embed_documents, settings=settings), embedder.embedded


def test_an_update_embeds_only_what_changed(tmp_path: Path) -> None:
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        report, embedded = update(collection, [LENS, LAMP])
        assert report == UpdateReport(("lamp.md", "lens.md"), (), (), 0, 4, 4, 0)
        assert len(embedded) == 4

        heavier = make_document("lens.md", "The lens costs 40 euro.\nIt weighs nine grams.")
        report, embedded = update(collection, [TUBE, heavier])
        assert report == UpdateReport(("tube.md",), ("lens.md",), ("lamp.md",), 0, 3, 2, 1)
        assert embedded == ["lens.md\nIt weighs nine grams.", "tube.md\nThe tube is made of brass."]

        report, embedded = update(collection, [heavier, TUBE])
        assert report == UpdateReport((), (), (), 2, 3, 0, 0)
        assert embedded == []


def test_a_line_edited_in_the_middle_indexes_one_chunk_and_moves_the_rest(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(40)]
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        update(collection, [make_document("manual.md", "\n".join(lines))])
        lines[20] = "a longer line than before"
        report, embedded = update(collection, [make_document("manual.md", "\n".join(lines))])
        assert (report.n_embedded, report.n_reused) == (1, 39)
        assert embedded == ["manual.md\na longer line than before"]
        base, young = collection.describe_index()
        assert base.startswith("39 of 40 rows") and young.startswith("1 of 1 rows")
        text = collection.document("manual.md").text
        assert all(text[chunk.start : chunk.end] == chunk.text for chunk in collection.all_chunks())


def test_a_moved_document_is_told_from_a_new_one_by_its_content(tmp_path: Path) -> None:
    twins = [replace(LENS, id=name, source=name) for name in ("a.md", "b.md")]
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        update(collection, [LAMP, *twins])
        report, embedded = update(collection, [*(replace(LENS, id=f"new/{one.id}") for one in twins), TUBE])
        assert report.moved == (("a.md", "new/a.md"), ("b.md", "new/b.md"))
        assert (report.added, report.removed, len(embedded)) == (("tube.md",), ("lamp.md",), 1)


def test_new_chunking_settings_cut_everything_anew_and_embed_nothing_twice(tmp_path: Path) -> None:
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        update(collection, [LENS, LAMP], "long")
        report, embedded = update(collection, [LENS, LAMP], "short")
        assert (report.changed, report.n_reused, embedded) == (("lamp.md", "lens.md"), 4, [])


def test_documents_not_named_stay_when_asked_to(tmp_path: Path) -> None:
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        update(collection, [LENS])
        report = collection.update([LAMP], cut_paragraphs, HashEmbedder().embed_documents, remove_missing=False)
        assert (report.added, report.removed, report.n_unchanged) == (("lamp.md",), (), 1)
        assert [collection.document(id_) for id_ in ("lamp.md", "lens.md")] == [LAMP, LENS]


def test_equal_texts_share_one_vector(tmp_path: Path) -> None:
    twin = make_document("twin.md", "one\nline")
    cut = [Chunk("b", "twin.md", 0, 3, "one"), Chunk("a", "twin.md", 0, 3, "one")]
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        report = collection.update([twin], lambda _: cut, HashEmbedder().embed_documents)
        assert (report.n_embedded, report.n_reused) == (1, 1)
        # Equal scores go in order of chunk id, whichever was stored first.
        assert [id_ for id_, _ in collection.search_vectors(embed_text("one"), k=2)] == ["a", "b"]
        assert [id_ for id_, _ in collection.search_words("one", k=1)] == ["a"]


def test_a_removed_document_is_found_nowhere_and_in_no_byte(tmp_path: Path) -> None:
    secret = make_document("secret.md", "canary zyxwvut\n" * 500)
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        update(collection, [LENS, secret])
        assert collection.search_words("zyxwvut", k=1)
        vector = embed_text("secret.md\ncanary zyxwvut").tobytes()
        assert _files_with(tmp_path, b"zyxwvut") and _files_with(tmp_path, vector)
        update(collection, [LENS])
        assert collection.search_words("zyxwvut", k=1) == []
        assert {id_ for id_, _ in collection.search_vectors(embed_text("zyxwvut"), k=9)} == {
            "lens.md#0000",
            "lens.md#0001",
        }
        with pytest.raises(KeyError, match=r"secret\.md"):
            collection.document("secret.md")
        assert _files_with(tmp_path, b"zyxwvut") == [] == _files_with(tmp_path, vector)


def test_removed_text_that_an_open_reader_keeps_is_an_event_and_goes_with_the_next_update(tmp_path: Path) -> None:
    secret = make_document("secret.md", "canary zyxwvut\n" * 500)
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        update(collection, [LENS, secret])
        assert collection.events == []
        with Collection.open(tmp_path / "c") as reader:
            update(collection, [LENS])
            (event,) = collection.events
            assert "another program is reading it" in event
            assert event.endswith(f"workbench purge {tmp_path / 'c'}")
            assert _files_with(tmp_path, b"zyxwvut")
            assert reader.document("secret.md") == secret
        update(collection, [LENS])
        assert collection.events == [event]
        assert _files_with(tmp_path, b"zyxwvut") == []


def _files_with(folder: Path, content: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and content in path.read_bytes()]


def test_the_fingerprint_follows_content_alone(tmp_path: Path) -> None:
    with Collection.create(tmp_path / "a", IDENTITY) as one, Collection.create(tmp_path / "b", IDENTITY) as other:
        assert one.fingerprint == other.fingerprint
        update(one, [LENS, LAMP])
        update(other, [TUBE])
        assert one.fingerprint != other.fingerprint
        update(other, [LAMP, TUBE])
        update(other, [LAMP, replace(LENS, source="elsewhere/lens.md")])
        assert one.fingerprint == other.fingerprint
        with Collection.create(tmp_path / "c", replace(IDENTITY, fingerprint="1" * 64)) as third:
            update(third, [LENS, LAMP])
            assert third.fingerprint != one.fingerprint


def test_documents_and_chunks_come_back_as_they_went_in(tmp_path: Path) -> None:
    blocks = (Block(0, 5, BlockKind.HEADING, 1, 3), Block(6, 9, BlockKind.PARAGRAPH))
    document = Document("ü/ß.md", "s", "Tïtle", "Größe\n漢字🔭", blocks, "f", {"b": "2", "a": "1"})
    chunk = Chunk("ü#1", "ü/ß.md", 6, 9, "漢字🔭", ("Größe", "x"), 3)
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        collection.update([document], lambda _: [chunk], HashEmbedder().embed_documents)
    with Collection.open(tmp_path / "c", IDENTITY) as collection:
        assert collection.document("ü/ß.md") == document
        assert collection.chunks(["ü#1", "ü#1"]) == [chunk, chunk]
        assert collection.all_chunks() == [chunk]
        assert collection.identity == IDENTITY
        assert collection.n_chunks == 1
        with pytest.raises(KeyError, match="unknown"):
            collection.chunks(["ü#1", "unknown"])


def test_another_embedder_is_refused_with_both_values(tmp_path: Path) -> None:
    Collection.create(tmp_path / "c", IDENTITY).close()
    other = replace(IDENTITY, fingerprint="f" * 64, pooling="cls")
    with pytest.raises(
        StaleIndexError, match=r"pooling 'sum', but .* pooling 'cls'; .*workbench reembed .*/c hash .*index"
    ):
        Collection.open(tmp_path / "c", other)
    Collection.open(tmp_path / "c").close()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingCollectionError, match=r"workbench sync .*/c DOCUMENTS.*workbench index CONFIG"):
        Collection.open(tmp_path / "c")
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        with pytest.raises(FileExistsError, match="already holds"):
            Collection.create(tmp_path / "c", IDENTITY)
        with pytest.raises(ValueError, match="2 documents share 1 ids"):
            update(collection, [LENS, LENS])
        with pytest.raises(StaleIndexError, match=r"\(3,\).*\(32,\).*'hash'.*workbench reembed .*/c EMBEDDER"):
            collection.search_vectors(np.ones(3, dtype=np.float32), k=1)
        with pytest.raises(ValueError, match="k is 0"):
            collection.search_words("x", k=0)


@pytest.mark.parametrize(
    ("vectors", "fault"),
    [
        (np.ones((1, DIMENSION), dtype=np.float32), r"shape \(1, 32\), expected \(2, 32\)"),
        (np.ones((2, DIMENSION), dtype=np.float32), "length 1, but one has length 5.657"),
        (np.full((2, DIMENSION), np.nan, dtype=np.float32), "not finite"),
    ],
    ids=["too few", "not unit", "nan"],
)
def test_unsound_vectors_change_nothing(tmp_path: Path, vectors: Float32, fault: str) -> None:
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        before = collection.fingerprint
        with pytest.raises(ValueError, match=fault):
            collection.update([LENS], cut_paragraphs, lambda _: vectors)
        assert (collection.fingerprint, collection.n_chunks) == (before, 0)


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    long = make_document("long.md", "\n".join(f"line {number}" for number in range(300)))
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        collection.update(
            [long], cut_paragraphs, HashEmbedder().embed_documents, on_progress=lambda *step: steps.append(step)
        )
    assert steps == [(256, 300), (300, 300)]
