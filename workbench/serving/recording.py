"""What is written down of a chat when it has ended, well or not: counts, and a line for `workbench monitor`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from workbench.answering import ChatQuestion, Plan
from workbench.errors import GivenUpError
from workbench.monitoring.records import QueryRecord, pack_embedding
from workbench.serving.service import Service
from workbench.serving.wire import Timing
from workbench.types import Generation, Span, StopReason

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a chat before its answer."""

    service: Service
    response_id: str
    key: str | None
    asked: ChatQuestion
    plan: Plan
    timing: Callable[[], Timing]
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


def record_chat(told: Told, generation: Generation | None, fault: Exception | None) -> None:
    """Record one chat; no answer and no fault: whoever asked went away. Returns at once, also while being cancelled."""
    service, timing, model = told.service, told.timing(), told.asked.model
    if timing.first_token_seconds is not None:
        service.metrics.first_token.labels(model).observe(timing.first_token_seconds)
    if told.plan.collection is not None:
        service.metrics.retrieval.labels(model).observe(timing.retrieval_seconds)
    if generation is not None and generation.stop_reason is StopReason.REFUSED:
        service.metrics.refused.labels(model).inc()
    if service.config.query_log == "off":
        return
    service.searching.submit(_append, told, generation, fault, timing)


def _append(told: Told, generation: Generation | None, fault: Exception | None, timing: Timing) -> None:
    """Write the line. A log that cannot be written is told in the server's own, and costs no answer."""
    try:
        told.service.queries.append(_record(told, generation, fault, timing))
    except Exception:
        log.exception("a question was not logged")


def _record(told: Told, generation: Generation | None, fault: Exception | None, timing: Timing) -> QueryRecord:
    if generation is None and fault is None:
        fault = GivenUpError("the client went away")
    plan, parts, words = told.plan, told.service.bench.parts, told.asked.messages[-1].content
    hits = plan.prompt.hits
    searched = plan.collection is not None
    return QueryRecord(
        response_id=told.response_id,
        time=told.time,
        key=told.key,
        model=told.asked.model,
        arm=plan.route.arm if plan.route is not None else plan.arm,
        collection=plan.collection,
        collection_state=told.service.state_of(plan.collection),
        depth=told.asked.depth,
        best_score=plan.prompt.found[0].score if searched and plan.prompt.found else None,
        n_passages=len(hits),
        refused=plan.prompt.refused,
        stop_reason=None if generation is None else generation.stop_reason,
        prompt_tokens=plan.prompt.token_count,
        new_tokens=0 if generation is None else generation.new_tokens,
        retrieval_seconds=timing.retrieval_seconds if searched else None,
        first_token_seconds=timing.first_token_seconds,
        seconds=timing.seconds,
        error=None if fault is None else type(fault).__name__,
        embedder=parts.embedder.identity.fingerprint,
        embedding=pack_embedding(parts.embed_question(words)),
        question=words,
        answer=None if generation is None else generation.text,
        passages=tuple(
            Span(document_id=hit.chunk.document_id, start=hit.chunk.start, end=hit.chunk.end) for hit in hits
        ),
    )
