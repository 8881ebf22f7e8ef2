"""CSV to questions: one row each, by header; comma, semicolon or tab.

Columns: `question` and one of `answer` or `answers` (several, separated by "|"); if wanted `id`, `split`, `kind`,
`group`, `document` (the id of the document that holds the answer). An empty answer: the corpus holds none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.evaluation.faults import Faults
from workbench.evaluation.rows import PlacedQuestion, validate_question, with_id

COLUMNS = ("question", "answer", "answers", "id", "split", "kind", "group", "document")
MAX_HEADER_CHARACTERS = 10_000  # a JSON file on one line is no header


def delimiter_of(text: str) -> str | None:
    """Return the delimiter that gives the first line a `question` column; None: not a CSV of questions."""
    first = text.lstrip()[:MAX_HEADER_CHARACTERS].split("\n", 1)[0]
    for delimiter in (",", ";", "\t"):
        if "question" in [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]:
            return delimiter
    return None


def read_csv_rows(text: str, faults: Faults, documents: Mapping[str, str] | None) -> list[PlacedQuestion]:
    """Read one question a row; faulty rows are noted in `faults`.

    With `documents`, a row that names its document is judged by the first place there where one of its answers
    stands literally, or by the whole document where none does. Without, the document is only the split unit.
    """
    placed = []
    for line, row in _rows(text, faults):
        answers = [answer.strip() for answer in row.get("answers", "").split("|")] + [row.get("answer", "")]
        record: dict[str, Any] = {"text": row["question"], "answers": [answer for answer in answers if answer]}
        record |= {name: row[name] for name in ("id", "split", "kind") if row.get(name)}
        document = row.get("document", "")
        record["group"] = row.get("group") or document
        if document and documents is not None:
            if document not in documents:
                faults.add(line, "document", f"{document!r} is not in the corpus")
                continue
            record["relevant"] = [_answer_span(document, documents[document], record["answers"])]
        question = validate_question(with_id(record), line, faults)
        if question is not None:
            placed.append((line, question))
    return placed


def _rows(text: str, faults: Faults) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line the row begins on, cells by column)."""
    body = text.lstrip()
    n_blank = text[: len(text) - len(body)].count("\n")  # blank lines above the header
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter_of(text) or ",", strict=True)
    header = [name.strip().lower() for name in next(reader)]
    for name in header:
        if name not in COLUMNS:
            faults.add(n_blank + 1, name or "header", f"unknown column; known are {', '.join(COLUMNS)}")
    if "answer" not in header and "answers" not in header:
        faults.add(n_blank + 1, "header", "has neither `answer` nor `answers`")
    begins = n_blank + reader.line_num + 1
    try:
        for cells in reader:
            if len(cells) == len(header):
                yield begins, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
            elif any(cell.strip() for cell in cells):
                faults.add(begins, "row", f"has {len(cells)} cells, but the header has {len(header)}")
            begins = n_blank + reader.line_num + 1
    except csv.Error as error:
        faults.add(begins, "row", f"is not CSV: {error}")


def _answer_span(document_id: str, text: str, answers: list[str]) -> dict[str, Any]:
    starts = [(text.find(answer), answer) for answer in answers if answer in text]
    start, answer = min(starts, default=(0, text))
    return {"document_id": document_id, "start": start, "end": start + len(answer)}
