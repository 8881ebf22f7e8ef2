"""Guards on the answers: an adapter that does nothing, one answer to everything, scores that length or order made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from statistics import fmean

from workbench.decision import Alarm
from workbench.evaluation import normalise_answer
from workbench.guards.evidence import Evidence
from workbench.guards.questions import FEW
from workbench.types import StopReason

MOST = 0.9  # share of answers that may be alike, or refusals
FAILED = 0.05
CUT_OFF = 0.5
CHANCE = 0.001


def adapter_inactive(evidence: Evidence) -> Iterator[Alarm]:
    """An arm with an adapter answers word for word what the same arm without it answers."""
    plain = {
        arm.settings.strategy: {record.question_id: record.answer for record in arm.records}
        for arm in reversed(evidence.study.ranked.values())
        if arm.settings.adapter is None
    }
    for name, arm in evidence.study.ranked.items():
        base = plain.get(arm.settings.strategy)
        if arm.settings.adapter is None or base is None:
            continue
        pairs = [(record.answer, base.get(record.question_id)) for record in arm.records]
        if len(pairs) >= FEW and all(ours == theirs for ours, theirs in pairs) and len({one for one, _ in pairs}) > 1:
            yield Alarm(
                guard="adapter_inactive",
                severity="warn",
                message=f"{name} answers all {len(pairs)} questions as without its adapter: was it active?",
                arms=(name,),
            )


def constant_answer(evidence: Evidence) -> Iterator[Alarm]:
    """An arm gives nearly all questions one answer, though the accepted answers differ."""
    for name, arm in evidence.study.ranked.items():
        records = [record for record in arm.records if evidence.study.questions[record.question_id].answerable]
        accepted = Counter(
            normalise_answer(evidence.study.questions[record.question_id].answers[0]) for record in records
        )
        said = Counter(normalise_answer(record.answer) for record in records)
        if len(records) < FEW or max(accepted.values()) > len(records) / 2:
            continue
        answer, count = said.most_common(1)[0]
        if count > MOST * len(records):
            yield Alarm(
                guard="constant_answer",
                severity="warn",
                message=f"{name} answers {count} of {len(records)} questions alike: {answer[:40] or 'nothing'!r}",
                arms=(name,),
            )


def truncated_answers(evidence: Evidence) -> Iterator[Alarm]:
    """A trained arm, which has learnt to end, is cut off in most answers."""
    for name, arm in evidence.study.ranked.items():
        if arm.settings.adapter is None or len(arm.records) < FEW:
            continue
        cut = sum(record.stop_reason is StopReason.LENGTH for record in arm.records)
        if cut > CUT_OFF * len(arm.records):
            yield Alarm(
                guard="truncated_answers",
                severity="warn",
                message=f"{name}: {cut} of {len(arm.records)} answers were cut at generation.max_new_tokens",
                arms=(name,),
            )


def failed_answers(evidence: Evidence) -> Iterator[Alarm]:
    """An arm failed on more than one question in twenty; each counts as a wrong answer."""
    for name, arm in evidence.study.ranked.items():
        failed = [record for record in arm.records if record.error is not None]
        if len(failed) > FAILED * len(arm.records):
            yield Alarm(
                guard="failed_answers",
                severity="warn",
                message=f"{name} failed on {len(failed)} of {len(arm.records)} questions: {failed[0].error}",
                arms=(name,),
            )


def refuses_all(evidence: Evidence) -> Iterator[Alarm]:
    """An arm says of nearly all answerable questions that the documents do not hold the answer."""
    for name in evidence.study.ranked:
        refused = [scores[0] for scores in evidence.study.scores(name, "over_refusal").values()]
        if len(refused) >= FEW and fmean(refused) > MOST:
            yield Alarm(
                guard="refuses_all",
                severity="warn",
                message=f"{name} refuses {sum(refused):.0f} of {len(refused)} questions that have an answer",
                arms=(name,),
            )


def inflated_by_length(evidence: Evidence) -> Iterator[Alarm]:
    """Arms are ranked by `contains`, and one that scores in it answers at such length that F1 hardly sees it."""
    if evidence.study.evaluation.ranked_by != "contains":
        return
    for name, arm in evidence.study.ranked.items():
        held, f1 = (
            [scores[0] for scores in evidence.study.scores(name, metric).values()] for metric in ("contains", "f1")
        )
        words = [len(record.answer.split()) for record in arm.records]
        accepted = [
            len(question.answers[0].split())
            for record in arm.records
            if (question := evidence.study.questions[record.question_id]).answerable
        ]
        if len(held) < FEW or not accepted or fmean(held) < 0.2:
            continue
        if fmean(f1) < fmean(held) / 3 and fmean(words) > 4 * fmean(accepted):
            yield Alarm(
                guard="inflated_by_length",
                severity="warn",
                message=f"{name} contains the answer in {fmean(held):.0%} at {fmean(words):.0f} words an answer "
                f"(accepted ones have {fmean(accepted):.0f}), F1 {100 * fmean(f1):.1f}: `contains` rewards its length",
                arms=(name,),
            )


def order_bias(evidence: Evidence) -> Iterator[Alarm]:
    """An arm's score rises or falls with the place of a question in the file, within its kind and split."""
    from scipy.stats import spearmanr

    places = {id_: place for place, id_ in enumerate(evidence.study.questions)}
    metric, arms = evidence.study.evaluation.ranked_by, evidence.study.ranked
    for name in arms:
        groups: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
        for id_, scores in evidence.study.scores(name, metric).items():
            question = evidence.study.questions[id_]
            groups[str(question.split), question.kind].append((places[id_], fmean(scores)))
        rows = [
            (place - fmean(one for one, _ in group), score - fmean(one for _, one in group))
            for group in groups.values()
            for place, score in group
        ]
        if len(rows) < FEW or len({score for _, score in rows}) < 2:
            continue
        found = spearmanr([place for place, _ in rows], [score for _, score in rows])
        if found.pvalue < CHANCE / len(arms):
            yield Alarm(
                guard="order_bias",
                severity="warn",
                message=f"{name}: scores go with the order of the questions (Spearman {found.statistic:+.2f}); were "
                "they answered or written in that order?",
                arms=(name,),
            )


GUARDS = (
    adapter_inactive,
    constant_answer,
    truncated_answers,
    failed_answers,
    refuses_all,
    inflated_by_length,
    order_bias,
)
