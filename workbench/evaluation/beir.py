"""A BEIR folder to documents and questions: `corpus.jsonl`, `queries.jsonl` and `qrels/SPLIT.tsv`, ids kept.

A judgment is about a whole document, so its span covers the document's whole text, however it is cut later. Grades
above 0 are relevant; all grades are kept beside the questions, for measures that use them. Nothing is downloaded.
Indexed is the title and then the text, as in BEIR's own baselines, also where the text repeats its title: on Cranfield
(whole abstracts, BM25) indexing the repeated title once gives .375 nDCG@10, twice .385. BEIR questions carry no
answers: `Question.answerable` is False for them, although the corpus holds what they ask for.
Source: Thakur et al., NeurIPS 2021, https://arxiv.org/abs/2104.08663
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import QuestionFileError
from workbench.evaluation.faults import Faults
from workbench.runs import fingerprint
from workbench.types import Block, BlockKind, Document, Fact, Question, Span

CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"
JUDGMENTS = "qrels"
DEFAULT_SPLIT = "test"

Grades = Mapping[str, Mapping[str, int]]  # question id → document id → grade; 0 and below: judged, not relevant


@dataclass(frozen=True, slots=True)
class BeirFolder:
    """What a BEIR folder holds, in the order of its files. `grades` may name blank documents; `documents` does not."""

    documents: tuple[Document, ...]
    questions: tuple[Question, ...]  # those with at least one relevant document that holds text
    grades: Grades  # of `questions`
    n_unjudged: int  # queries left out, since no judgment of this split calls a document with text relevant
    n_blank: int  # documents left out, since neither title nor text says anything


class _QueryRow(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)  # unknown fields are let through: sets add their own
    id: str = Field(alias="_id", min_length=1)
    text: str


class _CorpusRow(_QueryRow):
    title: str | None = None
    metadata: dict[str, Any] | None = None


_Row = TypeVar("_Row", bound=_QueryRow)


def is_beir_folder(path: Path) -> bool:
    """Say whether `path` is a folder with a corpus, queries and judgments by BEIR's names."""
    return (path / CORPUS).is_file() and (path / QUERIES).is_file() and (path / JUDGMENTS).is_dir()


def read_beir(folder: Path, *, split: str = DEFAULT_SPLIT) -> BeirFolder:
    """Read a BEIR folder and the judgments of one split. Questions carry no `Split`: BEIR's splits share documents.

    Args:
        folder: holds `corpus.jsonl`, `queries.jsonl`, `qrels/`.
        split: names the file of judgments, `qrels/SPLIT.tsv`.

    Raises:
        QuestionFileError: a file is missing or malformed (up to ten faults at once, one a line: file, line, field,
            problem), an id stands twice, the judgments name unknown ids, or no question is left.
    """
    documents, blank = _read_documents(folder / CORPUS)
    queries = _read_queries(folder / QUERIES)
    grades = _read_judgments(_find_judgments(folder, split), queries, documents.keys() | blank)
    questions = [
        Question(id=id_, text=text, relevant=relevant, kind="retrieval")
        for id_, text in queries.items()
        if (relevant := _relevant_spans(grades.get(id_, {}), documents))
    ]
    if not questions:
        raise QuestionFileError(
            f"{folder.name}/{JUDGMENTS}/{split}.tsv calls no document relevant for any of {len(queries)} queries; "
            "choose a split with judgments"
        )
    return BeirFolder(
        documents=tuple(documents.values()),
        questions=tuple(questions),
        grades={question.id: grades[question.id] for question in questions},
        n_unjudged=len(queries) - len(questions),
        n_blank=len(blank),
    )


def _read_documents(path: Path) -> tuple[dict[str, Document], set[str]]:
    """Return the documents by id, and the ids of those without any text."""
    documents: dict[str, Document] = {}
    blank: set[str] = set()
    for _, row in _unique_rows(path, _CorpusRow):
        title = " ".join((row.title or "").split())
        text = row.text if row.text.strip() else title
        if text:
            documents[row.id] = _document(row.id, title, text, row.metadata or {})
        else:
            blank.add(row.id)
    return documents, blank


def _document(id_: str, title: str, text: str, metadata: Mapping[str, Any]) -> Document:
    """Return the document: one paragraph below its title, or the title alone as a heading."""
    bare = text == title
    blocks = (Block(0, len(text), BlockKind.HEADING if bare else BlockKind.PARAGRAPH, level=int(bare)),)
    return Document(
        id=id_,
        source=CORPUS,
        title=title,
        text=text,
        blocks=blocks,
        fingerprint=fingerprint(title, text, [astuple(block) for block in blocks]),
        metadata={key: fact for key, value in metadata.items() if (fact := _fact(value)) is not None},
    )


def _fact(value: Any) -> Fact | None:
    """Return a metadata value as filters compare it; None where it says nothing. A nested value becomes its text."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return tuple(map(str, value)) if isinstance(value, list) else str(value)


def _read_queries(path: Path) -> dict[str, str]:
    faults = Faults(path)
    queries: dict[str, str] = {}
    for line, row in _unique_rows(path, _QueryRow):
        queries[row.id] = row.text.strip()
        if not queries[row.id]:
            faults.add(line, "text", f"of query {row.id!r} is blank")
    faults.refuse()
    return queries


def _unique_rows(path: Path, model: type[_Row]) -> list[tuple[int, _Row]]:
    """Return one record a line with the line it stands on; faulty lines and repeated ids are refused."""
    faults = Faults(path)
    rows: list[tuple[int, _Row]] = []
    first: dict[str, int] = {}
    for line, content in _lines(path):
        try:
            row = model.model_validate_json(content)
        except ValidationError as error:
            faults.add_invalid(line, error)
            continue
        if row.id in first:
            faults.add(line, "_id", f"{row.id!r} is already the id of line {first[row.id]}")
        first.setdefault(row.id, line)
        rows.append((line, row))
    faults.refuse()
    if not rows:
        raise QuestionFileError(f"{path.name} is empty; expected one JSON object with `_id` and `text` a line")
    return rows


def _find_judgments(folder: Path, split: str) -> Path:
    path = folder / JUDGMENTS / f"{split}.tsv"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in (folder / JUDGMENTS).glob("*.tsv"))) or "none"
        raise QuestionFileError(f"{folder.name}/{JUDGMENTS} has no {split}.tsv; splits there are: {known}")
    return path


def _read_judgments(path: Path, queries: Collection[str], documents: Collection[str]) -> dict[str, dict[str, int]]:
    """Return the grades. The first line may be the header `query-id corpus-id score`."""
    faults = Faults(path)
    grades: dict[str, dict[str, int]] = {}
    unknown_queries: dict[str, int] = {}  # id → first line
    unknown_documents: dict[str, int] = {}
    for line, content in _lines(path):
        cells = content.rstrip("\r\n").split("\t")
        if line == 1 and cells[-1].strip() == "score":
            continue
        if len(cells) != 3:
            faults.add(line, "line", f"has {len(cells)} tab-separated cells, expected query-id, corpus-id, score")
            continue
        query, document, score = (cell.strip() for cell in cells)
        if not score.removeprefix("-").isdecimal():
            faults.add(line, "score", f"{score!r} is not a whole number")
            continue
        if grades.setdefault(query, {}).setdefault(document, int(score)) != int(score):
            faults.add(line, "score", f"{score} for {query!r} and {document!r}, judged {grades[query][document]} above")
        if query not in queries:
            unknown_queries.setdefault(query, line)
        if document not in documents:
            unknown_documents.setdefault(document, line)
    faults.refuse()
    if unknown_queries or unknown_documents:
        unknown = {**unknown_queries, **unknown_documents}
        name, line = min(unknown.items(), key=lambda item: item[1])
        raise QuestionFileError(
            f"{path.name}:{line}: {name!r} is unknown; the judgments name {len(unknown_queries)} queries that "
            f"{QUERIES} (it has {len(queries)}) does not hold and {len(unknown_documents)} documents that {CORPUS} "
            f"(it has {len(documents)}) does not hold; put files of one data set together"
        )
    return grades


def _relevant_spans(grades: Mapping[str, int], documents: Mapping[str, Document]) -> tuple[Span, ...]:
    """Return a span over each relevant document that holds text."""
    return tuple(
        Span(document_id=id_, start=0, end=len(documents[id_].text))
        for id_, grade in grades.items()
        if grade > 0 and id_ in documents
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank with their numbers from 1, one at a time.

    Raises:
        QuestionFileError: there is no such file, or a line is not UTF-8.
    """
    if not path.is_file():
        raise QuestionFileError(
            f"{path} does not exist; a BEIR folder holds {CORPUS}, {QUERIES} and {JUDGMENTS}/SPLIT.tsv"
        )
    with path.open("rb") as stream:
        for line, content in enumerate(stream, start=1):
            try:
                text = content.decode("utf-8-sig" if line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise QuestionFileError(
                    f"{path.name}:{line}: byte {error.start} of the line is not UTF-8; save the file as UTF-8"
                ) from error
            if text.strip():
                yield line, text
