"""The recommendation in words and figures: the arm the rule picks, why, where each other arm ended.

The rule itself is choice.py; what would change it, flips.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from workbench.decision import Alarm, ArmCosts, Estimate, Flip, Outcome, PairRuling, Recommendation, Standing
from workbench.evaluation import mean_interval
from workbench.evaluation.metrics import score_limits
from workbench.verdict.choice import Choice, Field, pick, ruled
from workbench.verdict.costs import in_money
from workbench.verdict.pairs import split_shares
from workbench.verdict.study import Study

MOST_DIGITS = 5
PLACE_AFTER_RACE = {"worse": "worse", "dominated": "dominated", "dearer": "equivalent"}
SCORE_NAMES = {"f1": "F1", "exact_match": "EM", "contains": "contains"}


def recommend(
    study: Study,
    pairs: Sequence[PairRuling],
    costs: Sequence[ArmCosts],
    *,
    field: Field,
    alarms: Sequence[Alarm] = (),
    flips: Sequence[Flip] = (),
) -> Recommendation:
    """Return the recommendation; none while an alarm refuses."""
    refusals = [alarm for alarm in alarms if alarm.severity == "refuse"]
    choice = pick(field, study.wishes)
    words = _Words(study, pairs, field, choice)
    cautions = tuple(alarm.message for alarm in alarms if alarm.severity == "warn")
    if refusals:
        return Recommendation(
            arm=None,
            sentence="No recommendation: figures of this run cannot be trusted.",
            reasons=tuple(alarm.message for alarm in refusals),
            standings=words.standings(judged=False),
            cautions=cautions,
        )
    return Recommendation(
        arm=choice.arm,
        sentence=words.sentence(),
        reasons=words.reasons(),
        standings=words.standings(),
        flips=tuple(flips),
        candidates=choice.candidates if choice.arm is None else (),
        collect=choice.collect,
        cautions=cautions,
    )


class _Words:
    """Puts one choice into words. Scores are written in points, 0 to 100."""

    def __init__(self, study: Study, pairs: Sequence[PairRuling], field: Field, choice: Choice) -> None:
        self.study, self.field, self.choice = study, field, choice
        self.metric = study.evaluation.ranked_by
        self.name = SCORE_NAMES[self.metric]
        self.rulings = ruled(pairs, self.metric)
        self.scores = {name: _score(study, name) for name in study.arms}

    def sentence(self) -> str:
        arm = self.choice.arm
        if arm is not None:
            return f"Take **{arm}**: {self.name} {self._points(arm)}, {self._price(arm)}{self._against_next(arm)}."
        if not self.choice.candidates:
            return "No arm meets the constraints."
        between = " and ".join(f"**{one}**" for one in self.choice.candidates)
        if self.choice.collect is None:
            return f"Undecided between {between}; how many more questions would decide cannot be told from these."
        return f"Undecided between {between}: collect about {self.choice.collect:,} more questions."

    def reasons(self) -> tuple[str, ...]:
        """Why the arm, or why none: each with its figures."""
        arm, wishes, told = self.choice.arm, self.study.wishes, []
        if arm is None:
            open_pairs = [
                self._compared(a, b)
                for place, a in enumerate(self.choice.candidates)
                for b in self.choice.candidates[place + 1 :]
            ]
            return tuple(open_pairs)
        by_outcome: dict[str, list[str]] = {}
        for other in self.field.arms:
            if other != arm and not self._is_out(other):
                by_outcome.setdefault(self.field.outcomes[arm, other].value, []).append(other)
        for outcome, others in by_outcome.items():
            nearest = max(others, key=lambda one: self.scores[one].value)
            if outcome == Outcome.BETTER.value:
                told.append(f"It is better than {_list(others)}; nearest: {self._compared(arm, nearest)}")
            elif outcome == Outcome.EQUIVALENT.value:
                told.append(f"It is equivalent to {_list(others)} and costs less: {self._costs(arm, others)}.")
            else:
                points = f"{100 * self.study.evaluation.margin:g} points"
                told.append(
                    f"It is shown to be less than {points} worse than {_list(others)}, if at all, and costs less: "
                    f"{self._costs(arm, others)}."
                )
        told.append(
            f"Monthly costs are for {wishes.questions_per_month:,g} questions and {wishes.updates_per_month:,g} "
            f"updates, building spread over {wishes.months:g} months (`decision`)."
        )
        told += [f"In the race, {_sentence(stop.sentence)}" for stop in self.choice.lost.values()]
        if self._is_bare(arm):
            told.append("Nothing that was tried is shown to beat the base model.")
        return tuple(told)

    def standings(self, *, judged: bool = True) -> tuple[Standing, ...]:
        """Where each arm ended, controls last."""
        rows = []
        for name, arm in self.study.arms.items():
            if arm.settings.control:
                place, reason = "control", "shown for comparison, never ranked"
            elif not judged:
                place, reason = "undecided", "not judged"
            else:
                place, reason = self._place(name)
            rows.append(
                Standing.model_validate({"arm": name, "score": self.scores[name], "place": place, "reason": reason})
            )
        return tuple(rows)

    def _place(self, arm: str) -> tuple[str, str]:
        chosen = self.choice.arm
        if arm == chosen:
            return "recommended", f"{self._price(arm)}"
        if self._is_out(arm):
            stop = self.choice.lost.get(arm)
            return (PLACE_AFTER_RACE[stop.rule], stop.sentence) if stop else ("excluded", self.choice.excluded[arm])
        rivals = [one for one in self.field.arms if one != arm and not self._is_out(one)]
        better = [one for one in rivals if self.field.outcomes[one, arm] is Outcome.BETTER]
        if better:
            cheaper = [one for one in better if self._monthly(one) <= self._monthly(arm)]
            best = max(cheaper or better, key=lambda one: self.scores[one].value)
            said = f"{best} is better and not dearer: " if cheaper else ""
            return "dominated" if cheaper else "worse", f"{said}{self._compared(arm, best)}"
        if chosen is None:
            return "undecided", "no arm is shown to be better"
        dearer = f"dearer: {self._costs(chosen, [arm])}"
        if self.field.outcomes[chosen, arm] is Outcome.EQUIVALENT:
            return "equivalent", f"as good as {chosen} and {dearer}"
        return "undecided", f"{self._compared(arm, chosen)} It is {dearer}."

    def _compared(self, a: str, b: str) -> str:
        """Say a minus b with its interval and corrected p."""
        pair, sign = self.rulings.get((a, b)), 1.0
        if pair is None:
            pair, sign = self.rulings.get((b, a)), -1.0
        if pair is None:
            return f"{a} and {b} share no question."
        ends = [None if end is None else sign * end for end in (pair.difference.low, pair.difference.high)]
        known = sorted(end for end in ends if end is not None)
        within = f" [{_signed(known[0])}, {_signed(known[1])}]" if len(known) == 2 else ""
        return f"{a} − {b} = {_signed(sign * pair.difference.value)} points{within}, Holm p {_p(pair.p_holm)}."

    def _against_next(self, arm: str) -> str:
        others = [one for one in self.field.arms if one != arm and not self._is_out(one)]
        if not others:
            return ""
        following = max(others, key=lambda one: self.scores[one].value)
        gap = self.scores[arm].value - self.scores[following].value
        if self.field.outcomes[arm, following] is Outcome.BETTER:
            return f", {100 * gap:.1f} points above **{following}**, the next best"
        if self.field.outcomes[arm, following] is Outcome.EQUIVALENT:
            return f"; **{following}** is as good and dearer"
        return f"; **{following}** ({self._points(following)}) is dearer and not shown to be better"

    def _points(self, arm: str) -> str:
        return f"{100 * self.scores[arm].value:.1f}"

    def _monthly(self, arm: str) -> float:
        return self.field.monthly(arm, self.study.wishes)

    def _price(self, arm: str) -> str:
        if arm not in self.field.costs:
            return "its cost was not measured"
        return f"{_amount(self.field.costs[arm].seconds_mean)} s a question, {self._month(arm)} a month"

    def _month(self, arm: str, digits: int = 2) -> str:
        money = in_money(self._monthly(arm), self.study.wishes)
        if money is not None:
            return f"{money:,.{digits}f} {self.study.wishes.currency}"
        return f"{_amount(self._monthly(arm) / 3600, digits)} hours of this machine"

    def _costs(self, arm: str, others: Sequence[str]) -> str:
        # As many digits as it takes to tell them apart: "0.13 against 0.13" explains nothing.
        told = [[self._month(one, digits) for one in (arm, *others)] for digits in range(2, MOST_DIGITS + 1)]
        ours, *theirs = next((row for row in told if row[0] not in row[1:]), told[0])
        return f"{ours} a month against {', '.join(theirs)}"

    def _is_out(self, arm: str) -> bool:
        return arm in self.choice.excluded or arm in self.choice.lost

    def _is_bare(self, arm: str) -> bool:
        settings = self.study.arms[arm].settings
        return settings.strategy == "closed_book" and settings.adapter is None


def _score(study: Study, arm: str) -> Estimate:
    """Return the mean over all questions with the splits' shares; the interval takes every question alike."""
    metric = study.evaluation.ranked_by
    scores = study.scores(arm, metric)
    if not scores:
        return Estimate(value=0.0)
    values = [fmean(seeds) for seeds in scores.values()]
    found = mean_interval(
        values,
        confidence=study.evaluation.confidence,
        limits=score_limits(metric),
    )
    strata, shares = split_shares(study, scores, "all")
    if strata is None or shares is None:
        return Estimate(value=found.mean, low=found.low, high=found.high)
    means = {
        name: np.mean([value for value, one in zip(values, strata, strict=True) if one == name]) for name in shares
    }
    return Estimate(value=float(sum(shares[name] * means[name] for name in shares)))


def _list(arms: Sequence[str]) -> str:
    return arms[0] if len(arms) == 1 else f"{', '.join(arms[:-1])} and {arms[-1]}"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def _amount(value: float, digits: int = 2) -> str:
    return f"{value:,.{digits - 2}f}" if value >= 100 else f"{value:.{digits}g}"
