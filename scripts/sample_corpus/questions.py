"""Questions: read the lines below a source's `===`, fill in the facts, give each a split.

A line is `kind facts || question || answer`: Q direct, R rephrased, M several facts joined by `+`, U unanswerable
(no facts), S house format (the third field is the answer), V `asked>answer`: the fact is given, its partner is asked.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sample_corpus.facts import REFERENCE, FactId, Facts, Source, SourceError, fill_references, parse_fact_id
from workbench.types import Question, Span, Split

KINDS = {"Q": "direct", "R": "rephrased", "V": "reversed", "M": "multi-fact", "U": "unanswerable", "S": "style"}
OTHER_WORDS = ("rephrased", "reversed")
N_TRAIN, N_NEW = 320, 156  # rows kept; the rest of the facts stay in the documents without a question
N_SEEN = {"rephrased": 60, "reversed": 34, "direct": 24, "multi-fact": 9, "unanswerable": 15, "style": 8}
N_DEV = {"direct": 22, "multi-fact": 3, "unanswerable": 4, "style": 2}
N_NEW_DROPPED_FIRST = ("direct",)  # the scarcer kinds of the new documents are all kept
NEAR_COPY = 0.8  # Jaccard index of two questions' words


@dataclass(frozen=True, slots=True)
class Draft:
    """A question before its split. `asked` are the facts it is about, `touched` also those its wording gives away."""

    question: Question
    source: Source
    asked: tuple[FactId, ...]
    touched: frozenset[FactId]

    @property
    def kind(self) -> str:
        """The question's kind."""
        return self.question.kind


def read_drafts(sources: Sequence[Source], facts: Facts, spans: Mapping[FactId, Span]) -> list[Draft]:
    """Return every question of every source. Raises SourceError for a line that names an unknown kind or fact."""
    drafts = []
    for source in sources:
        for number, line in enumerate(source.question_lines, 1):
            try:
                drafts.append(_read_draft(source, number, line, facts, spans))
            except (KeyError, ValueError) as error:
                raise SourceError(f"{source.path}: question {number} {line!r}: {error!r}") from error
    return drafts


def assign_splits(drafts: Sequence[Draft], seed: int) -> list[Question]:
    """Return the questions that are kept, with their splits, in order of id. See data/README.md for the rules."""
    rng = random.Random(f"{seed}/splits")
    new = _choose_new([draft for draft in drafts if draft.source.is_new], rng)
    pool = [draft for draft in drafts if not draft.source.is_new]
    rng.shuffle(pool)
    seen = _choose_seen(pool)
    asked_again = {draft.asked[0] for draft in seen if draft.kind in OTHER_WORDS}
    kept_back = {fact for draft in seen if draft.kind == "direct" for fact in draft.touched}
    pool = [draft for draft in pool if draft not in seen and not draft.touched & kept_back]
    must_train = [draft for draft in pool if draft.kind == "direct" and draft.asked[0] in asked_again]
    pool = [draft for draft in pool if draft not in must_train]
    dev = _take(pool, N_DEV, lambda draft: draft.kind)
    rest = [draft for draft in pool if draft not in dev]
    # Scarce kinds first, so that the cut falls on direct questions.
    rest.sort(key=lambda draft: draft.kind == "direct")
    others = [draft for draft in rest if draft.kind not in OTHER_WORDS]
    train = (must_train + others)[:N_TRAIN]
    parts = {Split.NEW: new, Split.SEEN: seen, Split.DEV: dev, Split.TRAIN: train}
    questions = [d.question.model_copy(update={"split": split}) for split, part in parts.items() for d in part]
    return sorted(questions, key=lambda question: question.id)


def find_near_copies(questions: Sequence[Question]) -> list[tuple[Question, Question]]:
    """Return every (training row, other row) whose words agree at `NEAR_COPY` or more, the split `dev` included."""
    train = [(question, _words(question.text)) for question in questions if question.split is Split.TRAIN]
    tests = [(question, _words(question.text)) for question in questions if question.split is not Split.TRAIN]
    return [(a, b) for a, left in train for b, right in tests if len(left & right) >= NEAR_COPY * len(left | right)]


def check_sides(drafts: Sequence[Draft], sources: Mapping[str, Source]) -> None:
    """Raise SourceError where a question leans on facts from both sides of the split."""
    for draft in drafts:
        if any(sources[source_id].is_new != draft.source.is_new for source_id, _ in draft.touched):
            raise SourceError(f"{draft.source.path}: {draft.question.text!r} mixes new and other documents")


def _read_draft(source: Source, number: int, line: str, facts: Facts, spans: Mapping[FactId, Span]) -> Draft:
    head, text, *template = line.split(" || ")
    letter, _, names = head.partition(" ")
    asked_names, _, answer_name = names.partition(">")
    asked = tuple(parse_fact_id(name, source.id) for name in asked_names.split("+")) if asked_names else ()
    answering = (parse_fact_id(answer_name, source.id),) if answer_name else asked
    given = {parse_fact_id(match[0][2:-2], source.id) for match in REFERENCE.finditer(text)}
    values = [facts[fact] for fact in answering]
    if template:
        answers: tuple[str, ...] = (fill_references(template[0], source.id, facts),)
    elif len(values) > 1:
        answers = (" and ".join(values), " and ".join(reversed(values)))
    else:
        answers = tuple(values)
    if answer_name:
        relevant: tuple[Span, ...] = (_join(spans[asked[0]], spans[answering[0]]),)
    else:
        relevant = tuple(spans[fact] for fact in answering)
    question = Question(
        id=f"{source.id.replace('/', '-')}-{number:02}",
        text=fill_references(text, source.id, facts),
        answers=answers,
        relevant=relevant,
        kind=KINDS[letter],
        group=source.path,
    )
    return Draft(question, source, asked, frozenset({*asked, *answering, *given}))


def _join(one: Span, other: Span) -> Span:
    if one.document_id != other.document_id:
        raise ValueError("a reversed question needs both facts in one document")
    return Span(document_id=one.document_id, start=min(one.start, other.start), end=max(one.end, other.end))


def _choose_new(drafts: list[Draft], rng: random.Random) -> list[Draft]:
    shuffled = rng.sample(drafts, len(drafts))
    shuffled.sort(key=lambda draft: draft.kind in N_NEW_DROPPED_FIRST)
    return shuffled[:N_NEW]


def _choose_seen(pool: list[Draft]) -> list[Draft]:
    direct = {draft.asked[0] for draft in pool if draft.kind == "direct"}
    touches = Counter(fact for draft in pool for fact in draft.touched)

    def slot(draft: Draft) -> str | None:
        if draft.kind in OTHER_WORDS:
            return draft.kind if draft.asked[0] in direct else None
        if draft.kind == "direct":
            return "direct" if all(touches[fact] == 1 for fact in draft.touched) else None
        return draft.kind

    return _take(pool, N_SEEN, slot)


def _take(pool: Sequence[Draft], wanted: Mapping[str, int], slot: Callable[[Draft], str | None]) -> list[Draft]:
    taken: list[Draft] = []
    counts: Counter[str] = Counter()
    for draft in pool:
        name = slot(draft)
        if name is not None and counts[name] < wanted.get(name, 0):
            taken.append(draft)
            counts[name] += 1
    return taken


def _words(text: str) -> set[str]:
    return set(re.findall(r"[\w-]+", text.lower()))
