"""CSV to questions: one row each, by header; comma, semicolon or tab.

Columns: `question` and one of `answer` or `answers` (several, separated by "|"); if wanted `id`, `split`, `kind`,
`group`, `document` (the id of the document that holds the answer). An empty answer: the corpus holds none.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from workbench.evaluation.faults import Faults
from workbench.evaluation.rows import PlacedQuestion, validate_question, with_id

COLUMNS = ("question", "answer", "answers", "id", "split", "kind", "group", "document")
MAX_HEADER_CHARACTERS = 10_000  # a JSON file on one line is no header


def delimiter_of(text: str) -> str | None:
    """Return the delimiter that gives the first line a `question` column; None: not a CSV of questions."""
    if text.lstrip().startswith(("{", "[")):
        return None  # JSON, whose keys may be called "question" too
    first = text.lstrip()[:MAX_HEADER_CHARACTERS].split("\n", 1)[0]
    for delimiter in (",", ";", "\t"):
        if "question" in [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]:
            return delimiter
    return None


def read_csv_rows(
    text: str, faults: Faults, documents: Mapping[str, str] | None, unread: Collection[str] = ()
) -> list[PlacedQuestion]:
    """Read one question a row; faulty rows are noted in `faults`.

    With `documents`, a row that names its document gets the span of its answer there, if the answer stands in it in
    exactly one place; else, and for documents in `unread`, it has no span and the document is only the split unit.
    """
    placed = []
    for line, row in _rows(text, faults):
        answers = [answer.strip() for answer in row.get("answers", "").split("|")] + [row.get("answer", "")]
        record: dict[str, Any] = {"text": row["question"], "answers": [answer for answer in answers if answer]}
        record |= {name: row[name] for name in ("id", "split", "kind") if row.get(name)}
        document = row.get("document", "")
        record["group"] = row.get("group") or document
        if document and documents is not None and document not in unread:
            if document not in documents:
                faults.add(line, "document", f"{document!r} is not in the corpus")
                continue
            record["relevant"] = _answer_spans(document, documents[document], record["answers"])
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


def _answer_spans(document_id: str, text: str, answers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the one place where an answer stands as whole words; [] where none or several do: a guess would judge."""
    if not answers:
        return []
    longest_first = "|".join(map(re.escape, sorted(answers, key=len, reverse=True)))
    # 5 stands neither in "15" nor in "2.5" nor in "5,000".
    found = list(re.finditer(rf"(?<!\w)(?<!\d[.,])(?:{longest_first})(?!\w)(?![.,]\d)", text))
    if len(found) != 1:
        return []
    return [{"document_id": document_id, "start": found[0].start(), "end": found[0].end()}]
