"""Another embedder, beside readers of the first: filled, compared, promoted, rolled back, and killed on the way."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from workbench.errors import BusyError, ConfigError, StaleIndexError
from workbench.knowledge import Collection
from workbench.knowledge.comparison import compare_editions, sample_questions
from workbench.knowledge.reembed import (
    drop_edition,
    list_editions,
    promote_edition,
    reembed_collection,
    rollback_edition,
)
from workbench.knowledge.verify import verify_collection
from workbench.types import Chunk, Document, Float32, Question, Span

NEW = replace(IDENTITY, name="wide", fingerprint="1" * 64, dimension=48)
DOCUMENTS = [
    make_document(f"part{number}.md", "\n".join(f"step {line} turns wheel {number * line}" for line in range(150)))
    for number in range(4)
]
N_CHUNKS = 600
REPOSITORY = Path(__file__).parents[2]


class WideEmbedder(HashEmbedder):
    """Another model with more dimensions."""

    identity = NEW

    def embed_documents(self, texts: Sequence[str]) -> Float32:
        self.embedded.extend(texts)
        return np.stack([embed_wide(text) for text in texts])

    def embed_questions(self, texts: Sequence[str]) -> Float32:
        return np.stack([embed_wide(text) for text in texts])


def embed_wide(text: str) -> Float32:
    noise = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(16)
    vector = np.concatenate([embed_text(text), 0.05 * noise])
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def cut_pairs(documents: Sequence[Document]) -> list[Chunk]:
    """Cut two lines at a time: another embedder has another limit."""
    chunks = []
    for document in documents:
        for number, match in enumerate(re.finditer(r"[^\n]+(\n[^\n]+)?", document.text)):
            span = (match.start(), match.end(), match.group())
            chunks.append(Chunk(f"{document.id}~{number:04d}", document.id, *span))
    return chunks


ASKED = HashEmbedder().embed_questions, WideEmbedder().embed_questions


def reembed(collection: Collection) -> WideEmbedder:
    embedder = WideEmbedder()
    reembed_collection(collection, NEW, embedder.embed_documents, cut_pairs)
    return embedder


def update(collection: Collection, documents: Sequence[Document]) -> None:
    collection.update(documents, cut_paragraphs, HashEmbedder().embed_documents)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "c"
    with Collection.create(folder, IDENTITY) as collection:
        update(collection, DOCUMENTS)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "c"))


def test_the_new_edition_equals_a_collection_made_with_its_embedder(folder: Path, tmp_path: Path) -> None:
    with Collection.open(folder, IDENTITY) as collection, Collection.open(folder, IDENTITY) as reader:
        before = collection.fingerprint
        assert len(reembed(collection).embedded) == len({chunk.text for chunk in cut_pairs(DOCUMENTS)})
        assert (collection.identity, collection.fingerprint) == (IDENTITY, before)
        assert [(one.identity, one.active, one.n_missing) for one in list_editions(collection)] == [
            (IDENTITY, True, 0),
            (NEW, False, 0),
        ]
        assert promote_edition(collection) == NEW == promote_edition(collection)
        assert (collection.identity, collection.n_chunks) == (NEW, N_CHUNKS // 2)

        # A reader keeps what it sees, and does not go on under another embedder unawares.
        assert reader.search_vectors(embed_text("part0.md\nstep 7 turns wheel 0"), k=1)[0][0] == "part0.md#0007"
        with pytest.raises(StaleIndexError, match=r"'hash'.*'wide'; open it again"):
            reader.refresh()
        for read in (lambda: update(reader, DOCUMENTS[:1]), lambda: reader.search_words("wheel", k=1)):
            with pytest.raises(StaleIndexError, match="open it again"):
                read()

        with Collection.create(tmp_path / "fresh", NEW) as fresh:
            fresh.update(DOCUMENTS, cut_pairs, WideEmbedder().embed_documents)
            assert fresh.fingerprint == collection.fingerprint
            for text in ("step 7 turns wheel 21", "wheel 12"):
                found = collection.search_vectors(embed_wide(text), k=9)
                assert found == fresh.search_vectors(embed_wide(text), k=9)
                assert collection.search_words(text, k=9) == fresh.search_words(text, k=9)

        assert rollback_edition(collection) == IDENTITY
        assert collection.fingerprint == before
    assert verify_collection(folder) == []


def test_nothing_is_embedded_twice_and_changes_are_caught_up_with(folder: Path) -> None:
    late = make_document("late.md", "It came late.\nIt stays.")
    changed = make_document("part1.md", "All of it is new.")
    with Collection.open(folder) as collection:
        reembed(collection)
        assert reembed(collection).embedded == []
        update(collection, [DOCUMENTS[0], changed, DOCUMENTS[2], late])
        assert [one.n_missing for one in list_editions(collection)] == [0, 2]
        with pytest.raises(StaleIndexError, match=r"'wide' lacks 2 documents.*workbench reembed .*/c wide$"):
            promote_edition(collection)
        with pytest.raises(StaleIndexError, match=r"'wide' lacks 2 documents.*workbench reembed .*/c wide$"):
            compare_editions(collection, sample_questions(collection, 3), *ASKED)
        assert reembed(collection).embedded == ["It came late.\nIt stays.", "All of it is new."]
        promote_edition(collection)
        collection.update([late], cut_pairs, WideEmbedder().embed_documents)
        assert rollback_edition(collection) == IDENTITY  # a deletion is a deletion in both
        assert [chunk.id for chunk in collection.all_chunks()] == ["late.md#0000", "late.md#0001"]
    assert verify_collection(folder) == []


def test_after_an_update_the_former_edition_is_refused_until_it_is_filled(folder: Path) -> None:
    with Collection.open(folder) as collection:
        reembed(collection)
        promote_edition(collection)
        late = make_document("late.md", "It came late.")
        collection.update([*DOCUMENTS, late], cut_pairs, WideEmbedder().embed_documents)
        with pytest.raises(StaleIndexError, match="'hash' lacks 1 documents"):
            rollback_edition(collection)
        embedder = HashEmbedder()
        reembed_collection(collection, IDENTITY, embedder.embed_documents, cut_paragraphs)
        assert embedder.embedded == ["late.md\nIt came late."]
        rollback_edition(collection)
        assert collection.n_chunks == N_CHUNKS + 1


def test_a_dropped_edition_leaves_nothing(folder: Path) -> None:
    with Collection.open(folder) as collection:
        before = collection.fingerprint
        assert drop_edition(collection) is None
        with pytest.raises(StaleIndexError, match=r"one edition only, of embedder 'hash'.*reembed .*/c EMBEDDER"):
            promote_edition(collection)
        with pytest.raises(StaleIndexError, match="one edition only, of embedder 'hash'"):
            compare_editions(collection, sample_questions(collection, 3), *ASKED)
        reembed(collection)
        with pytest.raises(StaleIndexError, match=r"'wide' beside.*'third'.*--drop"):
            reembed_collection(collection, replace(NEW, name="third"), WideEmbedder().embed_documents, cut_pairs)
        assert drop_edition(collection) == NEW
        assert (len(list_editions(collection)), collection.fingerprint) == (1, before)
        assert len(list((folder / "segments").iterdir())) == 1
    assert verify_collection(folder) == []


def test_the_active_embedder_is_refused(folder: Path) -> None:
    with Collection.open(folder) as collection:
        embedder = HashEmbedder()
        with pytest.raises(ConfigError, match=r"'hash' already; name another: workbench reembed .*/c EMBEDDER"):
            reembed_collection(collection, IDENTITY, embedder.embed_documents, cut_paragraphs)
        assert (embedder.embedded, len(list_editions(collection))) == ([], 1)


def count_vectors(folder: Path, edition: int) -> int:
    connection = sqlite3.connect(folder / "collection.sqlite")
    ((n,),) = connection.execute("SELECT count(*) FROM vectors WHERE edition = ?", (edition,)).fetchall()
    connection.close()
    return int(n)


def test_what_an_interrupted_reembed_had_embedded_outlives_an_update(folder: Path) -> None:
    def stop(*_: int) -> None:
        raise InterruptedError

    with Collection.open(folder) as collection:
        with pytest.raises(InterruptedError):
            reembed_collection(collection, NEW, WideEmbedder().embed_documents, cut_pairs, on_progress=stop)
        assert count_vectors(folder, 2) == 256
        update(collection, [*DOCUMENTS, make_document("late.md", "It came late.")])
        assert count_vectors(folder, 2) == 256
        n_texts = len({chunk.text for chunk in cut_pairs(DOCUMENTS)})
        assert len(reembed(collection).embedded) == n_texts - 256 + 1
    assert verify_collection(folder) == []


def test_vectors_of_deleted_and_changed_documents_go_in_all_editions(folder: Path) -> None:
    with Collection.open(folder) as collection:
        reembed(collection)
        update(collection, [make_document("part1.md", "All of it is new."), *DOCUMENTS[2:]])
        kept = {chunk.text for chunk in cut_pairs(DOCUMENTS[2:])}
        assert (count_vectors(folder, 1), count_vectors(folder, 2)) == (301, len(kept))
    assert verify_collection(folder) == []


WRITER = """
import sys, time
from pathlib import Path
from tests.knowledge.test_reembed import NEW, WideEmbedder, cut_pairs
from workbench.knowledge import Collection
from workbench.knowledge.reembed import reembed_collection

def stop(done, total):
    print(done, flush=True)
    time.sleep(60)

with Collection.open(Path(sys.argv[1])) as collection:
    reembed_collection(collection, NEW, WideEmbedder().embed_documents, cut_pairs, on_progress=stop)
"""


def test_a_kill_leaves_the_old_edition_and_the_same_call_goes_on(folder: Path, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"256\n"
    with Collection.open(folder, IDENTITY) as reader:
        assert reader.search_words("wheel", k=1)
        with pytest.raises(BusyError, match=f"by process {process.pid}"):
            reembed(reader)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert verify_collection(folder) == []
    with Collection.open(folder, IDENTITY) as collection:
        n_texts = len({chunk.text for chunk in cut_pairs(DOCUMENTS)})
        assert len(reembed(collection).embedded) == n_texts - 256
        promote_edition(collection)
        with Collection.create(tmp_path / "unbroken", NEW) as unbroken:
            unbroken.update(DOCUMENTS, cut_pairs, WideEmbedder().embed_documents)
            assert collection.fingerprint == unbroken.fingerprint


def test_editions_are_compared_by_what_they_find_in_the_documents(folder: Path) -> None:
    with Collection.open(folder) as collection:
        reembed_collection(collection, NEW, WideEmbedder().embed_documents, cut_paragraphs)
        questions = sample_questions(collection, 20)
        assert len(questions) == 20
        found = compare_editions(collection, questions, *ASKED, k=5)
        assert (found.n_questions, found.n_judged) == (20, 20)
        assert found.active["recall@5"] == 1
        assert 0 < found.overlap <= 1
        # The other edition asked as the first is the first: all is found again.
        promote_edition(collection)
        swapped = compare_editions(collection, questions, *reversed(ASKED), k=5)
        assert (swapped.active, swapped.other) == (found.other, found.active)


def test_overlap_and_recall_by_hand(tmp_path: Path) -> None:
    text = "alpha beta\ngamma delta\nepsilon zeta\neta theta"
    with Collection.create(tmp_path / "c", IDENTITY) as collection:
        update(collection, [make_document("a.md", text)])
        reembed_collection(collection, NEW, WideEmbedder().embed_documents, cut_pairs)
        # The first edition finds line 1 and 2 as best, the other one chunk of both lines and one of the lines after.
        span = Span(document_id="a.md", start=text.index("gamma"), end=text.index("delta") + 5)
        questions = [Question(id="q", text="alpha beta gamma delta", relevant=(span,)), Question(id="r", text="eta")]
        found = compare_editions(collection, questions, *ASKED, k=2)
        assert (found.n_judged, found.overlap) == (1, 1.0)
        assert (found.active["recall@2"], found.other["recall@2"]) == (1.0, 1.0)
        far = Span(document_id="b.md", start=0, end=5)
        lost = compare_editions(collection, [Question(id="q", text="eta", relevant=(span, far))], *ASKED, k=4)
        assert (lost.active["recall@4"], lost.other["recall@4"]) == (0.5, 0.5)
        with pytest.raises(ConfigError, match=r"no questions .*--questions FILE"):
            compare_editions(collection, [], *ASKED)
