"""SQuAD 1.1 and 2.0 to questions and passages.

Each paragraph becomes a document, each answer's place in it a relevant span; `is_impossible` means no answers.
Source: Rajpurkar et al., https://arxiv.org/abs/1606.05250 and https://arxiv.org/abs/1806.03822
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import astuple
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from workbench.errors import QuestionFileError
from workbench.evaluation.faults import SHOWN, Faults, field_name
from workbench.evaluation.rows import PlacedQuestion
from workbench.runs import fingerprint
from workbench.types import Block, BlockKind, Document, Question, Span

ID = re.compile(r'"id"\s*:\s*("(?:[^"\\]|\\.)*")')


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)  # unknown fields are let through: SQuAD's relatives add some


class _Answer(_Part):
    text: str
    answer_start: int


class _Asked(_Part):
    id: str
    question: str
    answers: list[_Answer] = []
    is_impossible: bool = False


class _Paragraph(_Part):
    context: str
    qas: list[_Asked]


class _Article(_Part):
    title: str
    paragraphs: list[_Paragraph]


class _Squad(_Part):
    data: list[_Article]


def read_squad(text: str, path: Path, faults: Faults) -> tuple[list[PlacedQuestion], tuple[Document, ...]]:
    """Return the questions with their lines, and one document a paragraph: id "<title slug>/<n>", n from 000.

    Raises:
        QuestionFileError: not JSON, or not the shape of SQuAD. Faults of single questions are noted in `faults`.
    """
    squad = _parse(text, path)
    placed: list[PlacedQuestion] = []
    passages: list[Document] = []
    n_of_slug: Counter[str] = Counter()
    lines = _lines_of_ids(text)
    for article in squad.data:
        slug = re.sub(r"[^\w]+", "-", article.title.lower()).strip("-_") or "untitled"
        for paragraph in article.paragraphs:
            passage = _passage(f"{slug}/{n_of_slug[slug]:03d}", article.title, paragraph.context, path)
            n_of_slug[slug] += 1
            passages.append(passage)
            for asked in paragraph.qas:
                line = lines.get(asked.id, 1)
                question = _question(asked, passage, line, faults)
                if question is not None:
                    placed.append((line, question))
    return placed, tuple(passages)


def _parse(text: str, path: Path) -> _Squad:
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise QuestionFileError(
            f"{path.name}:{error.lineno}: `data`: is not JSON: {error.msg} at character {error.colno}"
        ) from error
    try:
        return _Squad.model_validate(raw)
    except ValidationError as error:
        faults = Faults(path)
        for number, fault in enumerate(error.errors()):
            problem = fault["msg"][0].lower() + fault["msg"][1:]
            line = _line_near(text, raw, fault["loc"]) if number < SHOWN else 1  # the others are only counted
            faults.add(line, field_name(fault["loc"]), problem)
        faults.refuse()
        raise


def _passage(document_id: str, title: str, context: str, path: Path) -> Document:
    blocks = (Block(0, len(context), BlockKind.PARAGRAPH),)
    return Document(
        id=document_id,
        source=path.as_posix(),
        title=title,
        text=context,
        blocks=blocks,
        fingerprint=fingerprint(title, context, [astuple(block) for block in blocks]),
    )


def _question(asked: _Asked, passage: Document, line: int, faults: Faults) -> Question | None:
    """Return the question, or None after noting what is wrong with it."""
    if not asked.question.strip():
        faults.add(line, "question", "is blank")
        return None
    if asked.is_impossible:
        return Question(id=asked.id, text=asked.question, group=passage.title, kind="unanswerable")
    if not asked.answers:
        faults.add(line, "answers", "is empty, but `is_impossible` is not true")
        return None
    for number, answer in enumerate(asked.answers):
        found = passage.text[answer.answer_start : answer.answer_start + len(answer.text)]
        if answer.answer_start < 0 or not answer.text or found != answer.text:
            place = f"answers[{number}].answer_start"
            faults.add(line, place, f"{answer.answer_start} points at {found!r}, but the answer is {answer.text!r}")
            return None
    return Question(
        id=asked.id,
        text=asked.question,
        answers=tuple(dict.fromkeys(answer.text for answer in asked.answers)),
        relevant=_merged_spans(asked.answers, passage.id),
        group=passage.title,
    )


def _merged_spans(answers: list[_Answer], document_id: str) -> tuple[Span, ...]:
    """Join overlapping spans: annotators who mark "Denver" and "Denver Broncos" mean one place, not two."""
    spans: list[Span] = []
    for start, end in sorted({(answer.answer_start, answer.answer_start + len(answer.text)) for answer in answers}):
        if spans and start < spans[-1].end:
            last = spans.pop()
            spans.append(last.model_copy(update={"end": max(end, last.end)}))
        else:
            spans.append(Span(document_id=document_id, start=start, end=end))
    return tuple(spans)


def _lines_of_ids(text: str) -> dict[str, int]:
    """Return the line each `id` first stands on, counted from 1, in one pass: the files are large."""
    lines: dict[str, int] = {}
    line, counted = 1, 0
    for found in ID.finditer(text):
        line += text.count("\n", counted, found.start())
        counted = found.start()
        lines.setdefault(json.loads(found[1]), line)
    return lines


def _line_of(text: str, value: str) -> int:
    """Return the line of a string in the file's JSON, counted from 1; 1 if it is written with unusual escapes."""
    places = [text.find(json.dumps(value, ensure_ascii=ascii_only)) for ascii_only in (False, True)]
    return text.count("\n", 0, max(places)) + 1 if max(places) >= 0 else 1


def _line_near(text: str, raw: Any, location: tuple[str | int, ...]) -> int:
    """Return the line of the nearest id, question, context or title around a faulty place."""
    line = 1
    for step in location:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(raw, dict):
            names = [raw[key] for key in ("id", "question", "context", "title") if isinstance(raw.get(key), str)]
            line = _line_of(text, names[0]) if names else line
    return line
