"""The routed arm of a run: measured among the other arms' records, and its router kept for questions to come.

Beside `bench.py` on the same floor. How routing is learnt and judged is verdict/; how a question is asked is asking.py.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from workbench.config import DenseConfig, ExperimentConfig, FusionConfig
from workbench.errors import ConfigError
from workbench.parts import Parts
from workbench.reporting import ROUTER
from workbench.runs import Run, write_atomically
from workbench.types import CaseRecord
from workbench.verdict import ArmRun, Study
from workbench.verdict.router_features import Vectors
from workbench.verdict.routing import FEWEST, route

ROUTER_MODEL = "router_model.json"  # beside router.json, which holds what routing brought


def measure_routed_arm(parts: Parts, run: Run, records: Sequence[CaseRecord], *, fitted_on: str) -> list[CaseRecord]:
    """Return the routed arm's records, chosen among those of the others; write what routing brought, and the router.

    No routed arm, no records: files of before are removed.

    Raises:
        ConfigError: too few questions, or arms, to learn from.
    """
    config, name = parts.config, parts.config.routed_arm
    for file in (ROUTER, ROUTER_MODEL):
        run.path(file).unlink(missing_ok=True)
    if name is None:
        return []
    arms = {
        other: ArmRun(other, arm, [record for record in records if record.arm == other], {})
        for other, arm in config.arms.items()
        if other != name
    }
    study = Study(parts.questions.by_id, arms, config.evaluation, config.decision, config.seed)
    routing = route(study, vectors=_embed(parts), fitted_on=fitted_on)
    if routing is None:
        raise ConfigError(
            f"arm {name!r} is routed, which takes at least {FEWEST} questions that two ranked arms answered, one "
            f"of them with passages; {len(parts.questions.test)} were asked; remove the arm or ask more"
        )
    write_atomically(run.path(ROUTER), routing.report.model_dump_json(indent=1) + "\n")
    write_atomically(run.path(ROUTER_MODEL), routing.router.model_dump_json() + "\n")
    return [record.model_copy(update={"arm": name}) for record in routing.records]


def _embed(parts: Parts) -> Vectors:
    """Embed each test question once, alone as when it is asked: in a batch the last bits may differ."""
    questions, started = parts.questions.test, time.perf_counter()
    rows = {question.id: parts.embed_question(question.text) for question in questions}
    seconds = (time.perf_counter() - started) / max(len(questions), 1)
    return Vectors(rows, seconds=0.0 if _search_embeds(parts.config) else seconds)


def _search_embeds(config: ExperimentConfig) -> bool:
    """Whether the search whose scores are looked at embeds the question anyway."""
    reader = next((name for name, arm in config.arms.items() if arm.strategy == "rag" and not arm.control), None)
    if reader is None:
        return False
    method = config.retrieval_of(reader).method
    parts = method.parts if isinstance(method, FusionConfig) else (method,)
    return any(isinstance(part, DenseConfig) for part in parts)
