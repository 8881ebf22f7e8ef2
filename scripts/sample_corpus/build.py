"""Write the corpus, read it back with the project's own reader, and write the questions with spans that hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sample_corpus.facts import FactId, SourceError, draw_facts, read_sources, render_lines
from sample_corpus.formats import WRITERS
from sample_corpus.questions import assign_splits, check_sides, find_near_copies, read_drafts
from sample_corpus.spans import locate
from workbench.corpus import read_document
from workbench.types import Question, Span

SOURCES = Path(__file__).parent / "sources"


def build_sample(folder: Path, seed: int, sources_folder: Path = SOURCES) -> list[Question]:
    """Write `folder/corpus/` and `folder/questions.jsonl`; return the questions.

    Raises SourceError when a fact is not read back where it was written, or a test question is near a training row.
    """
    sources = read_sources(sources_folder)
    facts = draw_facts(sources, seed)
    corpus = folder / "corpus"
    spans: dict[FactId, Span] = {}
    for source in sources:
        lines, anchors = render_lines(source, facts)
        file = corpus / source.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(WRITERS[file.suffix](source.title, lines))
        document = read_document(file, corpus)
        spans |= {(source.id, key): locate(anchor, document) for key, anchor in anchors.items()}
    drafts = read_drafts(sources, facts, spans)
    check_sides(drafts, {source.id: source for source in sources})
    questions = assign_splits(drafts, seed)
    copies = find_near_copies(questions)
    if copies:
        shown = "; ".join(f"{train.text!r} ~ {test.text!r}" for train, test in copies[:20])
        raise SourceError(f"{len(copies)} training rows are near copies of held-out questions, reword them: {shown}")
    rows = "".join(question.model_dump_json() + "\n" for question in questions)
    (folder / "questions.jsonl").write_text(rows, encoding="utf-8", newline="\n")
    return questions


def count_questions(questions: Sequence[Question]) -> str:
    """Return a Markdown table: kinds down, splits across."""
    splits = ("train", "dev", "seen", "new")
    counts = Counter((question.kind, str(question.split)) for question in questions)
    kinds = sorted({question.kind for question in questions})
    columns = [*splits, "all"]
    rows = {kind: [counts[kind, split] for split in splits] for kind in kinds}
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    head = [f"| kind | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    return "\n".join([*head, *(f"| {kind} | {' | '.join(map(str, [*row, sum(row)]))} |" for kind, row in rows.items())])
