"""Scaling: the same questions and adapters while the corpus grows, by other documents or from parts of its own.

Each size is a run of its own below RUN/scaling, its index built from nothing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from workbench.bench import Bench
from workbench.config import ArmConfig
from workbench.corpus import read_folder
from workbench.errors import ConfigError
from workbench.evaluation.summary import counted_scores
from workbench.measured import ScalingReport, ScalingRow
from workbench.parts import Corpus, Material, QuestionSet
from workbench.reporting import SCALING
from workbench.runs import read_lines, write_atomically
from workbench.series.settings import adapters_of, competing, quick, rate
from workbench.types import CaseRecord, Document, Question, Split
from workbench.verdict.strata import was_shown


def measure_scaling(bench: Bench) -> ScalingReport:
    """Measure and write RUN/scaling.json; what was measured with the same inputs is not measured again.

    Raises:
        ConfigError: there are too few documents for the factors, or nothing to ask about the smallest size.
    """
    config, folder = bench.config, bench.run_folder.folder
    arms = competing(config)
    sizes, asked, origin = _sizes(bench)
    bench.train()
    learned = bench.parts.questions.of(Split.DEV)
    settings = quick(config, arms, adapters_of(config, arms, trained_in=folder))
    rows: list[ScalingRow] = []
    seconds: dict[str, float] = {}
    for factor, documents in sizes.items():
        material = Material(Corpus(documents, ()), QuestionSet((*_on(documents, learned), *asked), (), frozenset()))
        sized = Bench(settings, out=folder / f"scaling/{factor}x", material=material)
        sized.evaluate()
        seconds[str(factor)] = sized.index()["seconds_in_all"]
        rows += [_row(sized, name, arm, factor) for name, arm in arms.items()]
    report = ScalingReport(
        metric=config.evaluation.ranked_by,
        confidence=config.evaluation.confidence,
        distractors=origin,
        index_seconds=seconds,
        rows=tuple(rows),
    )
    write_atomically(folder / SCALING, report.model_dump_json(indent=1) + "\n")
    return report


def _sizes(bench: Bench) -> tuple[dict[int, tuple[Document, ...]], list[Question], str]:
    """Return factor → documents, the questions asked of each size, and where the other documents come from."""
    config, seed = bench.config.scaling, bench.config.seed
    factors = sorted(set(config.factors))
    own = bench.parts.corpus.documents
    rng = random.Random(f"{seed}:scaling")
    if config.distractors is not None:
        others, _ = read_folder(config.distractors, bench.config.corpus.include, limits=bench.config.corpus.limits)
        others = sorted(others, key=lambda _: rng.random())
        lacking = (factors[-1] - 1) * len(own)
        if len(others) < lacking:
            raise ConfigError(
                f"scaling.factors asks for {factors[-1]} times {len(own)} documents, so {lacking} others, but "
                f"{config.distractors} holds {len(others)}; name a larger folder or smaller factors"
            )
        sizes = {factor: (*own, *_renamed(others[: (factor - 1) * len(own)])) for factor in factors}
        return sizes, _draw(bench, own, rng), f"documents of {config.distractors.name}"
    behind = {span.document_id for question in bench.parts.questions.test for span in question.relevant}
    ordered = sorted(own, key=lambda document: (document.id not in behind, rng.random()))  # asked about: first
    n_smallest = len(own) * factors[0] // factors[-1]
    if n_smallest < 2:
        raise ConfigError(
            f"scaling.factors {factors[0]} to {factors[-1]} leave {n_smallest} of {len(own)} documents for the "
            "smallest size; set scaling.distractors to a folder of other documents, or name smaller factors"
        )
    sizes = {factor: tuple(ordered[: len(own) * factor // factors[-1]]) for factor in factors}
    return sizes, _draw(bench, sizes[factors[0]], rng), "parts of the corpus"


def _draw(bench: Bench, documents: Sequence[Document], rng: random.Random) -> list[Question]:
    able = [question for question in _on(documents, bench.parts.questions.test) if question.answerable]
    if len(able) < 5:
        raise ConfigError(
            f"{len(able)} answerable test questions are on the {len(documents)} documents of the smallest size, and 5 "
            "are needed; name smaller factors, or set scaling.distractors"
        )
    return rng.sample(able, min(len(able), bench.config.scaling.questions))


def _on(documents: Sequence[Document], questions: Sequence[Question]) -> list[Question]:
    """Return the questions whose documents are all there."""
    ids = {document.id for document in documents}
    return [q for q in questions if q.relevant and all(span.document_id in ids for span in q.relevant)]


def _renamed(documents: Sequence[Document]) -> list[Document]:
    """Return other documents under ids that no document of the corpus has."""
    return [replace(document, id=f"distractors/{document.id}") for document in documents]


def _row(bench: Bench, name: str, arm: ArmConfig, factor: int) -> ScalingRow:
    config, questions = bench.config.evaluation, bench.parts.questions.by_id
    records = [one for one in read_lines(bench.run_folder.path("records.jsonl"), CaseRecord) if one.arm == name]
    scores = [counted_scores(one, questions[one.question_id])[config.ranked_by] for one in records]
    seconds = np.array([one.costs.seconds for one in records if one.costs is not None])
    found = [was_shown(one, questions[one.question_id]) for one in records]
    update = bench.index()["update"]
    return ScalingRow(
        arm=name,
        factor=factor,
        documents=len(bench.parts.corpus.documents),
        chunks=update["n_chunks"],
        score=rate([score for score in scores if score is not None], config.confidence),
        found=float(np.mean(found)) if arm.strategy == "rag" else None,
        seconds_p50=float(np.percentile(seconds, 50)),
        seconds_p95=float(np.percentile(seconds, 95)),
    )
