"""What a search promises whatever the segments: exact scores, ties by id, and nothing from outside its scope."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.knowledge.fakes import DIMENSION, IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from workbench.config import IndexConfig
from workbench.errors import StaleIndexError
from workbench.filters import parse_filter
from workbench.knowledge import Collection
from workbench.knowledge.segments import LARGE_ROWS, SMALL_ROWS, Weight, plan_merge
from workbench.types import Chunk, Document, Fact, Scope

TENANTS = ("red", "green", "blue")
WORDS = ("lamp", "lens", "tube", "brass", "glass", "tin", "euro", "gram", "hour", "price")


def make_corpus(n: int, seed: int) -> list[Document]:
    """Documents of three tenants and of everybody, with a year and tags; few words, so many scores are equal."""
    rng = np.random.default_rng(seed)
    documents = []
    for number in range(n):
        lines = [" ".join(rng.choice(WORDS, 4)) for _ in range(rng.integers(1, 5))]
        owner = (*TENANTS, None)[int(rng.integers(4))]
        facts: dict[str, Fact] = {"year": 2020 + number % 5, "tags": ("even",) if number % 2 == 0 else ("odd", "x")}
        document = make_document(f"d{number:03d}", "\n".join(lines))
        readers = None if owner is None else (owner,)
        documents.append(replace(document, title="", metadata=facts, readers=readers))
    return documents


def cut_bare(documents: Sequence[Document]) -> list[Chunk]:
    return [replace(chunk, headings=()) for chunk in cut_paragraphs(documents)]


@pytest.fixture(scope="module")
def corpus() -> list[Document]:
    return make_corpus(60, 0)


@pytest.fixture(scope="module")
def collection(corpus: list[Document], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """A collection with a history: a base with deleted rows and a young segment."""
    folder = tmp_path_factory.mktemp("c")
    with Collection.create(folder, IDENTITY) as collection:
        for seen in (make_corpus(60, 7), [*corpus[:54], *make_corpus(60, 7)[56:]], corpus):
            collection.update(seen, cut_bare, HashEmbedder().embed_documents)
        bases = [np.load(path) for path in folder.glob("segments/*/rows.npy")]
        assert len(bases) == 2 and sum(map(len, bases)) > collection.n_chunks
        yield collection


def private(documents: list[Document], folder: Path) -> Collection:
    collection = Collection.create(folder, IDENTITY)
    collection.update(documents, cut_bare, HashEmbedder().embed_documents)
    return collection


@pytest.mark.parametrize("tenant", [*TENANTS, "stranger"])
def test_a_tenant_sees_what_an_index_of_its_own_would_show_it(
    collection: Collection, corpus: list[Document], tmp_path: Path, tenant: str
) -> None:
    scope = Scope(principals=frozenset({tenant}))
    own = [document for document in corpus if document.readers is None or tenant in document.readers]
    assert 0 < len(own) < len(corpus)
    with private(own, tmp_path / "own") as alone:
        assert collection.count(scope) == alone.n_chunks
        for question in ("lamp brass", "price of tin", "lens lens hour", "nowhere"):
            for k in (1, 7, 500):
                assert collection.search_words(question, k=k, scope=scope) == alone.search_words(question, k=k)
                vector = embed_text(question)
                assert collection.search_vectors(vector, k=k, scope=scope) == alone.search_vectors(vector, k=k)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ({"year": {"gte": 2022, "lt": 2024}}, lambda document: document.metadata["year"] in (2022, 2023)),
        ({"tags": "x"}, lambda document: "x" in document.metadata["tags"]),
        ({"not": {"id": {"in": ["d001", "d002"]}}}, lambda document: document.id not in ("d001", "d002")),
        ({"year": 1066}, lambda _: False),
    ],
    ids=["range", "member", "not in", "none"],
)
def test_a_filter_and_permissions_both_bind(
    collection: Collection, corpus: list[Document], written: object, wanted: object
) -> None:
    assert callable(wanted)
    for principals in (None, frozenset({"red"}), frozenset({"red", "blue"}), frozenset[str]()):
        scope = Scope(parse_filter(written), principals)
        allowed = {
            document.id
            for document in corpus
            if wanted(document) and (principals is None or document.readers is None or principals & {*document.readers})
        }
        found = {id_.split("#")[0] for id_, _ in collection.search_vectors(embed_text("lamp"), k=999, scope=scope)}
        assert found == allowed
        words = {id_.split("#")[0] for id_, _ in collection.search_words(" ".join(WORDS), k=999, scope=scope)}
        assert words == allowed


def test_equal_keys_of_a_dictionary_are_not_equal_scopes(tmp_path: Path) -> None:
    facts: list[dict[str, Fact]] = [{"flag": True}, {"flag": 1}, {"flag": "1"}]
    documents = [replace(make_document(f"d{place}", f"line {place}"), metadata=one) for place, one in enumerate(facts)]
    with private(documents, tmp_path) as collection:
        for place, value in enumerate((True, 1, "1")):
            scope = Scope(parse_filter({"flag": value}))
            assert [id_ for id_, _ in collection.search_words("line", k=9, scope=scope)] == [f"d{place}#0000"]


def test_metadata_cannot_forge_what_a_document_is(tmp_path: Path) -> None:
    document = replace(make_document("real", "line"), metadata={"id": "forged", "title": "forged", "source": "forged"})
    with private([document], tmp_path) as collection:
        assert collection.count(Scope(parse_filter({"id": "forged"}))) == 0
        assert collection.count(Scope(parse_filter({"id": "real", "title": "real", "source": "real"}))) == 1


def test_changed_permissions_bind_at_once_and_cost_no_embedding(tmp_path: Path) -> None:
    document = make_document("d", "a secret")
    everybody = Scope(principals=frozenset())
    with private([document], tmp_path) as collection:
        assert collection.count(everybody) == 1
        embedder = HashEmbedder()
        closed = replace(document, readers=("me",))
        report = collection.update([closed], cut_bare, embedder.embed_documents)
        assert (report.changed, report.n_reused, embedder.embedded) == (("d",), 0, [])
        assert collection.search_words("secret", k=1, scope=everybody) == []
        assert collection.count(Scope(principals=frozenset({"me"}))) == 1


def test_equal_scores_go_in_order_of_id_over_all_segments(tmp_path: Path) -> None:
    filler = make_document("filler", "\n".join(f"other {number}" for number in range(40)))

    def cut(documents: Sequence[Document]) -> list[Chunk]:
        return [replace(chunk, id=f"{chunk.id}!", headings=()) for chunk in cut_paragraphs(documents)]

    with Collection.create(tmp_path, IDENTITY, index=IndexConfig(kind="flat")) as collection:
        for document in (filler, *(make_document(name, "one") for name in "bdac")):
            collection.update([document], cut, HashEmbedder().embed_documents, remove_missing=False)
        assert len(list((tmp_path / "segments").iterdir())) == 2
        for k in (1, 2, 3, 4):
            wanted = ["a#0000!", "b#0000!", "c#0000!", "d#0000!"][:k]
            assert [id_ for id_, _ in collection.search_vectors(embed_text("one"), k=k)] == wanted
            assert [id_ for id_, _ in collection.search_words("one", k=k)] == wanted


def test_the_index_says_what_it_is_and_why(collection: Collection) -> None:
    base, young = collection.describe_index()
    kept, whole = (int(word) for word in base.split()[::2][:2])
    assert kept < whole
    assert all("flat, codes none: exact search" in line for line in (base, young))


def test_what_cannot_be_asked_is_refused(collection: Collection, tmp_path: Path) -> None:
    with Collection.create(tmp_path, IDENTITY) as empty:
        for one in (collection, empty):
            with pytest.raises(StaleIndexError, match=r"\(3,\).*\(32,\)"):
                one.search_vectors(np.ones(3, dtype=np.float32), k=1)
            with pytest.raises(ValueError, match="k is 0"):
                one.search_words("x", k=0)
            with pytest.raises(ValueError, match="k is 0"):
                one.search_vectors(np.ones(DIMENSION, dtype=np.float32), k=0)
        assert empty.search_vectors(embed_text("x"), k=5) == [] == empty.search_words("x", k=5)


def test_neighbours_and_sections_stand_in_order(tmp_path: Path) -> None:
    def cut(documents: object) -> list[Chunk]:
        parts = [("One",)] * 40 + [("Two",)] * 3 + [("One",)] * 2
        return [
            Chunk(f"c{99 - place}", "d", 2 * place, 2 * place + 1, "x", parts[place]) for place in range(len(parts))
        ]

    with Collection.create(tmp_path, IDENTITY) as collection:
        collection.update([make_document("d", "x\n" * 45)], cut, HashEmbedder().embed_documents)
        chunks = cut(None)
        assert collection.neighbours("c99", before=2, after=1) == chunks[:2]
        assert collection.neighbours("c57", before=1, after=2) == chunks[41:45]
        for place, (first, last) in {0: (0, 40), 20: (0, 40), 39: (0, 40), 41: (40, 43), 44: (43, 45)}.items():
            assert collection.section(chunks[place].id) == chunks[first:last]
        for ask in (collection.section, lambda id_: collection.neighbours(id_, before=1, after=1)):
            with pytest.raises(KeyError):
                ask("unknown")


def test_stored_vectors_come_back_in_the_order_asked_for(collection: Collection) -> None:
    chunks = collection.all_chunks()[::-7]
    vectors = collection.vectors_of([chunk.id for chunk in chunks])
    assert np.array_equal(vectors, np.stack([embed_text(chunk.indexed_text) for chunk in chunks]))
    assert collection.vectors_of([]).shape == (0, DIMENSION)
    with pytest.raises(KeyError):
        collection.vectors_of(["unknown"])


def test_young_segments_merge_as_a_counter_does() -> None:
    def young(*sizes: int) -> list[Weight]:
        return [Weight(size, size, False) for size in sizes]

    assert plan_merge(young(100_000, 9), settle=False) == (0, False)
    assert plan_merge(young(9_000, SMALL_ROWS, 9), settle=False) == (2, False)
    assert plan_merge(young(100_000, 9_000, 8_000, 7_000), settle=False) == (3, False)
    assert plan_merge(young(LARGE_ROWS + 1, LARGE_ROWS), settle=False) == (0, False)
    assert plan_merge([], settle=True) == (0, False)


def test_a_base_is_written_anew_only_when_a_quarter_is_outside_or_dead() -> None:
    base = Weight(1000, 1000, True)
    assert plan_merge([base], settle=True) == (0, False)
    assert plan_merge([base, Weight(200, 200, False), Weight(50, 50, False)], settle=True) == (2, False)
    assert plan_merge([base, Weight(200, 200, False), Weight(51, 51, False)], settle=True) == (3, True)
    assert plan_merge([base._replace(n_alive=749)], settle=True) == (1, True)
    assert plan_merge([base._replace(n_alive=749)], settle=False) == (0, False)
    assert plan_merge([base._replace(is_base=False)], settle=True) == (1, True)
