"""Three gates on what the adapter says: it ends its answers, it still refuses what cannot be answered, and no more.

"Refuses" is `evaluation.abstained`: the answer holds `prompt.not_found`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.contracts import Generator
from workbench.evaluation import abstained
from workbench.gates.results import GateResult, Status, not_applicable
from workbench.types import Generation, Prompt, StopReason

STOPS, ABSTENTION, OVER_REFUSAL = "stops", "abstention", "over-refusal"
ENDED = (StopReason.END, StopReason.NEWLINE)


@dataclass(frozen=True, slots=True)
class HeldOutQuestion:
    """A question as the adapter will be asked it. `answerable`: what the prompt shows, or should be known, holds it."""

    prompt: Prompt
    answerable: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """A held-out question with the answers of the base model and of the adapter."""

    answerable: bool
    base: Generation
    adapted: Generation


def answer_held_out(
    generator: Generator,
    adapter: str,
    questions: Sequence[HeldOutQuestion],
    *,
    limit: int,
    max_new_tokens: int,
    batch_size: int = 8,
) -> list[Answered]:
    """Ask the first `limit` answerable and the first `limit` unanswerable questions, with the adapter and without."""
    chosen = [
        question for kind in (True, False) for question in [one for one in questions if one.answerable is kind][:limit]
    ]
    answered = []
    for at in range(0, len(chosen), batch_size):
        batch = chosen[at : at + batch_size]
        prompts = [question.prompt for question in batch]
        base = generator.generate(prompts, adapter=None, max_new_tokens=max_new_tokens)
        adapted = generator.generate(prompts, adapter=adapter, max_new_tokens=max_new_tokens)
        answered += [
            Answered(question.answerable, one, other) for question, one, other in zip(batch, base, adapted, strict=True)
        ]
    return answered


def check_stops(answers: Sequence[Answered], *, max_new_tokens: int) -> GateResult:
    """Whether the adapter ended each answer itself; a tenth may run into the limit, since some are long."""
    if not answers:
        return not_applicable(STOPS, "There are no held-out questions to answer.")
    ended = sum(answer.adapted.stop_reason in ENDED for answer in answers)
    share = ended / len(answers)
    status = Status.PASS if ended == len(answers) else Status.WARN if share >= 0.9 else Status.FAIL
    says = f"{ended} of {len(answers)} answers ended by themselves within {max_new_tokens} tokens."
    return GateResult(name=STOPS, status=status, value=share, bound=0.9, says=says)


def check_abstention(answers: Sequence[Answered], *, not_found: str, max_loss: float) -> GateResult:
    """Whether unanswerable questions are refused as often as by the base model, less `max_loss`."""
    asked = [answer for answer in answers if not answer.answerable]
    if not asked:
        return not_applicable(ABSTENTION, "No held-out question is unanswerable.")
    before, after = _refused(asked, not_found)
    lost = (before - after) / len(asked)
    status = Status.FAIL if lost > max_loss else Status.WARN if lost > 0 or after == 0 else Status.PASS
    says = f"Of {len(asked)} unanswerable questions the base model refuses {before}, the adapter {after}."
    details: dict[str, float | int | str | None] = {"asked": len(asked), "before": before, "after": after}
    return GateResult(name=ABSTENTION, status=status, value=lost, bound=max_loss, says=says, details=details)


def check_over_refusal(answers: Sequence[Answered], *, not_found: str, bound: float) -> GateResult:
    """Whether answerable questions are refused by at most `bound` more than by the base model, as a share."""
    asked = [answer for answer in answers if answer.answerable]
    if not asked:
        return not_applicable(OVER_REFUSAL, "No held-out question is answerable.")
    before, after = _refused(asked, not_found)
    gained = (after - before) / len(asked)
    status = Status.FAIL if gained > bound else Status.WARN if gained > bound / 2 else Status.PASS
    says = f"Of {len(asked)} answerable questions the base model refuses {before}, the adapter {after}."
    details: dict[str, float | int | str | None] = {"asked": len(asked), "before": before, "after": after}
    return GateResult(name=OVER_REFUSAL, status=status, value=gained, bound=bound, says=says, details=details)


def _refused(answers: Sequence[Answered], not_found: str) -> tuple[int, int]:
    before = sum(bool(abstained(answer.base.text, not_found)) for answer in answers)
    after = sum(bool(abstained(answer.adapted.text, not_found)) for answer in answers)
    return before, after
