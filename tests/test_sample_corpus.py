"""The sample data keep their promises: formats, splits, spans that hold the answers, no leakage, the same bytes."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from workbench.corpus import read_document
from workbench.types import Document, Question, Span, Split

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
SUFFIXES = {".md", ".txt", ".html", ".pdf", ".docx"}
KINDS = {"direct", "rephrased", "multi-fact", "reversed", "unanswerable", "style"}


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    lines = (DATA / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [Question.model_validate(json.loads(line)) for line in lines]


@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    corpus = DATA / "corpus"
    read = [read_document(path, corpus) for path in sorted(corpus.rglob("*")) if path.is_file()]
    return {document.id: document for document in read}


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder the script writes with its default seed, and what it prints."""
    folder = tmp_path_factory.mktemp("sample")
    command = [sys.executable, str(ROOT / "scripts" / "make_sample_corpus.py"), "--out", str(folder)]
    return folder, subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of the script's package."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return lambda name: importlib.import_module(f"sample_corpus.{name}")


def test_at_least_sixty_documents_in_five_formats_and_of_readable_length(documents: dict[str, Document]) -> None:
    assert len(documents) >= 60
    formats = Counter(Path(name).suffix for name in documents)
    assert set(formats) == SUFFIXES
    assert min(formats.values()) >= 8
    lengths = {name: len(document.text.split()) for name, document in documents.items()}
    assert {name: n for name, n in lengths.items() if not 250 <= n <= 900} == {}


def test_every_split_holds_every_kind_it_is_for(questions: list[Question]) -> None:
    sizes = Counter(question.split for question in questions)
    assert len({question.id for question in questions}) == len({question.text for question in questions})
    assert 280 <= sizes[Split.TRAIN] <= 340
    assert 120 <= sizes[Split.SEEN] <= 150
    assert 130 <= sizes[Split.NEW] <= 160
    for split in (Split.SEEN, Split.NEW):
        assert {question.kind for question in questions if question.split is split} == KINDS
    assert 0.09 < sum(not question.answerable for question in questions) / len(questions) < 0.13


def test_new_documents_are_of_every_type_and_behind_no_other_row(questions: list[Question]) -> None:
    def used(split_is_new: bool) -> set[str]:
        chosen = [question for question in questions if (question.split is Split.NEW) == split_is_new]
        return {name for q in chosen for name in (q.group, *(span.document_id for span in q.relevant))}

    assert used(True) & used(False) == set()
    assert {name.split("/")[0] for name in used(True)} == {path.name for path in (DATA / "corpus").iterdir()}
    assert 0.25 <= len(used(True)) / len(used(True) | used(False)) <= 0.30


def test_spans_hold_the_answers_word_for_word(questions: list[Question], documents: dict[str, Document]) -> None:
    for question in questions:
        quotes = [re.sub(r"\s+", " ", documents[s.document_id].text[s.start : s.end]) for s in question.relevant]
        if question.kind in ("direct", "rephrased"):
            assert quotes == [question.answers[0]]
        elif question.kind == "reversed":
            assert len(quotes) == 1
            assert question.answers[0] in quotes[0]
            assert len(quotes[0]) < 400, question.id
        elif question.kind == "multi-fact":
            assert set(question.answers) == {" and ".join(quotes), " and ".join(reversed(quotes))}
        elif question.kind == "style":
            assert all(quote in question.answers[0] for quote in quotes)
            assert question.answers[0].split(" | ")[0] in {"TICKET", "ORDER", "RELEASE", "CONTACT", "PAIR"}
        else:
            assert question.kind == "unanswerable"
            assert (question.answers, quotes) == ((), [])


def test_answers_are_short_and_rarely_shared(questions: list[Question]) -> None:
    plain = [q.answers[0] for q in questions if q.kind in ("direct", "rephrased", "reversed")]
    assert max(len(answer.split()) for answer in plain) <= 8
    assert len(set(plain)) >= 0.7 * len(plain)
    assert Counter(plain).most_common(1)[0][1] <= 0.02 * len(plain)


def test_no_test_question_is_a_near_copy_of_a_training_row(questions: list[Question]) -> None:
    bags = [(q.split, set(re.findall(r"[\w-]+", q.text.lower())), q.text) for q in questions]
    train = [(words, text) for split, words, text in bags if split is Split.TRAIN]
    tests = [(words, text) for split, words, text in bags if split in (Split.SEEN, Split.NEW)]
    near = [(a, b) for left, a in train for right, b in tests if len(left & right) >= 0.8 * len(left | right)]
    assert near == []


def test_seen_asks_trained_facts_in_other_words_and_facts_no_row_asks(questions: list[Question]) -> None:
    trained = [span for question in questions if question.split is Split.TRAIN for span in question.relevant]

    def is_trained(span: Span) -> bool:
        return any(
            row.document_id == span.document_id and row.start < span.end and span.start < row.end for row in trained
        )

    seen = [question for question in questions if question.split is Split.SEEN]
    rephrased = [question for question in seen if question.kind == "rephrased"]
    assert rephrased
    assert all(is_trained(span) for question in rephrased for span in question.relevant)
    untrained = [question for question in seen if question.kind == "direct"]
    assert len(untrained) >= 20
    assert [question.id for question in untrained if any(map(is_trained, question.relevant))] == []


def test_the_script_makes_the_committed_bytes_again(regenerated: tuple[Path, str]) -> None:
    folder, _ = regenerated
    made = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    kept = {path.relative_to(DATA) for path in (DATA / "corpus").rglob("*") if path.is_file()}
    assert made == kept | {Path("questions.jsonl")}
    assert [name for name in sorted(made) if _content(folder / name) != _content(DATA / name)] == []


def test_the_readme_states_the_counts_that_the_script_prints(regenerated: tuple[Path, str]) -> None:
    assert regenerated[1].strip() in (DATA / "README.md").read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 3_000_000


def test_a_fact_that_is_not_read_back_is_refused(maker: Any) -> None:
    anchor = maker("facts").Anchor("Tighten to 31 newton metres.", 11, 27)
    found = maker("spans").locate(anchor, _document("Please\nTighten to 31\nnewton metres."))
    assert found == Span(document_id="a.md", start=18, end=34)
    for text in ("Tighten to 32 newton metres.", "Tighten to 31 newton metres. Tighten to 31 newton metres."):
        with pytest.raises(maker("facts").SourceError, match="times, not once"):
            maker("spans").locate(anchor, _document(text))


def test_near_copies_are_found_across_splits_only(maker: Any) -> None:
    texts = {
        "a": ("What does the small Corvel 12 cost today?", Split.TRAIN),
        "b": ("what does the small Corvel 12 cost today", Split.SEEN),
        "c": ("What does the small Corvel 12 cost?", Split.TRAIN),
        "d": ("How heavy is it?", Split.NEW),
    }
    rows = [Question(id=key, text=text, split=split) for key, (text, split) in texts.items()]
    pairs = maker("questions").find_near_copies(rows)
    assert [(one.id, other.id) for one, other in pairs] == [("a", "b"), ("c", "b")]


def test_the_seed_draws_the_facts(maker: Any) -> None:
    facts = maker("facts")
    source = facts.Source("a.md", "A", False, ("[[x: {100..999} crowns]] and [[y: {1.5..2.5} kilograms]]",), ())
    worlds = [facts.draw_facts([source], seed) for seed in (1, 1, 2)]
    assert worlds[0] == worlds[1] != worlds[2]
    assert re.fullmatch(r"\d{3} crowns", worlds[0]["a", "x"])
    assert re.fullmatch(r"[12]\.\d kilograms", worlds[0]["a", "y"])


def _document(text: str) -> Document:
    return Document("a.md", "a.md", "A", text, (), "0")


def _content(path: Path) -> object:
    """The file's bytes; of a DOCX its members' bytes and times: packed bytes depend on the machine's zlib."""
    if path.suffix != ".docx":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return [(member.filename, member.date_time, archive.read(member)) for member in archive.infolist()]
