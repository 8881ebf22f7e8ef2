"""A question file to questions: four formats told apart by content, never by the file's name.

| format | looks like | read by |
|---|---|---|
| project | JSON lines, one `workbench.types.Question` each | `rows.py` |
| chat | JSON lines with `messages`, as OpenAI fine-tuning takes them | `rows.py` |
| CSV | a header with `question` | `table_rows.py` |
| SQuAD 1.1 and 2.0 | one JSON object with `data`; brings its own passages | `squad.py` |

Splits are not made here (`splits.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import QuestionFileError
from workbench.evaluation.beir import is_beir_folder
from workbench.evaluation.faults import Faults
from workbench.evaluation.rows import PlacedQuestion, read_chat_lines, read_project_lines
from workbench.evaluation.squad import read_squad
from workbench.evaluation.table_rows import delimiter_of, read_csv_rows
from workbench.types import Document, Question

EXPECTED = "JSON lines with `text` and `answers`, chat JSON lines, CSV with a `question` column, or SQuAD JSON"


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """The questions of one file in its order, ids unique; `passages` are the documents the file itself brings."""

    questions: tuple[Question, ...]
    passages: tuple[Document, ...] = ()


def load_questions(
    path: Path, *, documents: Mapping[str, str] | None = None, unread: Collection[str] = ()
) -> QuestionFile:
    """Read a question file of any of the four formats.

    Args:
        path: the file, UTF-8.
        documents: the corpus, text by document id. Given, every span must lie in it, and CSV rows that name a
            document get the span of their answer. SQuAD files bring their own passages: with them it must be None.
        unread: ids of documents that exist but could not be read; spans in them are taken on trust, and will be missed.

    Raises:
        QuestionFileError: the format is none of the four, or lines are malformed, or ids repeat, or the file brings
            passages beside `documents`. Up to ten faults are told at once, one a line: file, line, field, problem.
    """
    text = _read_text(path)
    faults = Faults(path)
    passages: tuple[Document, ...] = ()
    if delimiter_of(text) is not None:
        placed = read_csv_rows(text, faults, documents, unread)
    elif _is_squad(text):
        placed, passages = read_squad(text, path, faults)
    elif text.lstrip().startswith("{"):
        read_lines = read_chat_lines if _has_messages(text) else read_project_lines
        placed = read_lines(text, faults)
    else:
        first = text.strip().splitlines()[0][:60]
        raise QuestionFileError(f"{path.name}:1: begins with {first!r}; expected {EXPECTED}")
    _check_ids(placed, faults)
    _check_answers(placed, faults)
    if documents is not None and not passages:
        _check_spans(placed, documents, unread, faults)
    faults.refuse()
    if documents is not None and passages:
        raise QuestionFileError(
            f"{path.name} brings {len(passages)} passages of its own, but corpus.path gives {len(documents)} other "
            "documents, so no answer would be found in them; unset corpus.path: --set corpus.path=null"
        )
    return QuestionFile(tuple(question for _, question in placed), passages)


def _read_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise QuestionFileError(f"{path} does not exist; set questions.path to a question file") from error
    except IsADirectoryError as error:
        hint = "a BEIR folder has no answers, it measures retrieval: python scripts/bench_retrieval.py FOLDER"
        hint = hint if is_beir_folder(path) else "set questions.path to a question file in it"
        raise QuestionFileError(f"{path} is a folder; {hint}") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise QuestionFileError(
            f"{path.name}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    if not text.strip():
        raise QuestionFileError(f"{path.name} is empty; expected {EXPECTED}")
    return text


def _is_squad(text: str) -> bool:
    """Whether the file is one object with `data`. A broken one that begins like it counts, so its error has a place."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return re.match(r'\s*\{\s*"(data|version)"\s*:', text) is not None
    return isinstance(whole, dict) and "data" in whole


def _has_messages(text: str) -> bool:
    """Whether any line is a conversation; lines that do not parse are reported later, by the reader."""
    for line in text.splitlines():
        with suppress(json.JSONDecodeError):
            record = json.loads(line)
            if isinstance(record, dict) and "messages" in record:
                return True
    return False


def _check_ids(placed: Iterable[PlacedQuestion], faults: Faults) -> None:
    first: dict[str, int] = {}
    for line, question in placed:
        if question.id in first:
            faults.add(line, "id", f"{question.id!r} is already the id of line {first[question.id]}")
        first.setdefault(question.id, line)


def _check_answers(placed: Iterable[PlacedQuestion], faults: Faults) -> None:
    for line, question in placed:
        for number, answer in enumerate(question.answers):
            if not answer.strip():
                faults.add(line, f"answers[{number}]", "is blank; leave `answers` empty if the corpus holds none")


def _check_spans(
    placed: Iterable[PlacedQuestion], documents: Mapping[str, str], unread: Collection[str], faults: Faults
) -> None:
    for line, question in placed:
        for number, span in enumerate(question.relevant):
            if span.document_id in unread:
                continue
            if span.document_id not in documents:
                faults.add(line, f"relevant[{number}].document_id", f"{span.document_id!r} is not in the corpus")
            elif span.end > len(documents[span.document_id]):
                length = len(documents[span.document_id])
                faults.add(line, f"relevant[{number}].end", f"{span.end} is past the document's end at {length}")
