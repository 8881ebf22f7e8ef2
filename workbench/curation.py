"""A training dataset from the parts of an experiment: documents that may be trained on, its retriever, its tokenizer.

Beside `bench.py` on the same floor; what rows are and how they are made is dataset/.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from workbench.audit import find_personal_data, find_secrets
from workbench.config import DatasetConfig, GeneratorName, PromptConfig
from workbench.contracts import Finder, Generator
from workbench.dataset import (
    Criteria,
    Manifest,
    Material,
    Passages,
    Workshop,
    build_rows,
    coverage,
    read_dataset,
    read_material,
    read_vocabulary,
    write_dataset,
)
from workbench.dataset.exports import export_rows
from workbench.dataset.feedback import FEEDBACK as FROM_FEEDBACK
from workbench.dataset.feedback import rows_from_feedback
from workbench.dataset.formats import Format
from workbench.dataset.imports import read_rows
from workbench.dataset.rendering import messages_of
from workbench.dataset.store import MANIFEST, GeneratorCount
from workbench.dataset.writer import Written, write_rows
from workbench.errors import DatasetError
from workbench.generation import LocalGenerator
from workbench.monitoring.logs import FEEDBACK, QUERIES, log_files, read_feedback, read_queries
from workbench.parts import Parts
from workbench.rows import DatasetRow, Task
from workbench.runs import fingerprint, fingerprint_file, write_atomically
from workbench.types import Document, Question, Ranking, Span, Split

DEV_SHARE = 0.1  # of corrected questions, held out
SPARE_HITS = 8  # looked up beyond the passages of a row, since forbidden documents are left out
Progress = Callable[[str, int], None]  # what is done now, rows so far


def build_dataset(
    parts: Parts,
    finder: Finder,
    folder: Path,
    *,
    writer: Generator | None = None,
    on_progress: Progress = lambda *_: None,
) -> Manifest:
    """Make the dataset of an experiment in `folder` and return its manifest; usable as the work of a run's stage.

    The collection behind `finder` must be indexed. Documents behind the `new` test split give no rows and are shown
    in none.

    Args:
        writer: the model that writes where dataset.writer is set; None: models.generator.
    Raises:
        DatasetError: the file of replay rows is malformed.
    """
    config = parts.config
    documents = trainable_documents(parts)
    on_progress("read", 0)
    material = read_material(
        documents,
        facts_per_document=config.dataset.facts_per_document,
        vocabulary=read_vocabulary(documents),
    )
    find = _cached_search(parts, finder)
    shop = Workshop(
        material=material,
        config=config.dataset,
        seed=config.seed,
        not_found=config.prompt.not_found,
        passages=_passages(parts, find),
        count_tokens=lambda text: len(parts.tokenizer.encode(text)),
        replay=_replay(config.dataset),
    )
    written = _write(parts, shop, documents, writer, on_progress)
    built = build_rows(shop, _criteria(parts, documents, find), more=written.rows, on_progress=on_progress)
    on_progress("write", len(built.rows))
    covered, answers = measure_coverage(parts, material)
    manifest = Manifest(
        seed=config.seed,
        config=config.dataset.model_dump(mode="json", exclude={"replay_path"}),
        prompt=config.prompt.model_dump(mode="json"),
        fingerprints=_fingerprints(parts, documents),
        documents=len(documents),
        facts=dict(sorted(Counter(fact.kind.name.lower() for fact in material.facts).items())),
        coverage={"answers": answers, "covered": covered},
        rejects=dict(sorted(written.rejects.items())),
        generators=built.generators,
        n_rows=len(built.rows),
        n_dev=sum(row.split is Split.DEV for row in built.rows),
    )
    return write_dataset(folder, built.rows, manifest)


def convert_rows(source: Path, target: Path, to: str, *, without_text: bool = False) -> tuple[int, int]:
    """Write the rows of a dataset or of a file to `target` in format `to`; return (rows written, rows left out).

    Raises:
        DatasetError: `to` is no format, `source` is malformed, or a row has no place in the format.
    """
    if to not in list(Format):
        raise DatasetError(f"--to {to}: no such format; known are {', '.join(Format)}")
    rows: Sequence[DatasetRow]
    if (source / MANIFEST).exists():
        rows = read_dataset(source)
        prompt = PromptConfig.model_validate(rows.manifest.prompt)
    else:
        rows, prompt = read_rows(source), PromptConfig()
    kept = [row for row in rows if not (without_text and row.task is Task.TEXT)]
    write_atomically(target, export_rows(kept, Format(to), prompt))
    return len(kept), len(rows) - len(kept)


def build_from_feedback(log: Path, folder: Path, *, dev: float = DEV_SHARE, seed: int = 0) -> Manifest:
    """Make a dataset in `folder` of the corrections that a server logged in `log`; return its manifest.

    Raises:
        DatasetError: there is no correction, or none whose question was logged with its words.
    """
    queries, feedback = read_queries(log), read_feedback(log)
    found = rows_from_feedback(queries.records, feedback.records, dev=dev, seed=seed)
    if not found.rows:
        why = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in found.dropped.items()) or "nobody gave one"
        raise DatasetError(
            f"{log}: {len(feedback.records)} answers were rated, but no correction makes a row: {why}; words are "
            "logged with serving.query_log: content"
        )
    files = [path for name in (QUERIES, FEEDBACK) for path in log_files(log, name)]
    manifest = Manifest(
        seed=seed,
        config={"dev": dev},
        prompt=PromptConfig().model_dump(mode="json"),
        fingerprints={path.name: fingerprint_file(path) for path in files},
        documents=len({span.document_id for row in found.rows for span in row.sources}),
        facts={},
        coverage={"answers": 0, "covered": 0},
        rejects={},
        generators={
            FROM_FEEDBACK: GeneratorCount(made=found.n_corrections, kept=len(found.rows), dropped=dict(found.dropped))
        },
        n_rows=len(found.rows),
        n_dev=sum(row.split is Split.DEV for row in found.rows),
    )
    return write_dataset(folder, found.rows, manifest)


def trainable_documents(parts: Parts) -> tuple[Document, ...]:
    """Return the documents that rows may come from: all but those behind the `new` test split."""
    return tuple(document for document in parts.corpus.documents if document.id not in parts.questions.forbidden)


def measure_coverage(parts: Parts, material: Material) -> tuple[int, int]:
    """Return how many answers of training questions some fact holds, and how many there are."""
    ours = {one.document.id for one in material.outlines}
    spans = [span for q in parts.questions.of(Split.TRAIN) for span in q.relevant if span.document_id in ours]
    return coverage(material.facts, spans), len(spans)


def _cached_search(parts: Parts, finder: Finder) -> Callable[[str], Ranking]:
    """Return a search that asks each question once, deep enough for reader rows and the round trip."""
    passages = parts.config.dataset.passages or parts.config.retrieval.passages
    k = max(parts.config.dataset.filters.round_trip or 0, passages + SPARE_HITS)
    return cache(lambda question: finder.search(question, k=k))


def _passages(parts: Parts, find: Callable[[str], Ranking]) -> Passages:
    def find_gold(spans: Sequence[Span]) -> Ranking:
        return parts.gold.find(Question(id="row", text="row", relevant=tuple(spans)))

    n = parts.config.dataset.passages or parts.config.retrieval.passages
    return Passages(find=find, gold=find_gold, n=n, forbidden=parts.questions.forbidden)


def _criteria(parts: Parts, documents: Sequence[Document], find: Callable[[str], Ranking]) -> Criteria:
    languages = {one.id: str(one.metadata["language"]) for one in documents if "language" in one.metadata}
    return Criteria(
        config=parts.config.dataset.filters,
        find_secrets=find_secrets,
        find_personal_data=find_personal_data,
        languages=languages,
        row_tokens=_row_measure(parts),
        test_texts=parts.questions.test_texts,
        not_found=parts.config.prompt.not_found,
        find=find,
    )


def _row_measure(parts: Parts) -> Callable[[DatasetRow], int]:
    """Return a measure of a row's length: prompt, answer and the end of the turn, in the generator's tokens."""
    tokenizer = parts.tokenizer

    def measure(row: DatasetRow) -> int:
        messages = messages_of(row, parts.config.prompt)
        shown = tokenizer.render(messages) if messages else ""
        return len(tokenizer.encode(shown)) + len(tokenizer.encode(row.completion)) + len(tokenizer.end_of_turn_ids)

    return measure


def _replay(config: DatasetConfig) -> tuple[DatasetRow, ...]:
    wanted = GeneratorName.REPLAY in config.generators and config.replay_path is not None
    return tuple(read_rows(config.replay_path)) if wanted and config.replay_path else ()


def _write(
    parts: Parts, shop: Workshop, documents: Sequence[Document], writer: Generator | None, on_progress: Progress
) -> Written:
    """Return what the writer's model wrote on chunks of `documents`; nothing where dataset.writer is not set."""
    config = parts.config.dataset.writer
    if config is None:
        return Written()
    on_progress("write with a model", 0)
    ours = {document.id for document in documents}
    chunks = [chunk for chunk in parts.collection.all_chunks() if chunk.document_id in ours]
    # Not parts.generator: that one may stop at a newline, and JSON may hold one.
    writer = writer or LocalGenerator(
        parts.model, parts.tokenizer, base_fingerprint=parts.generator_files.fingerprint, prefix_cache_bytes=0
    )
    return write_rows(shop, chunks, writer, parts.builder, config, batch_size=parts.config.generation.batch_size)


def _fingerprints(parts: Parts, documents: Sequence[Document]) -> dict[str, str]:
    replay = parts.config.dataset.replay_path
    return ({"replay": fingerprint_file(replay)} if replay else {}) | {
        "corpus": parts.corpus.fingerprint,
        "documents": fingerprint([(document.id, document.fingerprint) for document in documents]),
        "collection": parts.collection.fingerprint,
        "questions": parts.questions.fingerprint,
        "generator": parts.generator_files.fingerprint,
        "template": parts.tokenizer.template_hash,
        "embedder": parts.embedder_files.fingerprint,
    }
