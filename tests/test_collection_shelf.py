"""Collections by name under many threads: what is added is found at once, what is gone never again."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workbench.collection_shelf import CollectionShelf
from workbench.config import ChunkingConfig, LexicalConfig, LibraryConfig, ModelsConfig, RetrievalConfig
from workbench.contracts import Embedder
from workbench.errors import (
    BusyError,
    CollectionExistsError,
    CollectionNameError,
    ConfigError,
    MissingCollectionError,
    MissingDocumentError,
    StaleIndexError,
    TakenDocumentError,
    UnreadableDocumentError,
)
from workbench.filters import parse_filter
from workbench.library import Library
from workbench.models import SentenceEmbedder, find_model
from workbench.types import EVERYTHING, Float32, Scope

DEFAULTS = LibraryConfig(
    models=ModelsConfig(embedder="tiny-random-bert", embedder_backend="torch", device="cpu"),
    chunking=ChunkingConfig(max_tokens=64, overlap_tokens=8),
)
GAUGE = "# Arvo gauge\n\nThe Arvo gauge is painted teal.\n"
HR, LEGAL = Scope(principals=frozenset({"hr"})), Scope(principals=frozenset({"legal"}))


class CountingEmbedder:
    """The tiny embedder; counts the texts it embeds, and can be held up or made to fail."""

    def __init__(self, embedder: SentenceEmbedder) -> None:
        self._embedder = embedder
        self.identity = embedder.identity
        self.max_tokens, self.n_special_tokens = embedder.max_tokens, embedder.n_special_tokens
        self.n_embedded = 0
        self.hold: Callable[[], None] = lambda: None

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return self._embedder.token_offsets(texts)

    def embed_documents(self, texts: Sequence[str]) -> Float32:
        self.hold()
        self.n_embedded += len(texts)
        return self._embedder.embed_documents(texts)

    def embed_questions(self, texts: Sequence[str]) -> Float32:
        return self._embedder.embed_questions(texts)


@pytest.fixture(scope="module")
def loaded(built_home: Path) -> SentenceEmbedder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        return SentenceEmbedder(find_model("tiny-random-bert"), backend="torch")


@pytest.fixture(scope="module")
def opened(loaded: SentenceEmbedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectionShelf]:
    folder = tmp_path_factory.mktemp("serving") / "shelf"
    with CollectionShelf(
        folder, DEFAULTS, embedder=CountingEmbedder(loaded), adopted={"run": folder / "none"}
    ) as opened:
        yield opened


@pytest.fixture
def shelf(opened: CollectionShelf, tiny_home: Path) -> CollectionShelf:
    """One for all tests, since its parsing child takes half a second to start; empty but for `manuals`."""
    for name in opened.names():
        opened.drop(name)
    opened.create("manuals")
    return opened


@pytest.fixture
def embedder(shelf: CollectionShelf) -> CountingEmbedder:
    """The shelf's."""
    embedder = shelf._embedder
    assert isinstance(embedder, CountingEmbedder)
    embedder.n_embedded, embedder.hold = 0, lambda: None
    return embedder


def ids(
    shelf: CollectionShelf, question: str = "gauge", *, name: str = "manuals", scope: Scope = EVERYTHING
) -> set[str]:
    return {hit.chunk.document_id for hit in shelf.search(name, question, k=50, scope=scope).ranking}


def add(shelf: CollectionShelf, id_: str, text: str = GAUGE, *, name: str = "manuals", **metadata: Any) -> None:
    shelf.add_text(name, text, scope=EVERYTHING, id_=id_, metadata=metadata)


def test_a_text_is_found_at_once_replaced_at_once_and_gone_at_once(shelf: CollectionShelf) -> None:
    first = shelf.add_text("manuals", GAUGE, scope=EVERYTHING, id_="arvo", metadata={"year": 2020, "tags": ["a", "b"]})
    assert (first.document_id, first.chunks, first.characters, first.replaced) == ("arvo", 1, len(GAUGE.strip()), False)
    assert ids(shelf) == {"arvo"}
    second = shelf.add_text("manuals", "The Arvo gauge is crimson now.", scope=EVERYTHING, id_="arvo", title="Arvo")
    assert second.replaced
    assert [hit.chunk.text for hit in shelf.search("manuals", "gauge", k=9, scope=EVERYTHING).ranking] == [
        "The Arvo gauge is crimson now."
    ]
    shelf.delete("manuals", "arvo", scope=EVERYTHING)
    assert ids(shelf) == set()
    with pytest.raises(MissingDocumentError, match="no document 'arvo'"):
        shelf.delete("manuals", "arvo", scope=EVERYTHING)


def test_a_text_becomes_what_the_same_file_in_a_folder_would(shelf: CollectionShelf, tmp_path: Path) -> None:
    text = "---\nYear: 2021\nreaders: [hr]\n---\n# Pay\n\n- one\n- two\n\n```\ncode\n```\n"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "pay.md").write_text(text)
    with Library(tmp_path / "synced", DEFAULTS) as library:
        library.sync([folder])
        wanted = library.collection.document("pay.md")
    add(shelf, "pay.md", text)
    assert shelf.document("manuals", "pay.md", scope=EVERYTHING) == wanted
    shelf.add_file("manuals", "C:\\temp\\pay.md", text.encode(), scope=EVERYTHING)
    assert shelf.document("manuals", "pay.md", scope=EVERYTHING) == wanted


def test_ids_come_from_the_source_the_file_or_the_text_and_stay(shelf: CollectionShelf) -> None:
    def brought(**given: object) -> str:
        return shelf.add_text("manuals", GAUGE, scope=EVERYTHING, **given).document_id  # type: ignore[arg-type]

    assert brought(metadata={"source": "https://example.org/a b"}) == "https://example.org/a b"
    assert brought(metadata={"source": "x"}, id_="y") == "y"
    assert shelf.document("manuals", "y", scope=EVERYTHING).source == "x"
    assert brought() == brought()
    assert brought().startswith("text-")
    named = shelf.add_file("manuals", "../../etc/Pass\x00wd.TXT", b"root of all", scope=EVERYTHING)
    assert named.document_id == "Pass_wd.TXT"
    assert shelf.document("manuals", named.document_id, scope=EVERYTHING).title == "Pass_wd"


def test_metadata_is_searched_by_filter_and_listed(shelf: CollectionShelf) -> None:
    add(shelf, "old", year=2001, draft=True)
    add(shelf, "new", year=2024, tags=["x", "y"], price=1.5)
    assert ids(shelf, scope=Scope(parse_filter({"year": {"gte": 2020}}))) == {"new"}
    (new, old), following = shelf.documents("manuals", scope=EVERYTHING)
    assert following is None
    facts = new.facts.metadata
    assert (facts["year"], facts["tags"], facts["price"], old.facts.metadata["draft"]) == (2024, ("x", "y"), 1.5, True)
    assert (new.n_characters, new.n_chunks) == (len(GAUGE.strip()), 1)


def test_pages_of_the_list_hold_each_document_once(shelf: CollectionShelf) -> None:
    for number in range(7):
        add(shelf, f"d{number}", readers=["hr"] if number % 2 else ["*"])
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page, after = shelf.documents("manuals", scope=LEGAL, limit=2, after=after)
        seen += [line.facts.id for line in page]
    assert seen == ["d0", "d2", "d4", "d6"]


def test_a_document_is_there_for_its_readers_alone(shelf: CollectionShelf) -> None:
    add(shelf, "pay", readers=["hr"])
    add(shelf, "all")
    assert (ids(shelf, scope=HR), ids(shelf, scope=LEGAL)) == ({"pay", "all"}, {"all"})
    assert ids(shelf, scope=Scope(principals=frozenset())) == {"all"}
    assert [line.facts.id for line in shelf.documents("manuals", scope=LEGAL)[0]] == ["all"]
    with pytest.raises(MissingDocumentError):
        shelf.document("manuals", "pay", scope=LEGAL)
    with pytest.raises(MissingDocumentError):
        shelf.delete("manuals", "pay", scope=LEGAL)
    with pytest.raises(TakenDocumentError, match="'pay' is taken"):
        shelf.add_text("manuals", "mine now", scope=LEGAL, id_="pay")
    assert shelf.document("manuals", "pay", scope=HR).text == GAUGE.strip()
    assert (shelf.facts("manuals", scope=LEGAL).documents, shelf.facts("manuals", scope=HR).documents) == (1, 2)


def test_a_finder_never_leaves_its_scope(shelf: CollectionShelf) -> None:
    add(shelf, "pay", readers=["hr"], year=2020)
    add(shelf, "all", year=2021)
    words = shelf.finder("manuals", RetrievalConfig(method=LexicalConfig()), scope=LEGAL)
    assert [hit.chunk.document_id for hit in words.search("gauge", k=9)] == ["all"]
    assert [hit.chunk.document_id for hit in words.search("gauge", k=9, scope=HR)] == ["all"]  # both, so neither
    owner = shelf.finder("manuals", scope=Scope(parse_filter({"year": 2020})))
    assert {hit.chunk.document_id for hit in owner.find("gauge", k=9, scope=HR).ranking} == {"pay"}
    assert owner.find("gauge", k=9, scope=Scope(parse_filter({"year": 2021}))).ranking == ()
    unfitted = shelf.finder("manuals", RetrievalConfig(threshold="fitted"), scope=EVERYTHING)
    with pytest.raises(ConfigError, match="threshold is fitted"):
        unfitted.find("gauge", k=9)


def test_below_the_threshold_nothing_is_enough(shelf: CollectionShelf) -> None:
    add(shelf, "arvo")
    low, high = (shelf.search("manuals", "gauge", k=3, scope=EVERYTHING, threshold=at) for at in (0.0, 1e9))
    assert (low.answerable, high.answerable) == (True, False)
    assert low.ranking == high.ranking != ()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../a", "-a", ".hidden", "a" * 65, "ä", "a b", "a\n", "RUN", "*"]
)
def test_names_that_could_be_something_else_are_refused(shelf: CollectionShelf, name: str) -> None:
    with pytest.raises(CollectionNameError):
        shelf.create(name)
    with pytest.raises(MissingCollectionError):
        shelf.search(name, "x", k=1, scope=EVERYTHING)
    with pytest.raises(MissingCollectionError):
        shelf.drop(name)
    assert shelf.names() == ["manuals"]


def test_no_two_names_differ_in_capitals_alone(shelf: CollectionShelf) -> None:
    with pytest.raises(CollectionExistsError, match="'manuals'"):
        shelf.create("Manuals")


def test_links_out_of_the_shelf_are_no_collections(shelf: CollectionShelf) -> None:
    (shelf.folder / "link").symlink_to(shelf.folder / "manuals")
    assert shelf.names() == ["manuals"]
    with pytest.raises(MissingCollectionError):
        shelf.drop("link")
    (shelf.folder / "link").unlink()


def test_a_dropped_collection_leaves_nothing_behind(shelf: CollectionShelf) -> None:
    add(shelf, "arvo", "Zanzibar quokka umbrella.\n")
    assert ids(shelf) == {"arvo"}
    shelf.drop("manuals")
    assert shelf.names() == []
    with pytest.raises(MissingCollectionError):
        ids(shelf)
    files = [path for path in shelf.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"quokka" in path.read_bytes()]
    assert sorted(path.name for path in shelf.folder.iterdir()) == [".incoming", ".shelf.lock"]
    shelf.create("manuals")
    assert ids(shelf) == set()


def test_uploads_are_private_while_they_are_parsed_and_gone_afterwards(shelf: CollectionShelf) -> None:
    incoming = shelf.folder / ".incoming"
    assert incoming.stat().st_mode & 0o077 == 0
    shelf.add_file("manuals", "prices.csv", b"item,price\nArvo,120\n", scope=EVERYTHING)
    with pytest.raises(UnreadableDocumentError):
        shelf.add_file("manuals", "broken.pdf", b"%PDF-1.7 no", scope=EVERYTHING)
    assert list(incoming.iterdir()) == []


def test_an_adding_given_up_changes_nothing(shelf: CollectionShelf, embedder: CountingEmbedder) -> None:
    add(shelf, "arvo")
    before = shelf.facts("manuals", scope=EVERYTHING)

    def give_up() -> None:
        if embedder.n_embedded > 1:
            raise TimeoutError

    long = "\n\n".join(f"# Part {n}\n\n{'word ' * 60}{n}" for n in range(200))
    with pytest.raises(TimeoutError):
        shelf.add_text("manuals", long, scope=EVERYTHING, id_="arvo", check=give_up)
    assert 1 < embedder.n_embedded < 200  # it had begun, and was not finished
    assert shelf.facts("manuals", scope=EVERYTHING) == before
    assert shelf.document("manuals", "arvo", scope=EVERYTHING).text == GAUGE.strip()


def test_what_is_embedded_already_is_not_embedded_again(shelf: CollectionShelf, embedder: CountingEmbedder) -> None:
    add(shelf, "arvo")
    add(shelf, "arvo")
    add(shelf, "copy")
    assert embedder.n_embedded == 1
    shelf.delete("manuals", "arvo", scope=EVERYTHING)
    shelf.delete("manuals", "copy", scope=EVERYTHING)
    add(shelf, "arvo")
    assert embedder.n_embedded == 2


def test_a_vector_that_goes_between_cutting_and_writing_is_made_again(
    shelf: CollectionShelf, embedder: CountingEmbedder
) -> None:
    add(shelf, "arvo")

    def meanwhile() -> None:
        if ids(shelf) == {"arvo"}:
            shelf.delete("manuals", "arvo", scope=EVERYTHING)

    shelf.add_text("manuals", GAUGE, scope=EVERYTHING, id_="copy", check=meanwhile)
    assert (ids(shelf), embedder.n_embedded) == ({"copy"}, 2)


def test_searches_and_deletions_do_not_wait_for_a_document_that_is_embedded(
    shelf: CollectionShelf, embedder: CountingEmbedder
) -> None:
    add(shelf, "arvo")
    add(shelf, "belka", "The Belka gauge is amber.")
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert go.wait(30)

    embedder.hold = hold
    with ThreadPoolExecutor(1) as pool:
        adding = pool.submit(add, shelf, "corin", "The Corin gauge is ivory.")
        assert held.wait(30)
        started = time.perf_counter()
        assert ids(shelf) == {"arvo", "belka"}
        shelf.delete("manuals", "belka", scope=EVERYTHING)
        assert ids(shelf) == {"arvo"}
        assert time.perf_counter() - started < 5
        assert not adding.done()
        go.set()
        adding.result()
    assert ids(shelf) == {"arvo", "corin"}


def test_eight_threads_never_find_what_is_foreign_or_deleted(shelf: CollectionShelf) -> None:
    """Each thread has documents of its own in one of two collections, and knows which it has deleted."""
    shelf.create("letters")

    def work(number: int) -> int:
        name, other = ("manuals", "letters") if number % 2 else ("letters", "manuals")
        dice, mine, gone = random.Random(number), set[str](), set[str]()
        secret = Scope(principals=frozenset({f"p{number}"}))
        for step in range(8):
            id_ = f"{name}-{number}-{step}"
            text = f"The gauge {name} number{number} step{step} is painted."
            shelf.add_text(name, text, scope=secret, id_=id_, metadata={"readers": [f"p{number}"]} if step % 2 else {})
            mine.add(id_)
            if dice.random() < 0.4:
                going = dice.choice(sorted(mine))
                shelf.delete(name, going, scope=secret)
                mine.discard(going)
                gone.add(going)
            found = ids(shelf, f"gauge number{number}", name=name, scope=secret)
            own = {one for one in found if one.startswith(f"{name}-{number}-")}
            assert own == mine, (own ^ mine, gone)
            hidden = {one for one in found - own if int(one.rpartition("-")[2]) % 2}
            assert not hidden, "another thread's restricted document was found"
            assert all(one.startswith(f"{name}-") for one in found)
            assert not any(one.startswith(f"{name}-") for one in ids(shelf, "gauge", name=other, scope=secret))
        return len(mine)

    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(work, range(8)))
    total = sum(shelf.facts(name, scope=EVERYTHING).documents for name in shelf.names())
    assert total == sum(kept)


def test_dropping_waits_for_searches_and_the_searches_that_come_later_find_no_collection(
    shelf: CollectionShelf,
) -> None:
    add(shelf, "arvo")
    stop = threading.Event()
    faults: list[Exception] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                assert ids(shelf) <= {"arvo"}
            except MissingCollectionError:
                continue
            except Exception as error:
                faults.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        shelf.drop("manuals")
        shelf.create("manuals")
        add(shelf, "arvo")
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []


def test_few_libraries_stay_open(tmp_path: Path, embedder: Embedder) -> None:
    with CollectionShelf(tmp_path / "shelf", DEFAULTS, embedder=embedder, idle=2) as shelf:
        for number in range(5):
            shelf.create(f"c{number}")
            add(shelf, "arvo", name=f"c{number}")
        assert shelf._libraries.n_idle == 2
        assert all(ids(shelf, name=name) == {"arvo"} for name in shelf.names())
        assert shelf._libraries.n_idle == 2


def test_deleted_text_leaves_the_disk_though_others_have_read_and_are_reading(shelf: CollectionShelf) -> None:
    add(shelf, "arvo", "Zanzibar quokka umbrella.")
    add(shelf, "belka")
    folder, stop = shelf.folder / "manuals", threading.Event()
    with shelf._libraries.lend("manuals"):  # so that there are two, which both have seen it
        assert ids(shelf) == {"arvo", "belka"}

    def read() -> None:
        while not stop.is_set():
            ids(shelf)

    with ThreadPoolExecutor(3) as pool:
        reading = [pool.submit(read) for _ in range(3)]
        shelf.delete("manuals", "arvo", scope=EVERYTHING)
        log = folder / "collection.sqlite-wal"
        assert not log.exists() or b"quokka" not in log.read_bytes()
        assert b"quokka" not in (folder / "collection.sqlite").read_bytes()
        stop.set()
        for one in reading:
            one.result()


def test_an_idle_library_holds_no_snapshot(shelf: CollectionShelf) -> None:
    add(shelf, "arvo", "Zanzibar quokka umbrella.")
    assert ids(shelf) == {"arvo"}
    with Library.open(shelf.folder / "manuals") as other:  # another process, say
        other.delete(["arvo"])
        assert other.collection.events == []
    assert ids(shelf) == set()


def test_one_process_has_the_shelf_and_what_was_left_half_made_goes(tmp_path: Path, embedder: Embedder) -> None:
    folder = tmp_path / "shelf"
    for left in (".new-1", ".dropped-2", ".incoming"):
        (folder / left).mkdir(parents=True)
        (folder / left / "file").write_text("quokka")
    with CollectionShelf(folder, DEFAULTS, embedder=embedder):
        assert sorted(path.name for path in folder.iterdir()) == [".incoming", ".shelf.lock"]
        with pytest.raises(BusyError, match="is being written by process"):
            CollectionShelf(folder, DEFAULTS, embedder=embedder)
    CollectionShelf(folder, DEFAULTS, embedder=embedder).close()


def test_a_sync_leaves_alone_what_it_does_not_know_and_has_the_last_word_on_its_files(
    shelf: CollectionShelf, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("arvo.md", "belka.md"):
        (folder / name).write_text(f"The {name} gauge of the folder.\n")

    def sync() -> None:
        with Library.open(shelf.folder / "manuals") as library:
            library.sync([folder])

    add(shelf, "own", "A gauge of its own.")
    sync()
    assert ids(shelf) == {"own", "arvo.md", "belka.md"}
    add(shelf, "arvo.md", "The gauge was overwritten.")
    shelf.delete("manuals", "belka.md", scope=EVERYTHING)
    sync()
    assert shelf.document("manuals", "arvo.md", scope=EVERYTHING).text == "The arvo.md gauge of the folder."
    (folder / "arvo.md").unlink()
    sync()
    assert ids(shelf) == {"own", "belka.md"}


def test_a_collection_of_another_embedder_can_be_read_but_not_searched(
    shelf: CollectionShelf, tmp_path: Path, embedder: CountingEmbedder
) -> None:
    add(shelf, "arvo")
    shutil.copytree(shelf.folder / "manuals", tmp_path / "shelf/manuals")
    other_embedder = CountingEmbedder(embedder._embedder)
    other_embedder.identity = replace(embedder.identity, name="other")
    with CollectionShelf(tmp_path / "shelf", DEFAULTS, embedder=other_embedder) as other:
        assert other.facts("manuals", scope=EVERYTHING).embedder == "tiny-random-bert"
        assert other.document("manuals", "arvo", scope=EVERYTHING).text == GAUGE.strip()
        for act in (lambda: ids(other), lambda: add(other, "belka")):
            with pytest.raises(StaleIndexError, match="reembed"):
                act()
