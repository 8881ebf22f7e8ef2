"""What a dataset is made of: tasks, generators, languages, answers; which documents it covers; rows that teach nothing.

Languages are told by lid.176 (`corpus.describing`) and only where a text is long enough to be sure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbench.audit.duplicates import asked
from workbench.corpus.describing import detect_language
from workbench.evaluation import normalise_answer
from workbench.rows import DatasetRow, Task
from workbench.types import Span

UNSURE = "unsure"  # too short, or no language is plain
_N_ANSWERS = 8  # most frequent answers kept
_SURE_WORDS = 9  # shorter texts are names and numbers as often as sentences


@dataclass(frozen=True, slots=True)
class Mixture:
    """Counts of rows, most first, and the ids of rows that teach nothing or the wrong thing."""

    n_rows: int
    splits: Mapping[str, int]
    tasks: Mapping[str, int]
    generators: Mapping[str, int]
    templates: Mapping[str, int]
    languages: Mapping[str, int]
    answers: tuple[tuple[str, int], ...]  # the most frequent completions of rows that ask, normalised
    n_asking: int
    n_facts: int
    empty: tuple[str, ...]  # nothing but punctuation to learn
    answer_in_question: tuple[str, ...]  # closed book: the question gives the answer away
    foreign: tuple[tuple[str, str], ...]  # (row id, language) of rows outside the wanted languages


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the corpus some row states or asks about: counts of documents, chunks, characters."""

    n_documents: int
    n_touched_documents: int
    n_characters: int
    n_touched_characters: int
    n_chunks: int  # 0: the corpus was not cut
    n_touched_chunks: int
    untouched: tuple[str, ...]  # ids of documents no row comes from
    unknown: tuple[str, ...]  # ids in `sources` that the corpus does not have


def describe_mixture(rows: Sequence[DatasetRow], *, languages: Iterable[str] = ()) -> Mixture:
    """Count what the rows are made of.

    Args:
        languages: ISO 639 codes the dataset should be in; none given: the one most rows are in.
    """
    spoken = {row.id: detect_row_language(row) for row in rows}
    counts = Counter(spoken.values())
    wanted = set(languages) or {code for code, _ in (counts - Counter({UNSURE: counts[UNSURE]})).most_common(1)}
    asking = [row for row in rows if row.task is not Task.TEXT]
    return Mixture(
        n_rows=len(rows),
        splits=_counts(row.split.value for row in rows),
        tasks=_counts(row.task.value for row in rows),
        generators=_counts(row.generator for row in rows),
        templates=_counts(f"{row.generator}/{row.template}" for row in rows if row.template),
        languages=_counts(spoken.values()),
        answers=tuple(Counter(normalise_answer(row.completion) for row in asking).most_common(_N_ANSWERS)),
        n_asking=len(asking),
        n_facts=len({row.fact for row in rows if row.fact}),
        empty=tuple(row.id for row in rows if not normalise_answer(row.completion)),
        answer_in_question=tuple(row.id for row in rows if row.task is Task.CLOSED_BOOK and _gives_away(row)),
        foreign=tuple((id_, code) for id_, code in spoken.items() if code not in {*wanted, UNSURE}),
    )


def detect_row_language(row: DatasetRow) -> str:
    """Return the language of what the row asks and teaches, without its passages; UNSURE where that is not plain."""
    text = f"{asked(row)}\n{row.completion}"
    return (detect_language(text) if len(text.split()) >= _SURE_WORDS else None) or UNSURE


def measure_coverage(rows: Iterable[DatasetRow], documents: Mapping[str, int], chunks: Sequence[Span] = ()) -> Coverage:
    """Measure what the rows' `sources` touch.

    Args:
        documents: length in characters by document id.
        chunks: the spans the corpus is cut into.
    """
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        for span in row.sources:
            spans[span.document_id].append((span.start, span.end))
    merged = {id_: _merge(places) for id_, places in spans.items() if id_ in documents}
    touched = sum(
        min(end, documents[id_]) - start
        for id_, places in merged.items()
        for start, end in places
        if start < documents[id_]
    )
    return Coverage(
        n_documents=len(documents),
        n_touched_documents=len(merged),
        n_characters=sum(documents.values()),
        n_touched_characters=touched,
        n_chunks=len(chunks),
        n_touched_chunks=sum(
            any(start < chunk.end and chunk.start < end for start, end in merged.get(chunk.document_id, ()))
            for chunk in chunks
        ),
        untouched=tuple(sorted(documents.keys() - merged.keys())),
        unknown=tuple(sorted(spans.keys() - documents.keys())),
    )


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _gives_away(row: DatasetRow) -> bool:
    answer = normalise_answer(row.completion)
    return len(answer) > 3 and f" {answer} " in f" {normalise_answer(row.question)} "  # "yes" or "10" may stand there


def _merge(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
