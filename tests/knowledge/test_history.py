"""Any history of additions, changes, moves, deletions and reopenings answers as a brute-force oracle does."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from workbench.filters import parse_filter
from workbench.knowledge import Change, Collection, FileMark
from workbench.knowledge.analysis import find_words
from workbench.types import Chunk, Document, Scope

LINE = st.sampled_from(["one lamp", "two lenses", "lamp and lens", "tin", "brass lamp lamp", "one lamp!"])
LINES = st.lists(LINE, max_size=6)
NAME = st.sampled_from("abcdefgh")
READERS = st.sampled_from([None, ("red",), ("blue",), ("red", "blue")])
QUESTIONS = ("lamp", "one tin lens")
SCOPES = (
    (Scope(), lambda _: True),
    (Scope(principals=frozenset({"red"})), lambda document: document.readers is None or "red" in document.readers),
    (Scope(parse_filter({"size": {"gte": 2}}), frozenset()), lambda d: d.readers is None and d.metadata["size"] >= 2),
)


def build(name: str, lines: Sequence[str], readers: tuple[str, ...] | None) -> Document:
    document = make_document(name, "\n".join(lines))
    return replace(document, title="", metadata={"size": len(lines)}, readers=readers)


def cut(documents: Sequence[Document]) -> list[Chunk]:
    return [replace(chunk, headings=()) for chunk in cut_paragraphs(documents)]


def score_words(chunks: Sequence[Chunk], question: str) -> dict[str, float]:
    """BM25 over `chunks` and nothing else."""
    counts = {chunk.id: Counter(find_words(chunk.text)) for chunk in chunks}
    mean = sum(count.total() for count in counts.values()) / max(len(counts), 1)
    scores = dict.fromkeys(counts, 0.0)
    for word in find_words(question):
        n_with = sum(word in count for count in counts.values())
        idf = math.log(1 + (len(counts) - n_with + 0.5) / (n_with + 0.5))
        for id_, count in counts.items():
            scores[id_] += idf * count[word] / (count[word] + 1.2 * (0.25 + 0.75 * count.total() / mean))
    return {id_: score for id_, score in scores.items() if score > 0}


class History(RuleBasedStateMachine):
    """`documents` and `files` are what the oracle knows; it scores all of it anew for each question."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="history-"))
        self.collection = Collection.create(self.folder / "c", IDENTITY)
        self.documents: dict[str, Document] = {}
        self.files: dict[str, FileMark] = {}

    def teardown(self) -> None:
        self.collection.close()
        shutil.rmtree(self.folder)

    def apply(self, documents: Sequence[Document], removed: Sequence[str] = (), settings: str = "") -> list[str]:
        """Apply to collection and oracle; return the texts that were embedded."""
        embedder = HashEmbedder()
        marks = [FileMark(one.id, "0" * 64, 1, "r1", one.id) for one in documents]
        changes = [Change(document, mark) for document, mark in zip(documents, marks, strict=True)]
        gone = [id_ for id_ in removed if id_ in self.files]
        report = self.collection.apply(
            changes, cut, embedder.embed_documents, removed=removed, gone=gone, settings=settings
        )
        left = {id_ for id_ in removed if id_ in self.documents}
        assert {*report.removed, *(old for old, _ in report.moved)} == left
        for id_ in left:
            del self.documents[id_]
            self.files.pop(id_, None)
        self.documents |= {document.id: document for document in documents}
        self.files |= {mark.path: mark for mark in marks}
        assert report.n_chunks == sum(len(cut([document])) for document in self.documents.values())
        return embedder.embedded

    @rule(name=NAME, lines=LINES, readers=READERS)
    def put(self, name: str, lines: list[str], readers: tuple[str, ...] | None) -> None:
        known = {chunk.text for document in self.documents.values() for chunk in cut([document])}
        embedded = self.apply([build(name, lines, readers)])
        assert set(embedded) == set(lines) - known and len(embedded) == len(set(embedded))

    @rule(names=st.lists(NAME, unique=True, max_size=4), lines=LINES, settings=st.sampled_from(["", "other"]))
    def put_many_with_other_settings(self, names: list[str], lines: list[str], settings: str) -> None:
        self.apply([build(name, [*lines, name], None) for name in names], settings=settings)

    @rule(old=NAME, new=NAME, more=LINES)
    def move(self, old: str, new: str, more: list[str]) -> None:
        if old not in self.documents or new in self.documents:
            return
        moved = replace(self.documents[old], id=new, source=new)
        rows = self.collection._store.rows_of_document(1, self.collection._store.document_marks(1)[old].number)
        assert self.apply([moved], removed=[old]) == []
        marks = self.collection._store.document_marks(1)
        assert self.collection._store.rows_of_document(1, marks[new].number) == rows

    @rule(names=st.sets(NAME, max_size=3))
    def delete(self, names: set[str]) -> None:
        there = names & self.documents.keys()
        assert set(self.collection.delete(sorted(names))) == there
        for name in there:
            del self.documents[name]
            self.files.pop(name, None)

    @rule()
    def scrub(self) -> None:
        with self.collection.writing() as writer:
            writer.scrub()
        assert all(kept.alive is None for kept in self.collection._loaded.kept)

    @rule()
    def reopen(self) -> None:
        self.collection.close()
        self.collection = Collection.open(self.folder / "c", IDENTITY)
        assert self.collection.events == []

    @invariant()
    def it_holds_what_it_should(self) -> None:
        chunks = sorted(cut(list(self.documents.values())), key=lambda chunk: chunk.id)
        assert self.collection.all_chunks() == chunks
        assert [facts.id for facts in self.collection.documents()] == sorted(self.documents)
        assert [self.collection.document(id_) for id_ in self.documents] == list(self.documents.values())
        assert self.collection.file_marks() == self.files
        keys = {chunk.indexed_text for chunk in chunks}
        assert next(self.collection._store.rows("SELECT count(*) FROM vectors"))[0] == len(keys)

    @invariant()
    def it_finds_what_it_should(self) -> None:
        for scope, allows in SCOPES:
            chunks = cut([document for document in self.documents.values() if allows(document)])
            assert self.collection.count(scope) == len(chunks)
            for question in QUESTIONS:
                vector = embed_text(question)
                near = {chunk.id: float(np.float64(embed_text(chunk.text)) @ vector) for chunk in chunks}
                found = self.collection.search_vectors(vector, k=99, scope=scope)
                self.check(found, near, self.collection.search_vectors(vector, k=2, scope=scope))
                found = self.collection.search_words(question, k=99, scope=scope)
                wanted = score_words(chunks, question)
                self.check(found, wanted, self.collection.search_words(question, k=2, scope=scope))

    def check(self, found: list[tuple[str, float]], wanted: dict[str, float], best: list[tuple[str, float]]) -> None:
        assert dict(found) == pytest.approx(wanted, abs=1e-5) and len(found) == len(wanted)
        assert found == sorted(found, key=lambda one: (-one[1], one[0]))
        assert best == found[:2]


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=12, stateful_step_count=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def test_the_same_content_has_the_same_fingerprint_and_answers_after_any_detour(tmp_path: Path) -> None:
    documents = [build(name, [f"one lamp {name}", "tin", f"brass {name}"], None) for name in "abcdef"]
    with Collection.create(tmp_path / "a", IDENTITY) as straight, Collection.create(tmp_path / "b", IDENTITY) as other:
        straight.update(documents, cut, HashEmbedder().embed_documents)
        for seen in (documents[3:], [build("x", ["gone"] * 9, None), *documents[:2]], documents[::-1]):
            other.update(seen, cut, HashEmbedder().embed_documents)
        assert other.fingerprint == straight.fingerprint
        for question in QUESTIONS:
            assert other.search_words(question, k=99) == straight.search_words(question, k=99)
            vector = embed_text(question)
            assert other.search_vectors(vector, k=99) == straight.search_vectors(vector, k=99)


def test_documents_arrive_in_groups_and_a_failed_one_leaves_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.knowledge.sync.GROUP_DOCUMENTS", 3)
    documents = [build(f"d{place}", [f"line {place}", "tin"], None) for place in range(10)]

    def arrive(n: int) -> list[Change]:
        return [Change(document, FileMark(document.id, "0" * 64, 1, "r1", document.id)) for document in documents[:n]]

    def stop(texts: Sequence[str]) -> np.ndarray:
        if "line 7" in texts:
            raise KeyboardInterrupt
        return HashEmbedder().embed_documents(texts)

    with (
        Collection.create(tmp_path / "a", IDENTITY) as collection,
        Collection.create(tmp_path / "b", IDENTITY) as whole,
    ):
        whole.apply(arrive(10), cut, HashEmbedder().embed_documents)
        with pytest.raises(KeyboardInterrupt):
            collection.apply(arrive(10), cut, stop)
        assert [facts.id for facts in collection.documents()] == [f"d{place}" for place in range(6)]
        assert sorted(collection.file_marks()) == [f"d{place}" for place in range(6)]
        assert len(collection.search_words("line", k=99)) == 6
        embedder = HashEmbedder()
        report = collection.apply(arrive(10), cut, embedder.embed_documents)
        assert (report.added, report.n_unchanged) == (tuple(f"d{place}" for place in range(6, 10)), 6)
        assert embedder.embedded == [f"line {place}" for place in range(6, 10)]
        assert collection.fingerprint == whole.fingerprint
        assert collection.search_words("line tin", k=99) == whole.search_words("line tin", k=99)


def test_failures_are_recorded_with_their_files_and_forgotten_with_them(tmp_path: Path) -> None:
    failed = FileMark("bad.pdf", "1" * 64, 9, "r1", None, "damaged", "no pages")
    with Collection.create(tmp_path, IDENTITY) as collection:
        collection.apply([Change(file=failed)], cut, HashEmbedder().embed_documents)
        assert collection.file_marks() == {"bad.pdf": failed}
        collection.apply([], cut, HashEmbedder().embed_documents, gone=["bad.pdf"])
        assert collection.file_marks() == {}


def test_an_id_that_comes_twice_or_goes_as_well_is_refused(tmp_path: Path) -> None:
    one = build("a", ["tin"], None)
    with Collection.create(tmp_path, IDENTITY) as collection:
        collection.apply([Change(one)], cut, HashEmbedder().embed_documents)
        with pytest.raises(ValueError, match="'a' is given twice"):
            collection.apply([Change(one), Change(one)], cut, HashEmbedder().embed_documents)
        with pytest.raises(ValueError, match="'a' is to be removed as well"):
            collection.apply([Change(one)], cut, HashEmbedder().embed_documents, removed=["a"])
        assert collection.all_chunks() == cut([one])
