"""Which rows are dropped, and why: each row has one reason at most, that of the first filter that refuses it.

Cheap filters come first, the retriever last. Earlier rows win over later ones, so that fewer forms of a fact give rows
that more forms of it give as well; only contradictions take both sides out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from workbench.audit import near_duplicates as near_pairs
from workbench.config import FilterConfig
from workbench.corpus.describing import detect_language
from workbench.dataset.workshop import FindPassages
from workbench.evaluation.metrics import normalise_answer
from workbench.rows import DatasetRow, Task

MIN_LANGUAGE_CHARACTERS = 200  # below it an imported row's language is a guess, and it stays


class Drop(StrEnum):
    """Why a row was dropped."""

    EXACT_DUPLICATE = "exact_duplicate"
    SECRET = "secret"
    PERSONAL_DATA = "personal_data"
    LANGUAGE = "language"
    TOO_LONG = "too_long"
    OVERLAP = "overlap"  # copies a question of a test split
    CONTRADICTION = "contradiction"  # an equal question has another answer
    NEAR_DUPLICATE = "near_duplicate"
    ROUND_TRIP = "round_trip"  # its question does not find what it asks about


@dataclass(frozen=True, slots=True)
class Criteria:
    """What filters compare rows with."""

    config: FilterConfig
    find_secrets: Callable[[str], Sequence[object]]
    find_personal_data: Callable[[str], Sequence[object]]
    languages: Mapping[str, str]  # document id → ISO 639 code, where it is known
    row_tokens: Callable[[DatasetRow], int]
    test_texts: Sequence[str]
    not_found: str
    find: FindPassages


Refuse = Callable[[Sequence[DatasetRow], Criteria], Iterator[int]]  # the places of the rows that it refuses


def filter_rows(
    rows: Sequence[DatasetRow], criteria: Criteria, on_filter: Callable[[Drop, int], None] = lambda *_: None
) -> tuple[list[DatasetRow], list[tuple[DatasetRow, Drop]]]:
    """Return the rows that stay, in order, and the others with their reasons; `on_filter` gets (reason, rows left)."""
    kept, dropped = list(rows), list[tuple[DatasetRow, Drop]]()
    for reason, refuse in FILTERS.items():
        on_filter(reason, len(kept))
        refused = set(refuse(kept, criteria))
        dropped += [(row, reason) for place, row in enumerate(kept) if place in refused]
        kept = [row for place, row in enumerate(kept) if place not in refused]
    return kept, dropped


def exact_duplicates(rows: Sequence[DatasetRow], _: Criteria) -> Iterator[int]:
    """Yield rows that show and teach what an earlier one does."""
    seen: set[Hashable] = set()
    for place, row in enumerate(rows):
        key = (_shown(row), " ".join(row.question.lower().split()), row.completion)
        if key in seen:
            yield place
        seen.add(key)


def with_secrets(rows: Sequence[DatasetRow], criteria: Criteria) -> Iterator[int]:
    """Yield rows with a secret in any of their texts, prompts too."""
    return (place for place, row in enumerate(rows) if any(criteria.find_secrets(text) for text in texts_of(row)))


def with_personal_data(rows: Sequence[DatasetRow], criteria: Criteria) -> Iterator[int]:
    """Yield rows with personal data in any of their texts; none where the config lets it pass."""
    if criteria.config.personal_data:
        for place, row in enumerate(rows):
            if any(criteria.find_personal_data(text) for text in texts_of(row)):
                yield place


def in_other_languages(rows: Sequence[DatasetRow], criteria: Criteria) -> Iterator[int]:
    """Yield rows of documents, and long rows of no document, in a language that is not among the config's."""
    wanted = criteria.config.languages
    for place, row in enumerate(rows if wanted is not None else ()):
        language = criteria.languages.get(row.group)
        text = "\n".join(texts_of(row))
        if row.group not in criteria.languages and not row.sources and len(text) >= MIN_LANGUAGE_CHARACTERS:
            language = detect_language(text)
        if wanted is not None and language is not None and language not in wanted:
            yield place


def too_long(rows: Sequence[DatasetRow], criteria: Criteria) -> Iterator[int]:
    """Yield rows of more tokens than the config allows."""
    return (place for place, row in enumerate(rows) if criteria.row_tokens(row) > criteria.config.max_tokens)


def copies_of_tests(rows: Sequence[DatasetRow], criteria: Criteria) -> Iterator[int]:
    """Yield rows whose question shares most of its words with a question of a test split."""
    n_tests = len(criteria.test_texts)
    questions = [row.question or (row.turns[-1].content if row.turns else "") for row in rows]
    pairs = near_pairs([*criteria.test_texts, *questions], threshold=criteria.config.overlap)
    return (pair.second - n_tests for pair in pairs if pair.first < n_tests <= pair.second)


def contradictions(rows: Sequence[DatasetRow], _: Criteria) -> Iterator[int]:
    """Yield rows that answer an equal question over equal passages otherwise than another row, all of them."""
    answers: dict[Hashable, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, row in enumerate(rows):
        if row.task in (Task.CLOSED_BOOK, Task.READER):
            key = (_shown(row), normalise_answer(row.question))
            answers[key][normalise_answer(row.completion) or row.completion].append(place)
    return (place for told in answers.values() if len(told) > 1 for places in told.values() for place in places)


def near_duplicates(rows: Sequence[DatasetRow], criteria: Criteria) -> Iterator[int]:
    """Yield rows that share most words with an earlier one of equal answer; figures must be equal."""
    threshold = criteria.config.near_duplicates
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for place, row in enumerate(rows if threshold is not None else ()):
        asks = row.task is not Task.TEXT
        alike[row.task, _shown(row), normalise_answer(row.completion) if asks else ""].append(place)
    for places in alike.values():
        texts = [rows[place].question or rows[place].completion for place in places]
        gone: set[int] = set()
        for pair in near_pairs(texts, threshold=threshold or 1.0):
            if pair.first not in gone:
                gone.add(pair.second)
        yield from (places[n] for n in gone)


def not_found_again(rows: Sequence[DatasetRow], criteria: Criteria) -> Iterator[int]:
    """Yield rows whose question does not bring a chunk that touches the first of their sources into the best k."""
    k = criteria.config.round_trip
    for place, row in enumerate(rows if k is not None else ()):
        if row.task not in (Task.CLOSED_BOOK, Task.READER) or not row.sources or row.completion == criteria.not_found:
            continue
        source = row.sources[0]
        chunks = (hit.chunk for hit in criteria.find(row.question)[:k])
        if not any(
            c.document_id == source.document_id and c.start < source.end and source.start < c.end for c in chunks
        ):
            yield place


FILTERS: Mapping[Drop, Refuse] = MappingProxyType(  # in the order they are applied
    {
        Drop.EXACT_DUPLICATE: exact_duplicates,
        Drop.SECRET: with_secrets,
        Drop.PERSONAL_DATA: with_personal_data,
        Drop.LANGUAGE: in_other_languages,
        Drop.TOO_LONG: too_long,
        Drop.OVERLAP: copies_of_tests,
        Drop.CONTRADICTION: contradictions,
        Drop.NEAR_DUPLICATE: near_duplicates,
        Drop.ROUND_TRIP: not_found_again,
    }
)


def texts_of(row: DatasetRow) -> tuple[str, ...]:
    """Return every text of a row that a model would see."""
    return (row.question, *(p.text for p in row.passages), *(turn.content for turn in row.turns), row.completion)


def _shown(row: DatasetRow) -> Hashable:
    """Return what a row shows besides its question."""
    return row.task, tuple((p.document_id, p.start, p.end) for p in row.passages), row.turns
