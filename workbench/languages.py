"""Questions grouped by the language they are asked in, and by that of the documents that answer them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from workbench.corpus.describing import detect_language
from workbench.types import Question

FEWEST = 5  # questions of a language: below, it is as likely a slip of the identifier


def group_by_language(questions: Iterable[Question], shown: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Return "language:CODE" and "document_language:CODE" → ids of questions; ISO 639 codes, none where all share one.

    Args:
        shown: (document id, text of a passage); of a document without any, the language stays unknown.
    """
    asked = list(questions)
    texts: dict[str, list[str]] = defaultdict(list)
    for document_id, text in shown:
        texts[document_id].append(text)
    written = {document: detect_language("\n".join(parts)) for document, parts in texts.items()}
    by_question = {question.id: detect_language(question.text) for question in asked}
    by_document = {
        question.id: written.get(question.relevant[0].document_id) for question in asked if question.relevant
    }
    return _groups("language", by_question) | _groups("document_language", by_document)


def _groups(name: str, spoken: Mapping[str, str | None]) -> dict[str, frozenset[str]]:
    ids: dict[str, set[str]] = defaultdict(set)
    for id_, language in spoken.items():
        if language is not None:
            ids[language].add(id_)
    kept = {language: frozenset(found) for language, found in sorted(ids.items()) if len(found) >= FEWEST}
    return {f"{name}:{language}": found for language, found in kept.items()} if len(kept) > 1 else {}
