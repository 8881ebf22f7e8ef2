"""What a purge removes from every byte of the folder, how it proves that, and when it refuses to say so."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from workbench.errors import BusyError, IncompletePurgeError
from workbench.knowledge import Change, Collection, FileMark, canaries
from workbench.knowledge.analysis import hash_words
from workbench.knowledge.canaries import Canary, Search, name_canaries, text_canaries, vector_canaries
from workbench.knowledge.purge import PurgeReceipt, purge_collection
from workbench.knowledge.reembed import reembed_collection
from workbench.knowledge.verify import verify_collection
from workbench.knowledge.writing import Writer
from workbench.types import Document, Fact, Float32

KEPT = [
    make_document(f"kept{number}.md", "\n".join(f"line {line} stays in part {number}" for line in range(40)))
    for number in range(12)
]
SECRET = make_document(
    "secret/plan.md", "\n".join(f'the "plan" of zyxwvut{line} is to sell wheel {line}' for line in range(40))
)
OTHER = replace(IDENTITY, name="other", fingerprint="1" * 64)


def fill(collection: Collection, documents: Sequence[Document]) -> None:
    changes = [Change(one, FileMark(f"files/{one.id}", one.fingerprint, 1, "1", one.id)) for one in documents]
    collection.apply(changes, cut_paragraphs, HashEmbedder().embed_documents)


def traces(document: Document) -> Iterator[tuple[str, bytes]]:
    """Yield all in which a document must not be found: independent of how the purge takes its canaries."""
    for text in {document.id, document.title, document.source, *document.text.split("\n"), "zyxwvut", "files/secret"}:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            yield text, text.encode(encoding)
    for chunk in cut_paragraphs([document]):
        vector = embed_text(chunk.indexed_text)
        for form in (vector.tobytes(), vector.astype(np.float16).tobytes()):
            yield f"vector of {chunk.id}", form
            yield f"part of the vector of {chunk.id}", form[8:32]
    for line in range(40):
        (hashed,) = hash_words(f"zyxwvut{line}")
        yield f"word {line}", hashed.to_bytes(8, "little")


def find_traces(folder: Path, document: Document = SECRET) -> set[str]:
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return {name for name, form in traces(document) if any(form in content for content in contents)}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "c"
    with Collection.create(folder, IDENTITY) as collection:
        fill(collection, KEPT[:6])
        fill(collection, [SECRET])
        fill(collection, KEPT[6:])
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "c"))


def purge(folder: Path, *ids: str) -> PurgeReceipt:
    with Collection.open(folder, IDENTITY) as collection:
        receipt = purge_collection(collection, ids)
        assert collection.fingerprint == receipt.fingerprint_after
    assert verify_collection(folder, n_searches=3) == []
    return receipt


def test_a_purged_document_is_in_no_byte_and_the_receipt_says_so(folder: Path, tmp_path: Path) -> None:
    assert find_traces(folder) >= {"zyxwvut", "word 7", f"vector of {SECRET.id}#0003", SECRET.id}
    receipt = purge(folder, SECRET.id, "never.md")
    assert find_traces(folder) == set()
    assert (receipt.documents, receipt.unknown) == ((SECRET.id,), ("never.md",))
    assert (receipt.n_chunks, receipt.n_vectors, receipt.n_dead_rows) == (40, 40, 40)
    assert set(receipt.n_canaries) == {"text", "name", "vector", "word"}
    assert min(receipt.n_canaries.values()) >= 40
    assert receipt.n_shared == 0
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert receipt.n_files == len(files) + 2  # while it is open, SQLite keeps its log and an index of it
    assert receipt.n_bytes > sum(path.stat().st_size for path in files)
    with Collection.create(tmp_path / "fresh", IDENTITY) as fresh:
        fill(fresh, KEPT)
        assert fresh.fingerprint == receipt.fingerprint_after != receipt.fingerprint_before


def test_what_earlier_deletions_left_is_purged_without_naming_it(folder: Path) -> None:
    with Collection.open(folder) as collection, Collection.open(folder):
        collection.delete([SECRET.id])
    assert find_traces(folder)  # in a segment, and in the log, since a reader was there
    receipt = purge(folder)
    assert find_traces(folder) == set()
    assert (receipt.documents, receipt.n_dead_rows) == ((), 40)
    assert receipt.n_canaries.keys() == {"vector", "word"}


def test_all_editions_are_purged(folder: Path) -> None:
    with Collection.open(folder) as collection:
        reembed_collection(collection, OTHER, HashEmbedder().embed_documents, cut_paragraphs)
    receipt = purge(folder, SECRET.id)
    assert (receipt.n_chunks, receipt.n_vectors, receipt.n_dead_rows) == (80, 80, 80)
    assert find_traces(folder) == set()


def test_vectors_of_an_interrupted_update_are_purged(folder: Path) -> None:
    def stop(*_: int) -> None:
        raise InterruptedError

    with Collection.open(folder) as collection:
        purge_collection(collection, [SECRET.id])
        with pytest.raises(InterruptedError):
            collection.update([SECRET], cut_paragraphs, HashEmbedder().embed_documents, on_progress=stop)
    assert find_traces(folder)
    assert purge(folder).n_vectors == 40
    assert find_traces(folder) == set()


def test_what_remaining_documents_say_too_is_no_trace(folder: Path) -> None:
    quote = make_document("quote.md", SECRET.text.split("\n")[5])
    with Collection.open(folder) as collection:
        fill(collection, [quote])
    receipt = purge(folder, SECRET.id)
    assert 0 < receipt.n_shared < 5
    assert find_traces(folder, SECRET) <= {"zyxwvut", quote.text, "word 5"}
    with Collection.open(folder) as collection:
        assert collection.search_words("zyxwvut5", k=2)[0][0] == "quote.md#0000"


def test_another_reader_stops_a_purge_before_it_deletes(folder: Path) -> None:
    with Collection.open(folder) as collection, Collection.open(folder) as reader:
        with pytest.raises(BusyError, match=r"nothing was deleted; close it, then purge again"):
            purge_collection(collection, [SECRET.id])
        assert collection.document(SECRET.id) == SECRET == reader.document(SECRET.id)
    assert purge(folder, SECRET.id).documents == (SECRET.id,)


def test_a_reader_that_comes_meanwhile_leaves_it_to_the_next_purge(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scrub, readers = Writer.scrub, []

    def open_a_reader(writer: Writer) -> int:
        readers.append(Collection.open(folder))
        return scrub(writer)

    with Collection.open(folder) as collection:
        monkeypatch.setattr(Writer, "scrub", open_a_reader)
        with pytest.raises(BusyError, match="1 documents are deleted, but their bytes may still be there"):
            purge_collection(collection, [SECRET.id])
        monkeypatch.undo()
        assert collection.search_words("zyxwvut5", k=1) == []
        readers[0].close()
        receipt = purge_collection(collection, [SECRET.id])
    assert (receipt.documents, receipt.unknown) == ((), (SECRET.id,))
    assert find_traces(folder) == set()


def test_a_copy_of_the_text_in_the_folder_is_found_and_named(folder: Path) -> None:
    (folder / "notes").mkdir()
    copy = folder / "notes" / "copy.bin"
    copy.write_bytes(b"\0" * 5_000_000 + SECRET.text[100:].encode("utf-16-be"))
    with (
        Collection.open(folder) as collection,
        pytest.raises(IncompletePurgeError, match=r"copy\.bin still holds a removed text at byte 5000\d+ .* purge"),
    ):
        purge_collection(collection, [SECRET.id])
    copy.unlink()
    assert purge(folder, SECRET.id).unknown == (SECRET.id,)


def test_metadata_readers_and_what_is_known_of_files_are_canaries_too(folder: Path) -> None:
    facts: dict[str, Fact] = {
        "author": "Quillfeather Brandybuck",
        "tags": ("xylograph-7", "short"),
        "case": 4711_0815_99,
        "old": True,
    }
    secret = replace(SECRET, metadata=facts, readers=("board-of-directors",))
    orphan = FileMark("lost/and-found.pdf", "0" * 64, 1, "1", "vanished-document.md", reason="unreadable xref table")
    with Collection.open(folder) as collection:
        fill(collection, [secret])
        with collection.writing() as writer, writer.store.transaction():
            writer.store.put_file(orphan)
    said = ("Quillfeather Brandybuck", "xylograph-7", "4711081599", "board-of-directors", "unreadable xref table")
    for text, kind in (*((one, "fact") for one in said), (orphan.path, "name"), ("vanished-document.md", "name")):
        copy = Path(shutil.copytree(folder, folder.with_name("again")))
        (copy / "notes").write_text(f"...{text}...")
        with (
            Collection.open(copy) as collection,
            pytest.raises(IncompletePurgeError, match=f"notes still holds a removed {kind} at byte"),
        ):
            purge_collection(collection, [SECRET.id])
        shutil.rmtree(copy)
    assert purge(folder, SECRET.id).n_canaries["fact"] == len(said)


def test_canaries_that_are_not_looked_for_are_not_counted_as_not_found(folder: Path) -> None:
    plain = replace(make_document("plain.md", "a" * 24 + "\n" + "-=" * 12), title="")
    with Collection.open(folder) as collection:
        fill(collection, [plain])
    receipt = purge(folder, plain.id)
    assert receipt.n_too_plain == 2
    assert "text" not in receipt.n_canaries
    assert receipt.n_canaries["name"] > 0


def test_the_receipt_compares_with_the_state_that_was_newest(folder: Path) -> None:
    with Collection.open(folder) as collection:
        with Collection.open(folder) as other:
            other.delete([KEPT[0].id])
            newest = other.fingerprint
        assert purge_collection(collection, [SECRET.id]).fingerprint_before == newest


@pytest.mark.parametrize("part", ["scrub", "vacuum"])
def test_a_purge_that_left_something_out_would_find_it(
    folder: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if part == "scrub":
        monkeypatch.setattr(Writer, "scrub", lambda _: 0)
        kind = "vector|word"
    else:
        # Without zeroes over deleted rows, and without writing the database anew, they stay in its free pages.
        monkeypatch.setattr("workbench.knowledge.database.PRAGMAS", ("secure_delete = OFF", "foreign_keys = ON"))
        monkeypatch.setattr("workbench.knowledge.store.Store.vacuum", lambda _: None)
        kind = "text"
    raises = pytest.raises(IncompletePurgeError, match=f"still holds a removed ({kind})")
    with Collection.open(folder) as collection, raises:
        purge_collection(collection, [SECRET.id])
    monkeypatch.undo()
    purge(folder)
    assert find_traces(folder) == set()


def test_a_full_disk_stops_a_purge_that_the_next_one_finishes(folder: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    sizes = sorted({path.stat().st_size for path in folder.rglob("*") if path.is_file()})
    n_refused = 0
    with Collection.open(folder) as collection:
        for size in [*sizes, 10**6]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, before[1]))  # files do not grow beyond it
            try:
                purge_collection(collection, [SECRET.id])
            except OSError as error:
                n_refused += 1
                assert "nothing was changed" in str(error) or "purge again" in str(error)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert n_refused > 1
    purge(folder, SECRET.id)
    assert find_traces(folder) == set()


def test_killed_anywhere_the_next_purge_finishes(folder: Path, tmp_path: Path) -> None:
    """Forked processes die before each step that changes a file."""
    unbroken = purge(Path(shutil.copytree(folder, tmp_path / "unbroken")), SECRET.id)
    steps = ("delete", "sweep", "scrub", "store.touch", "store.vacuum", "store.checkpoint", "store.drop_unused")
    n_killed = 0
    for step, count in itertools.product(steps, (1, 2)):
        copy = Path(shutil.copytree(folder, tmp_path / f"{step}{count}"))
        n_killed += die_at(copy, step, count)
        assert purge(copy, SECRET.id).fingerprint_after == unbroken.fingerprint_after
        assert find_traces(copy) == set()
    assert n_killed >= len(steps)


def die_at(folder: Path, step: str, count: int) -> bool:
    """Purge in a forked process that ends without a word before the `count`-th call of a step; say whether it did."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with Collection.open(folder) as collection, pytest.MonkeyPatch.context() as patch:
        target = Writer if "." not in step else type(collection._store)
        name = step.rpartition(".")[2]
        right, calls = getattr(target, name), itertools.count(1)

        def die(*args: object) -> object:
            if next(calls) == count:
                os._exit(9)
            return right(*args)

        patch.setattr(target, name, die)
        purge_collection(collection, [SECRET.id])
    os._exit(0)


# -- canaries ----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.lists(st.binary(min_size=8, max_size=20), max_size=4), st.data())
@settings(max_examples=200, deadline=None)
def test_a_search_finds_what_is_there_and_nothing_else(content: bytes, forms: list[bytes], data: st.DataObject) -> None:
    for form in forms:
        if data.draw(st.booleans()):
            place = data.draw(st.integers(0, len(content)))
            content = content[:place] + form + content[place:]
    search = Search([Canary("text", (form,)) for form in forms])
    wanted = {
        number: content.index(form) for number, form in enumerate(forms) if form in content and len(set(form[:8])) > 2
    }
    assert search.find(content) == wanted


def test_a_file_is_searched_across_the_seams_of_its_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canaries, "BLOCK", 64)
    form = b"the canary in the mine"
    search = Search([Canary("text", (form,))])
    for place in range(100):
        (tmp_path / "file").write_bytes(b"." * place + form + b"." * 70)
        n_bytes, hits = search.find_in_file(tmp_path / "file")
        assert n_bytes == place + len(form) + 70
        assert {hit.place for hit in hits} == {place}


def test_canaries_are_taken_as_they_would_be_stored() -> None:
    assert [one.forms[0] for one in text_canaries('short\n"quoted words here" and a tail')] == [
        b"quoted words here",
        b" and a tail",
    ]
    assert [one.forms[0] for one in name_canaries(["a.md", "long name.md"])] == [b"long name.md"]
    assert name_canaries(["größe.md"])[0].forms[1] == "größe.md".encode("utf-16-le")
    vector: Float32 = np.arange(64, dtype=np.float32)
    start, middle = vector_canaries([vector])
    assert start.forms == (vector.tobytes()[:32], vector.astype(np.float16).tobytes()[:32])
    assert middle.forms == (vector.tobytes()[128:160], vector.astype(np.float16).tobytes()[64:96])
    assert len(text_canaries("x y " * 10**6)) <= canaries.LIMIT
