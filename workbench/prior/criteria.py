"""The criteria: figures and wishes → what speaks for which arms, or excludes them, each with its reason.

They are the decision framework's: fine-tune for form, short prompts and the same questions again and again over what
stands still; retrieve where documents hold the answers, facts change, sources are needed, questions are diverse,
examples are few; neither where documents and examples are about something else; choose per question where questions are
of two sorts. The thresholds are rules of thumb, each with its reason: a run replaces them by figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workbench.config import DecisionConfig
from workbench.expected import Arm, Criterion, Figures

FEW_EXAMPLES = 100  # below, an adapter learns few facts and hardly to read
FEW_DEMONSTRATIONS = 50  # below, hardly a task's form (https://developers.openai.com/docs/guides/distillation: 50-100)
MANY_EXAMPLES = 1000  # from there on it learns facts and form (Zhou et al., https://arxiv.org/abs/2305.11206: 1,000)
MANY_QUESTIONS = 10_000  # a month: from there on a shorter prompt repays a training
LARGE_CORPUS = (
    500_000  # characters, a few thousand facts; an adapter stores about 500 (https://arxiv.org/abs/2502.14502)
)
SMALL_MODEL = 1e9  # parameters; smaller ones hardly read passages unaided (a 360M model: 0.0 EM with the oracle's)
OFTEN = 1.0  # updates a month
HARDLY, MOSTLY = 0.3, 0.7  # shares of the questions whose answers rest on a document


def find_criteria(
    figures: Figures, wishes: DecisionConfig, *, n_checks: int, training_hours: Mapping[Arm, float]
) -> tuple[Criterion, ...]:
    """Return the criteria that figures and wishes touch, wishes first."""
    told = [*_limits(wishes, training_hours), *_wishes(wishes, figures), *_task(figures, n_checks)]
    if is_grounded(figures):
        told += [*_reading(figures), *_diversity(figures, wishes)]
    return tuple(told)


def is_grounded(figures: Figures) -> bool:
    """Whether documents hold what is asked, at least for a part; without an answer to look for, they are taken to."""
    return figures.grounded_share is None or figures.grounded_share >= HARDLY


def _limits(wishes: DecisionConfig, training_hours: Mapping[Arm, float]) -> Iterator[Criterion]:
    if wishes.sources_needed:
        reason = "weights show no passages"
        yield Criterion(name="sources", figure="needed", arms=("base", "lora", "routed"), weight=0, reason=reason)
    if not wishes.weights_may_hold_corpus:
        reason = "the documents may not be trained into weights"
        trained: tuple[Arm, ...] = ("lora", "rag_reader", "routed")
        yield Criterion(name="sensitivity", figure="high", arms=trained, weight=0, reason=reason)
    limit = wishes.max_build_hours
    for arm, hours in training_hours.items():
        if limit is not None and hours > limit:
            figure = f"at least {hours:.2g} h of training, {limit:g} allowed"
            reason = "the training's arithmetic alone takes longer"
            yield Criterion(name="time to build", figure=figure, arms=(arm,), weight=0, reason=reason)


def _wishes(wishes: DecisionConfig, figures: Figures) -> Iterator[Criterion]:
    rate = wishes.updates_per_month
    if rate >= OFTEN:
        reason = "an index follows in seconds, weights are trained again"
        yield Criterion(name="updates", figure=f"{rate:g} a month", arms=("rag", "rag_reader"), weight=2, reason=reason)
    elif "updates_per_month" in wishes.model_fields_set:  # a wish left at its default was not told
        reason = "what stands still may be trained in once"
        yield Criterion(name="updates", figure=f"{rate:g} a month", arms=("lora",), weight=0.5, reason=reason)
    if wishes.max_seconds is not None:
        figure = f"at most {wishes.max_seconds:g} s"
        reason = "passages make prompts long; weights answer from a short one"
        yield Criterion(name="latency", figure=figure, arms=("base", "lora"), weight=1, reason=reason)
    repeated = figures.repeated_share
    if repeated is not None and repeated >= 0.5 and wishes.questions_per_month >= MANY_QUESTIONS:
        figure = f"{repeated:.0%} asked in training too, {wishes.questions_per_month:,.0f} a month"
        reason = "the same questions again and again repay a training"
        yield Criterion(name="repetition", figure=figure, arms=("lora",), weight=2, reason=reason)


def _task(figures: Figures, n_checks: int) -> Iterator[Criterion]:
    """What is to be learnt from examples: form, or all there is to it where documents do not hold the answers."""
    grounded, n = is_grounded(figures), figures.train_questions
    adapters: tuple[Arm, ...] = ("lora", "rag_reader") if grounded else ("lora",)
    shown = (figures.taught_share or 0.0) >= 0.5
    style = figures.style_share or 0.0
    if (style >= HARDLY or n_checks) and (grounded or shown):
        figure = f"{style:.0%} of the questions, {n_checks} checks declared"
        weight = 2.0 if style >= HARDLY else 1.0
        reason = "form and tone are learnt from examples, not looked up"
        yield Criterion(name="form", figure=figure, arms=adapters, weight=weight, reason=reason)
    if not grounded:
        figure = f"{figures.grounded_share:.0%} rest on a document"
        if shown:
            figure += f", {figures.taught_share:.0%} are like training questions"
            reason = "passages cannot give what documents do not hold; examples show it"
            yield Criterion(name="ground", figure=figure, arms=("lora",), weight=2, reason=reason)
        else:
            reason = "documents and examples are about something else, which adds nothing and may harm"
            yield Criterion(name="ground", figure=figure, arms=("base",), weight=2, reason=reason)
    if n < (FEW_EXAMPLES if grounded else FEW_DEMONSTRATIONS):
        yield Criterion(
            name="examples",
            figure=f"{n:,}",
            arms=("base", "rag") if grounded else ("base",),
            weight=1.5,
            reason="too few examples to train on",
        )
    elif grounded:
        arms: tuple[Arm, ...] = ("lora", "rag_reader") if n >= MANY_EXAMPLES else ("rag_reader",)
        reason = "enough to learn how to read passages" + (", and facts" if n >= MANY_EXAMPLES else "")
        yield Criterion(name="examples", figure=f"{n:,}", arms=arms, weight=1, reason=reason)
    held = figures.grounded_share
    if held is not None and HARDLY <= held < MOSTLY and shown:
        figure = f"{held:.0%} of the questions rest on a document"
        reason = "a router can send each sort to its arm: beyond the best arm's weight"
        yield Criterion(name="two sorts", figure=figure, arms=("routed",), weight=2, reason=reason)


def _reading(figures: Figures) -> Iterator[Criterion]:
    if figures.extractive_share is not None and figures.extractive_share >= 0.5:
        figure = f"{figures.extractive_share:.0%} stand in a document"
        reason = "such answers can be read off a passage"
        yield Criterion(name="answers", figure=figure, arms=("rag", "rag_reader"), weight=1, reason=reason)
    if figures.unanswerable_share:
        figure = f"{figures.unanswerable_share:.0%} unanswerable"
        reason = "that the documents do not say is seen in passages, and learnt"
        yield Criterion(name="refusals", figure=figure, arms=("rag_reader",), weight=0.5, reason=reason)
    if figures.parameters is not None and figures.parameters < SMALL_MODEL:
        figure = f"{figures.parameters / 1e6:,.0f} million parameters"
        reason = "models below a billion hardly read passages unaided"
        yield Criterion(name="base model", figure=figure, arms=("rag_reader",), weight=2, reason=reason)


def _diversity(figures: Figures, wishes: DecisionConfig) -> Iterator[Criterion]:
    arms: tuple[Arm, ...] = ("rag", "rag_reader")
    new = figures.new_share if wishes.seen_share is None else 1 - wishes.seen_share
    if new is not None and new >= HARDLY:
        figure, reason = f"{new:.0%} on new documents", "weights hold nothing of documents they have not seen"
        yield Criterion(name="diversity", figure=figure, arms=arms, weight=2, reason=reason)
    if figures.characters >= LARGE_CORPUS:
        figure, reason = f"{figures.characters:,} characters", "more facts than one adapter stores"
        yield Criterion(name="size", figure=figure, arms=arms, weight=1, reason=reason)
