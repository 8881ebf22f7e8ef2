"""Expansion worked by hand, and its laws on random documents and rankings."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.knowledge.fakes import HashEmbedder, make_document
from tests.retrieval.memory import MemoryStore
from workbench.config import ExpansionConfig
from workbench.retrieval import Expansion
from workbench.types import Chunk, Document, Hit, Ranking

WORDS_A_CHUNK = 10


def cut_sections(documents: Sequence[Document]) -> list[Chunk]:
    """Cut at line ends; a line "# NAME ..." opens a section."""
    chunks = []
    for document in documents:
        path: tuple[str, ...] = ("top",)
        for match in re.finditer(r"[^\n]+", document.text):
            if match.group().startswith("#"):
                path = ("top", match.group().split()[1])
            id_ = f"{document.id}:{match.start()}-{match.end()}"
            chunks.append(Chunk(id_, document.id, match.start(), match.end(), match.group(), headings=path, page=1))
    return chunks


def store_of(**texts: str) -> MemoryStore:
    return MemoryStore([make_document(id_, text) for id_, text in texts.items()], cut_sections)


def widen(store: MemoryStore, lines: dict[str, float], **config: object) -> list[tuple[str, float]]:
    """Expand hits, named by their text; return passages' texts, one line each."""
    by_text = {chunk.text: chunk for chunk in store.all.values()}
    hits = tuple(Hit(by_text[text], score) for text, score in lines.items())
    expansion = Expansion(store, HashEmbedder(), ExpansionConfig.model_validate(config))
    return [(hit.chunk.text.replace("\n", "|"), hit.score) for hit in expansion.widen(hits)]


LINES = store_of(d="one\ntwo\nthree\nfour\nfive\nsix\nseven")


def test_a_hit_takes_its_neighbours_in() -> None:
    assert widen(LINES, {"three": 0.9}) == [("two|three|four", 0.9)]
    assert widen(LINES, {"one": 0.9}, neighbours=2) == [("one|two|three", 0.9)]


def test_passages_that_meet_become_one_with_the_better_score() -> None:
    assert widen(LINES, {"five": 0.9, "three": 0.5}) == [("two|three|four|five|six", 0.9)]
    assert widen(LINES, {"two": 0.9, "six": 0.5}) == [("one|two|three", 0.9), ("five|six|seven", 0.5)]


def test_a_hit_inside_a_better_passage_adds_none() -> None:
    assert widen(LINES, {"three": 0.9, "four": 0.5}) == [("two|three|four|five", 0.9)]


def test_the_nearest_chunks_come_first_as_far_as_tokens_reach() -> None:
    store = store_of(d="\n".join(f"{name} " * WORDS_A_CHUNK for name in "abcdefg"))
    chunks = list(store.all.values())

    def lengths(max_tokens: int, places: dict[int, float], neighbours: int = 2) -> list[tuple[str, float]]:
        config = {"max_tokens": max_tokens, "neighbours": neighbours}
        widened = widen(store, {chunks[place].text: score for place, score in places.items()}, **config)
        return [("".join(line[0] for line in text.split("|")), score) for text, score in widened]

    # Each chunk has 10 words and its heading path one more: d at 11, de 21, cde 31, cdef 41.
    assert lengths(20, {3: 1.0}) == [("d", 1.0)]
    assert lengths(21, {3: 1.0}) == [("de", 1.0)]
    assert lengths(31, {3: 1.0}) == [("cde", 1.0)]
    assert lengths(41, {3: 1.0}) == [("cdef", 1.0)]
    # Two passages that meet in e but do not fit together: the better hit keeps it.
    assert lengths(31, {3: 1.0, 5: 0.5}) == [("cde", 1.0), ("fg", 0.5)]
    assert lengths(16, {3: 1.0, 4: 0.5}) == [("d", 1.0), ("e", 0.5)]


def test_a_section_is_not_left() -> None:
    store = store_of(d="intro\n# A one\ntwo\nthree\n# B four\nfive")
    assert widen(store, {"two": 1.0}, by="section") == [("# A one|two|three", 1.0)]
    assert widen(store, {"two": 1.0, "five": 0.5}, by="section") == [("# A one|two|three", 1.0), ("# B four|five", 0.5)]


def test_a_passage_says_where_it_stands() -> None:
    store = store_of(d="intro\n# A one\n# B two")
    chunks = list(store.all.values())
    expansion = Expansion(store, HashEmbedder(), ExpansionConfig())
    (single,) = expansion.widen((Hit(chunks[1], 1.0),))
    assert single.chunk.id == f"d:0-{chunks[2].end}"
    assert (single.chunk.headings, single.chunk.page) == (("top",), 1)  # what its chunks share
    alone = store_of(e="only")
    (hit,) = (Hit(chunk, 1.0) for chunk in alone.all.values())
    assert Expansion(alone, HashEmbedder(), ExpansionConfig()).widen((hit,)) == (hit,)


def test_nothing_widens_to_nothing() -> None:
    assert widen(LINES, {}) == []


@pytest.mark.parametrize("by", ["neighbours", "section"])
@settings(deadline=None)  # a busy machine is no fault
@given(
    texts=st.lists(st.lists(st.sampled_from(["a b c", "# S", "d", "e f " * 6]), min_size=1, max_size=12), max_size=3),
    order=st.randoms(use_true_random=False),
    n_hits=st.integers(0, 12),
    neighbours=st.integers(1, 4),
    max_tokens=st.integers(16, 60),
)
def test_passages_are_exact_disjoint_and_hold_every_hit(
    *, by: str, texts: list[list[str]], order: object, n_hits: int, neighbours: int, max_tokens: int
) -> None:
    lines = {
        f"d{number}": "\n".join(f"{line} {place}" for place, line in enumerate(text))
        for number, text in enumerate(texts)
    }
    store = store_of(**lines)
    chunks = sorted(store.all.values(), key=lambda chunk: chunk.id)
    order.shuffle(chunks)  # type: ignore[attr-defined]
    hits: Ranking = tuple(Hit(chunk, 1.0 - place / 20) for place, chunk in enumerate(chunks[:n_hits]))
    config = ExpansionConfig.model_validate({"by": by, "neighbours": neighbours, "max_tokens": max_tokens})
    widened = Expansion(store, HashEmbedder(), config).widen(hits)
    assert list(widened) == sorted(widened, key=lambda hit: (-hit.score, hit.chunk.id))
    assert len({hit.chunk.id for hit in widened}) == len(widened) <= len(hits)
    held: list[str] = []
    for hit in widened:
        passage, text = hit.chunk, store.document(hit.chunk.document_id).text
        assert text[passage.start : passage.end] == passage.text
        inside = [
            chunk.id
            for chunk in store.all.values()
            if chunk.document_id == passage.document_id and passage.start <= chunk.start and chunk.end <= passage.end
        ]
        held += inside
        n_tokens = len(HashEmbedder().token_offsets([passage.indexed_text])[0])
        assert len(inside) == 1 or n_tokens <= max_tokens
        assert hit.score == max(one.score for one in hits if one.chunk.id in inside)
    assert len(held) == len(set(held))
    assert {hit.chunk.id for hit in hits} <= set(held)
