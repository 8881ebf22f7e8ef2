"""Learning curve: each arm with an adapter, trained on parts of its examples; how many would be enough?

The whole of the examples is the experiment's own run, made if it is not there; each part is a run of its own below
RUN/learning_curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from workbench.bench import Bench
from workbench.config import AdapterConfig, ArmConfig
from workbench.errors import ConfigError
from workbench.evaluation.summary import counted_scores
from workbench.measured import LearningCurve, LearningPoint, LearningReport
from workbench.reporting import LEARNING_CURVE
from workbench.runs import read_lines, write_atomically
from workbench.series.settings import quick, rate
from workbench.types import CaseRecord
from workbench.verdict.learning import FURTHEST, Line, fit_line

Scores = Mapping[str, Mapping[str, float]]  # arm → question id → score

Measured = tuple[Mapping[str, int], Scores]  # adapter → examples, and what came of them


def measure_learning_curve(bench: Bench) -> LearningReport:
    """Measure and write RUN/learning_curve.json; what was measured with the same inputs is not measured again.

    Raises:
        ConfigError: no arm is trained here, or a part of the examples is empty.
    """
    config, folder = bench.config, bench.run_folder.folder
    arms = {
        name: arm
        for name, arm in config.arms.items()
        if arm.adapter is not None and not arm.control and config.training.adapters[arm.adapter].examples != "trained"
    }
    if not arms:
        raise ConfigError("a learning curve needs an arm whose adapter is trained here; the config has none")
    bench.evaluate()
    sizes = {arm.adapter: _examples(bench, arm.adapter) for arm in arms.values() if arm.adapter is not None}
    measured: list[Measured] = [(sizes, _scores(bench))]
    for share in sorted(config.learning_curve.shares, reverse=True):
        adapters = {name: _part(config.training.adapters[name], round(n * share)) for name, n in sizes.items()}
        part = Bench(quick(config, arms, adapters), out=folder / f"learning_curve/{share:g}", lenders=[folder])
        part.evaluate()
        measured.append(({name: _examples(part, name) for name in sizes}, _scores(part)))
    curves = [_curve(bench, name, arm, measured) for name, arm in arms.items()]
    report = LearningReport(
        metric=config.evaluation.ranked_by, confidence=config.evaluation.confidence, curves=tuple(curves)
    )
    write_atomically(folder / LEARNING_CURVE, report.model_dump_json(indent=1) + "\n")
    return report


def _part(adapter: AdapterConfig, n: int) -> AdapterConfig:
    if n < 1:
        raise ConfigError("the smallest of learning_curve.shares leaves no example; name larger shares")
    return adapter.model_copy(update={"recipe": adapter.recipe | {"max_examples": n}})


def _examples(bench: Bench, adapter: str) -> int:
    """Return the rows an adapter learnt from; planted canaries are none."""
    return sum(bench.train()[adapter]["rows_made_by"].values())


def _scores(bench: Bench) -> Scores:
    """Return every arm's scores, averaged over training seeds."""
    questions, metric = bench.parts.questions.by_id, bench.config.evaluation.ranked_by
    found: dict[str, dict[str, list[float]]] = {}
    for record in read_lines(bench.run_folder.path("records.jsonl"), CaseRecord):
        value = counted_scores(record, questions[record.question_id]).get(metric)
        if value is not None:
            found.setdefault(record.arm, {}).setdefault(record.question_id, []).append(value)
    return {arm: {id_: float(np.mean(seeds)) for id_, seeds in by_id.items()} for arm, by_id in found.items()}


def _curve(bench: Bench, name: str, arm: ArmConfig, measured: Sequence[Measured]) -> LearningCurve:
    config, whole = bench.config.evaluation, measured[0][1]
    adapter = str(arm.adapter)
    ids = [id_ for id_ in whole[name] if all(id_ in scores[name] for _, scores in measured)]
    by_size = {sizes[adapter]: [scores[name][id_] for id_ in ids] for sizes, scores in measured}
    plain = [one for one, settings in bench.config.arms.items() if settings.adapter is None and not settings.control]
    able = [one for one in plain if one in whole and all(id_ in whole[one] for id_ in ids)]
    target = max(able, key=lambda one: np.mean([whole[one][id_] for id_ in ids]), default=None)
    aimed_at = [whole[target][id_] for id_ in ids] if target is not None else None
    line = fit_line(by_size, aimed_at, confidence=config.confidence, resamples=config.resamples, seed=bench.config.seed)
    return LearningCurve(
        arm=name,
        adapter=adapter,
        points=tuple(
            LearningPoint(examples=size, score=rate(scores, config.confidence))
            for size, scores in sorted(by_size.items())
        ),
        per_doubling=line.per_doubling,
        target=target,
        target_score=None if aimed_at is None else float(np.mean(aimed_at)),
        needed=line.needed,
        sentence=_say(name, line, max(by_size), target, aimed_at),
    )


def _say(name: str, line: Line, n: int, target: str | None, aimed_at: list[float] | None) -> str:
    slope = line.per_doubling
    if slope.low is None or slope.high is None:
        return f"{name}: all questions score alike at every number of examples; what more would bring cannot be told."
    told = f"{name}: {100 * slope.value:+.1f} points [{100 * slope.low:+.1f}, {100 * slope.high:+.1f}] a doubling"
    if not line.grows:
        return f"{told}; more examples are not shown to help."
    if target is None or aimed_at is None:
        return f"{told}."
    goal = f"as good as {target} ({100 * float(np.mean(aimed_at)):.1f})"
    if line.needed is None:
        return f"{told}; within {FURTHEST:g} times its {n:,} examples it does not become {goal}."
    low, high = line.needed.low, line.needed.high
    ends = f"{low:,.0f} to {high:,.0f}" if high is not None else f"{low:,.0f} to more than {FURTHEST * n:,.0f}"
    return f"{told}; {goal} from about {line.needed.value:,.0f} examples on [{ends}]."
