"""A BEIR folder read as it stands, and refused with file and line where it is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.config import ChunkingConfig
from workbench.corpus import chunk_documents
from workbench.errors import QuestionFileError
from workbench.evaluation.beir import is_beir_folder, read_beir
from workbench.types import BlockKind, Span

CORPUS: list[dict[str, Any]] = [
    {"_id": "d1", "title": "Tide tables", "text": "High water at noon.", "metadata": {"year": 1957, "tags": ["sea"]}},
    {
        "_id": "d2",
        "title": "Wind .",
        "text": "Wind . It turns at dusk.",
        "metadata": {"nothing": None, "deep": {"a": 1}},
    },
    {"_id": "d3", "title": "", "text": "A note without a title."},
    {"_id": "d4", "title": "Only a title", "text": " "},
    {"_id": "d5", "title": "", "text": ""},
]
QUERIES = [
    {"_id": "q1", "text": "when is high water?"},
    {"_id": "q2", "text": "when does the wind turn?"},
    {"_id": "q3", "text": "never judged"},
    {"_id": "q4", "text": "judged, nothing relevant"},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td3\t1\nq1\td2\t0\nq2\td2\t1\nq2\td5\t1\nq4\td1\t0\n"


def write(folder: Path, *, corpus: Any = CORPUS, queries: Any = QUERIES, qrels: str = QRELS) -> Path:
    for name, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(QuestionFileError) as caught:
        read_beir(folder)
    return str(caught.value)


def test_documents_keep_their_ids_titles_and_facts(tmp_path: Path) -> None:
    read = read_beir(write(tmp_path))
    assert [(d.id, d.title, d.text) for d in read.documents] == [
        ("d1", "Tide tables", "High water at noon."),
        ("d2", "Wind .", "Wind . It turns at dusk."),
        ("d3", "", "A note without a title."),
        ("d4", "Only a title", "Only a title"),
    ]
    assert [dict(d.metadata) for d in read.documents] == [
        {"year": 1957, "tags": ("sea",)},
        {"deep": "{'a': 1}"},
        {},
        {},
    ]
    assert read.n_blank == 1


def test_judgments_become_spans_over_whole_documents_and_grades_stay(tmp_path: Path) -> None:
    read = read_beir(write(tmp_path))
    spans = {question.id: question.relevant for question in read.questions}
    assert spans == {
        "q1": (Span(document_id="d1", start=0, end=19), Span(document_id="d3", start=0, end=23)),
        "q2": (Span(document_id="d2", start=0, end=24),),  # d5 is blank, so no span can point into it
    }
    assert read.grades == {"q1": {"d1": 2, "d3": 1, "d2": 0}, "q2": {"d2": 1, "d5": 1}}
    assert read.n_unjudged == 2


def test_the_title_is_indexed_before_the_text_as_beir_does(tmp_path: Path) -> None:
    class Words:
        max_tokens = 64
        n_special_tokens = 2

        def token_offsets(self, texts: Any) -> list[list[tuple[int, int]]]:
            return [[(n, n + 1) for n in range(len(text))] for text in texts]

    documents = read_beir(write(tmp_path)).documents
    indexed = [chunk.indexed_text for chunk in chunk_documents(documents, Words(), ChunkingConfig())]
    assert indexed == [
        "Tide tables\nHigh water at noon.",
        "Wind .\nWind . It turns at dusk.",
        "A note without a title.",
        "Only a title",
    ]
    assert [document.blocks[0].kind for document in documents] == [BlockKind.PARAGRAPH] * 3 + [BlockKind.HEADING]


def test_reading_is_the_same_twice_and_another_split_is_another_set_of_questions(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "qrels" / "dev.tsv").write_text("q3\td3\t1\n", encoding="utf-8")  # no header
    assert read_beir(folder) == read_beir(folder)
    assert [question.id for question in read_beir(folder, split="dev").questions] == ["q3"]
    with pytest.raises(QuestionFileError, match=r"has no train\.tsv; splits there are: dev, test"):
        read_beir(folder, split="train")


def test_a_folder_is_told_by_its_three_parts(tmp_path: Path) -> None:
    assert not is_beir_folder(tmp_path)
    assert is_beir_folder(write(tmp_path))
    (tmp_path / "queries.jsonl").unlink()
    assert not is_beir_folder(tmp_path)
    assert "queries.jsonl does not exist" in refusal(tmp_path)


def test_unknown_ids_are_counted_on_both_sides(tmp_path: Path) -> None:
    told = refusal(write(tmp_path, qrels=QRELS + "q1\tx\t1\nq1\ty\t0\nz\td1\t1\n"))
    assert told.startswith("test.tsv:8: 'x' is unknown; the judgments name 1 queries that queries.jsonl (it has 4)")
    assert "and 2 documents that corpus.jsonl (it has 5)" in told


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"corpus": [CORPUS[0], "{"]}, "corpus.jsonl:2: `line`: invalid JSON"),
        ({"corpus": [CORPUS[0], "", {"_id": "d2"}]}, "corpus.jsonl:3: `text`: is missing"),
        ({"corpus": [{"_id": 7, "text": "t"}]}, "corpus.jsonl:1: `_id`: input should be a valid string"),
        ({"corpus": [CORPUS[0], CORPUS[0]]}, "corpus.jsonl:2: `_id`: 'd1' is already the id of line 1"),
        ({"corpus": []}, "corpus.jsonl is empty"),
        ({"queries": ["", {"_id": "q1", "text": " "}]}, "queries.jsonl:2: `text`: of query 'q1' is blank"),
        ({"qrels": "q1\td1\t1\nq1 d1 1\n"}, "test.tsv:2: `line`: has 1 tab-separated cells"),
        ({"qrels": "q1\td1\tyes\n"}, "test.tsv:1: `score`: 'yes' is not a whole number"),
        ({"qrels": "q1\td1\t1\nq1\td1\t2\n"}, "test.tsv:2: `score`: 2 for 'q1' and 'd1', judged 1 above"),
        ({"qrels": "q1\td1\t-1\n"}, "calls no document relevant for any of 4 queries"),
    ],
)
def test_a_fault_is_told_with_file_line_and_field(tmp_path: Path, parts: dict[str, Any], told: str) -> None:
    assert told in refusal(write(tmp_path, **parts))


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    told = refusal(write(tmp_path, corpus=[{"_id": f"d{n}"} for n in range(12)])).splitlines()
    assert len(told) == 11
    assert told[-1].startswith("... and 2 more")


def test_bytes_that_are_not_utf8_are_placed(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "queries.jsonl").write_bytes(b'{"_id": "q1", "text": "t"}\n{"_id": "q\xff"}\n')
    assert refusal(tmp_path).startswith("queries.jsonl:2: byte 10 of the line is not UTF-8")
