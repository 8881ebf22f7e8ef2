"""Figures and wishes → criteria, each with the arm it leans to, and what they lean to together.

The criteria are the decision framework's: fine-tune for form, short prompts and the same questions again and again over
what stands still; retrieve where facts change, sources are needed, questions are diverse, examples are few. The
thresholds are rules of thumb, each with its reason: a run replaces them by figures.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.config import DecisionConfig
from workbench.expected import Arm, Criterion, Figures, Prior

ARMS: tuple[Arm, ...] = ("rag", "lora", "rag_reader")
FEW_EXAMPLES = (
    100  # below, an adapter learns little; from a thousand on it learns facts and form (Zhou 2305.11206: 1,000)
)
MANY_EXAMPLES = 1000
MANY_QUESTIONS = 10_000  # a month: from there on a shorter prompt repays a training
LARGE_CORPUS = 500_000  # characters, a few thousand facts; one adapter stores about 500 new ones (2502.14502)
SMALL_MODEL = 1e9  # parameters; smaller ones hardly read passages unaided (a 360M model: 0.0 EM with the oracle's)
OFTEN = 1.0  # updates a month
CLEAR = 1.5  # weight by which an arm has to lead


def weigh(figures: Figures, wishes: DecisionConfig, *, n_checks: int = 0) -> Prior:
    """Return the prior.

    Args:
        n_checks: checks of form that the config declares.
    """
    criteria = [*_wishes(wishes, figures), *_questions(figures, wishes, n_checks), *_corpus(figures)]
    excluded = {arm for one in criteria if one.weight == 0 for arm in one.arms}
    weights = {arm: sum(one.weight for one in criteria if arm in one.arms) for arm in ARMS if arm not in excluded}
    ranked = sorted(weights, key=lambda arm: -weights[arm])
    clear = bool(ranked) and (len(ranked) == 1 or weights[ranked[0]] - weights[ranked[1]] >= CLEAR)
    arm = ranked[0] if clear else None
    return Prior(
        arm=arm,
        sentence=_sentence(arm, ranked, weights),
        weights={str(name): weights[name] for name in ranked},
        excluded=tuple(sorted(excluded)),
        criteria=tuple(criteria),
        not_told=(
            "What the base model knows already, so whether it needs help at all, no count tells: it has to be asked.",
            "Whether retrieval finds the right passage, and whether an adapter learns, only a run shows.",
        ),
    )


def _sentence(arm: Arm | None, ranked: list[Arm], weights: dict[Arm, float]) -> str:
    told = ", ".join(f"{name} {weights[name]:g}" for name in ranked)
    if not ranked:
        return "A prior, not a measurement: your wishes exclude every arm with documents; only the base model is left."
    if arm is None:
        between = " and ".join(name for name in ranked if weights[ranked[0]] - weights[name] < CLEAR)
        return f"A prior, not a measurement: **undecided** between {between} (weights: {told})."
    return f"A prior, not a measurement: the criteria lean to **{arm}** (weights: {told})."


def _wishes(wishes: DecisionConfig, figures: Figures) -> Iterator[Criterion]:
    if wishes.sources_needed:
        yield Criterion(name="sources", figure="needed", arms=("lora",), weight=0, reason="weights show no passages")
    if not wishes.weights_may_hold_corpus:
        reason = "the documents may not be trained into weights"
        yield Criterion(name="sensitivity", figure="high", arms=("lora", "rag_reader"), weight=0, reason=reason)
    rate = wishes.updates_per_month
    if rate >= OFTEN:
        reason = "an index follows in seconds, weights are trained again"
        yield Criterion(name="updates", figure=f"{rate:g} a month", arms=("rag", "rag_reader"), weight=2, reason=reason)
    elif "updates_per_month" in wishes.model_fields_set:  # a wish left at its default was not told
        reason = "what stands still may be trained in once"
        yield Criterion(name="updates", figure=f"{rate:g} a month", arms=("lora",), weight=0.5, reason=reason)
    if wishes.max_seconds is not None:
        reason = "passages make prompts long; weights answer from a short one"
        yield Criterion(
            name="latency", figure=f"at most {wishes.max_seconds:g} s", arms=("lora",), weight=1, reason=reason
        )
    repeated = figures.repeated_share
    if repeated is not None and repeated >= 0.5 and wishes.questions_per_month >= MANY_QUESTIONS:
        figure = f"{repeated:.0%} reworded, {wishes.questions_per_month:,.0f} a month"
        reason = "the same questions again and again repay a training"
        yield Criterion(name="repetition", figure=figure, arms=("lora",), weight=2, reason=reason)


def _questions(figures: Figures, wishes: DecisionConfig, n_checks: int) -> Iterator[Criterion]:
    style = figures.style_share or 0.0
    if style >= 0.3 or n_checks:
        figure = f"{style:.0%} of the questions, {n_checks} checks declared"
        reason = "form and tone are learnt from examples, not looked up"
        weight = 2.0 if style >= 0.3 else 1.0
        yield Criterion(name="form", figure=figure, arms=("lora", "rag_reader"), weight=weight, reason=reason)
    n = figures.train_questions
    if n < FEW_EXAMPLES:
        reason = "too few examples to train on"
        yield Criterion(name="examples", figure=f"{n:,}", arms=("rag",), weight=1.5, reason=reason)
    else:
        arms: tuple[Arm, ...] = ("lora", "rag_reader") if n >= MANY_EXAMPLES else ("rag_reader",)
        reason = "enough to learn how to read passages" + (", and facts" if n >= MANY_EXAMPLES else "")
        yield Criterion(name="examples", figure=f"{n:,}", arms=arms, weight=1, reason=reason)
    new = figures.new_share if wishes.seen_share is None else 1 - wishes.seen_share
    if new is not None and new >= 0.3:
        reason = "weights hold nothing of documents they have not seen"
        yield Criterion(
            name="diversity", figure=f"{new:.0%} on new documents", arms=("rag", "rag_reader"), weight=2, reason=reason
        )
    if figures.unanswerable_share:
        figure = f"{figures.unanswerable_share:.0%} unanswerable"
        reason = "that the documents do not say is seen in passages, and learnt"
        yield Criterion(name="refusals", figure=figure, arms=("rag_reader",), weight=0.5, reason=reason)


def _corpus(figures: Figures) -> Iterator[Criterion]:
    if figures.extractive_share is not None and figures.extractive_share >= 0.5:
        figure = f"{figures.extractive_share:.0%} stand in a document"
        reason = "such answers can be read off a passage"
        yield Criterion(name="answers", figure=figure, arms=("rag", "rag_reader"), weight=1, reason=reason)
    if figures.characters >= LARGE_CORPUS:
        reason = "more facts than one adapter stores"
        figure = f"{figures.characters:,} characters"
        yield Criterion(name="size", figure=figure, arms=("rag", "rag_reader"), weight=1, reason=reason)
    if figures.parameters is not None and figures.parameters < SMALL_MODEL:
        reason = "models below a billion hardly read passages unaided"
        figure = f"{figures.parameters / 1e6:,.0f} million parameters"
        yield Criterion(name="base model", figure=figure, arms=("rag_reader",), weight=2, reason=reason)
