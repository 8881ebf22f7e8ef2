"""All gates over one freshly trained adapter, on the model it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.config import GatesConfig
from workbench.contracts import ChatTokenizer
from workbench.errors import MergeError
from workbench.gates.behaviour import (
    HeldOutQuestion,
    answer_held_out,
    check_abstention,
    check_over_refusal,
    check_stops,
)
from workbench.gates.canaries import Canary, check_canaries, measure_exposure
from workbench.gates.forgetting import Probes, check_forgetting, load_probes
from workbench.gates.losses import check_end, check_start, measure_rows
from workbench.gates.results import GateReport, GateResult, Status, not_applicable, write_report
from workbench.generation import LocalGenerator
from workbench.models import HfChatTokenizer
from workbench.models.merging import compare_merged, is_quantised, refuse_unmergeable
from workbench.types import TrainingExample

MERGE = "merge"
N_PROBES, PROBE_TOKENS = 8, 64  # whose logits are compared: at a vocabulary of 150k that holds 150 MB in bfloat16
PREFIX_CACHE_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class GateSubject:
    """An adapter and what it is judged on. Rows and questions are held out: none of their documents was trained on."""

    name: str
    folder: Path
    held_out: tuple[TrainingExample, ...]
    groups: tuple[str, ...]  # the document of each held-out row
    questions: tuple[HeldOutQuestion, ...]
    start_loss: float | None  # nats a token, as the loop recorded it before its first step; None: it did not
    kept_last: bool = False  # training.keep: last
    canaries: tuple[Canary, ...] = ()  # as planted into its training rows


def run_gates(
    subject: GateSubject,
    model: Any,
    tokenizer: HfChatTokenizer,
    config: GatesConfig,
    *,
    base_fingerprint: str,
    not_found: str,
    max_new_tokens: int,
    stop_at_newline: bool,
    seed: int,
) -> GateReport:
    """Run every gate and write gates.json into the adapter's folder.

    Args:
        model: the bare base model; it comes back bare, its weights untouched.
    Raises:
        ConfigError: a probe file of the user's is malformed (told before anything runs).
        TrainingError: a gate failed and `gates.enforce` is on; the adapter and gates.json stay.
        AdapterMismatchError: the folder's adapter was trained for another base or template.
    """
    probes = load_probes(config)
    generator = LocalGenerator(
        model,
        tokenizer,
        base_fingerprint=base_fingerprint,
        prefix_cache_bytes=PREFIX_CACHE_BYTES,
        stop_at_newline=stop_at_newline,
    )
    try:
        generator.load_adapter(subject.name, subject.folder)
        results = (
            *_check_losses(subject, generator, tokenizer, config, seed),
            *check_forgetting(generator, tokenizer, subject.name, probes, bound=config.max_forgetting),
            *_check_answers(subject, generator, config, not_found, max_new_tokens),
            check_merge(generator, subject.name, probe_ids(tokenizer, probes)),
            _check_canaries(subject, generator, config),
        )
    finally:
        generator.release()
    report = GateReport(adapter=subject.name, results=results)
    write_report(subject.folder, report)
    if config.enforce:
        report.enforce(subject.folder)
    return report


def _check_losses(
    subject: GateSubject, generator: LocalGenerator, tokenizer: HfChatTokenizer, config: GatesConfig, seed: int
) -> tuple[GateResult, GateResult]:
    # The loop's mean is over all held-out rows, so the base's is too; only the end may be judged on fewer.
    model, pad_id = generator.model, tokenizer.end_of_turn_ids[-1]
    base = measure_rows(model, subject.held_out, adapter=None, pad_id=pad_id)
    few = slice(0, config.rows)
    return (
        check_start(subject.start_loss, base, dtype=model.dtype),
        check_end(
            base[few],
            measure_rows(model, subject.held_out[few], adapter=subject.name, pad_id=pad_id),
            subject.groups[few],
            kept_last=subject.kept_last,
            resamples=config.resamples,
            confidence=config.confidence,
            seed=seed,
        ),
    )


def _check_answers(
    subject: GateSubject, generator: LocalGenerator, config: GatesConfig, not_found: str, max_new_tokens: int
) -> tuple[GateResult, ...]:
    answers = answer_held_out(
        generator, subject.name, subject.questions, limit=config.questions, max_new_tokens=max_new_tokens
    )
    return (
        check_stops(answers, max_new_tokens=max_new_tokens),
        check_abstention(answers, not_found=not_found, max_loss=config.max_abstention_loss),
        check_over_refusal(answers, not_found=not_found, bound=config.max_over_refusal),
    )


def _check_canaries(subject: GateSubject, generator: LocalGenerator, config: GatesConfig) -> GateResult:
    base, adapted = (measure_exposure(generator, subject.canaries, adapter=adapter) for adapter in (None, subject.name))
    return check_canaries(base, adapted, max_exposure=config.max_exposure)


def check_merge(generator: LocalGenerator, name: str, probes: Sequence[Sequence[int]]) -> GateResult:
    """Whether the adapter could be merged into its base without changing what it says."""
    adapter = generator.adapters[name]
    try:
        refuse_unmergeable(adapter)
    except MergeError:
        return not_applicable(MERGE, f"Not mergeable: acts from the {adapter.acts_from} on.")
    if is_quantised(generator.model):
        return not_applicable(MERGE, "The base is quantised here; `workbench adapter merge` checks on full weights.")
    check = compare_merged(generator.model, name, probes)
    return GateResult(
        name=MERGE,
        status=Status.PASS if check.equal else Status.FAIL,
        value=check.difference,
        bound=check.max_difference,
        says=f"Merged against apart: {check}.",
        details={"agreement": check.agreement, "min_agreement": check.min_agreement, "dtype": check.dtype},
    )


def probe_ids(tokenizer: ChatTokenizer, probes: Probes) -> list[list[int]]:
    """Return the openings of the first general texts as token ids, for comparisons of logits."""
    return [tokenizer.encode(tokenizer.neutralise(text))[:PROBE_TOKENS] for text in probes.texts[:N_PROBES]]
