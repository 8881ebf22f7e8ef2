"""A race: arms answer question after question, and those that cannot be recommended any more stop.

The arm to take is not worse than any other by more than the margin, and better by more than the margin than any cheaper
one. So an arm stops when a running rival's lead over it is surely larger than
- the margin (it is "worse"), if the rival may be dearer;
- nothing ("dominated"), if the rival costs the same;
- minus the margin ("dearer"), if the rival is cheaper;
or when all questions together would hardly decide between it and any arm ahead of it ("undecidable"), or when it
surely breaks a limit of the user's ("excluded": limits.py), or when all that are left are surely within the margin of
each other, so that costs alone decide ("equivalent"), or when no rival is left ("decided"; under a limit it goes on, to
show that it keeps it).

"Surely" is by sequential.py, at `alpha` / (k - 1): the arm to take has k - 1 rivals, so it is stopped wrongly with a
chance of at most `alpha` (Bonferroni), whatever the scores look like; with a limit to keep, at `alpha` / k. One test a
rival is enough: bets that make a lead surely larger than one allowance make it so for any smaller one. "Undecidable" is
a forecast, and errs beside that.

Not the recommendation itself. Which arm is dearer is taken from what must be built and from tokens, and what a limit on
seconds is held against stands in the records, so a race is a function of the records alone and a continued run is the
uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.decision import ArmStop, RaceReport
from workbench.evaluation.race_rules import RaceCase, RaceRules
from workbench.evaluation.sequential import BETS, Decided, Float64, bet, chance_to_decide, log_wealth

Rule = Literal["worse", "dominated", "dearer", "undecidable", "excluded", "equivalent", "decided"]
Bool = NDArray[np.bool_]
SAME_TOKENS = 1.05  # arms whose tokens a question are closer than this factor cost the same
DOMINATED, WORSE, DEARER = 0, 1, 2  # the null hypotheses: lead <= 0, lead <= margin, lead <= -margin


class Race:
    """Feed it batches in the order asked; `answers(arm)` says who still answers."""

    def __init__(
        self,
        needs: Mapping[str, frozenset[str]],
        n_questions: int,
        rules: RaceRules,
        *,
        keep: Sequence[str] = (),
        beside: Sequence[str] = (),
        n_beside: int | None = None,
        max_weight: float = 1.0,
    ) -> None:
        """Line up the arms.

        Args:
            needs: the arms that race, and what must be built for each: the index, adapters. An arm that needs no more
                than another and reads and writes no more tokens is not dearer than it, whatever the volume.
            n_questions: scored questions in all.
            keep: racing arms that answer every question even so.
            beside: arms that are not ranked: they answer until the race is over, or `n_beside` questions.
            max_weight: what a question can count at most.
        Raises:
            ValueError: fewer than two arms race, or `keep` names one that does not.
        """
        if len(needs) < 2:
            raise ValueError(f"a race needs two arms that are ranked, and got {len(needs)}: {', '.join(needs)}")
        if unknown := [arm for arm in keep if arm not in needs]:
            raise ValueError(f"kept arms {', '.join(unknown)} do not race; the racing arms are: {', '.join(needs)}")
        self.arms, self.rules, self.n_questions = tuple(needs), rules, n_questions
        self.keep, self.beside, self.n_beside = frozenset(keep), tuple(beside), n_beside
        self.max_weight = max_weight
        self.stops: list[ArmStop] = []
        self.n_asked = 0
        k = len(self.arms)
        self._fewer_needs = np.array([[needs[a] <= needs[b] for b in needs] for a in needs])
        self._allowances = np.array([0.0, rules.margin, -rules.margin])[:, None, None]
        self._worst = max_weight * (1 + self._allowances)  # what one question can take from a lead less its allowance
        self._bets = np.zeros((len(BETS), 3, k, k))  # logarithms of wealth, on the lead of row over column
        self._totals = np.zeros((k, k))  # of score(row) - score(column)
        self._squares = np.zeros((k, k))
        self._tokens = np.zeros(k)
        self._weight = 0.0
        self._running = np.ones(k, dtype=bool)
        self._excluded: Mapping[str, str] = {}
        self._n_looks = 0
        self._n_batches = 0

    @property
    def running(self) -> tuple[str, ...]:
        """The arms that still race, in the order given."""
        return tuple(arm for arm, runs in zip(self.arms, self._running, strict=True) if runs)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to decide."""
        return not self._running.any()

    def answers(self, arm: str) -> bool:
        """Whether `arm` answers the next question."""
        if arm in self.beside:
            return not self.is_over and all(stop.arm != arm for stop in self.stops)
        return arm in self.keep or arm in self.running

    def feed(self, cases: Sequence[RaceCase], *, excluded: Mapping[str, str] | None = None) -> None:
        """Take in one batch, in the order asked, and look who stops.

        Args:
            excluded: arms that surely break a limit → why; they stop at the next look.
        Raises:
            ValueError: a running arm has no score, or a question counts for more than `max_weight`.
        """
        if self.is_over:
            return
        for case in cases:
            self._take(case)
        self._excluded = {**self._excluded, **(excluded or {})}
        self._n_batches += 1
        if self._n_batches % self.rules.look_every == 0:
            self._look()
        if self.n_beside is not None and self.n_asked >= self.n_beside:
            self._stop_beside(f"a control answers {self.n_beside} questions")

    def report(self, metric: str, *, seen_share: float | None = None) -> RaceReport:
        """Return what race.json holds; `seen_share`: what the weights of the questions were made for."""
        return RaceReport(
            metric=metric,
            alpha=self.rules.alpha,
            margin=self.rules.margin,
            seen_share=seen_share,
            questions=self.n_questions,
            asked=self.n_asked,
            looks=self._n_looks,
            stops=tuple(self.stops),
        )

    def _take(self, case: RaceCase) -> None:
        if missing := [arm for arm in self.running if arm not in case.scores]:
            raise ValueError(f"question {case.question_id!r} has no score of running arms: {', '.join(missing)}")
        if case.weight > self.max_weight * (1 + 1e-9):
            raise ValueError(f"question {case.question_id!r} counts {case.weight}, but at most {self.max_weight} may")
        scores = np.array([case.scores.get(arm, 0.0) for arm in self.arms])  # what stopped arms have is not looked at
        leads = case.weight * (scores[:, None] - scores[None, :])  # (k, k)
        both = self._running[:, None] & self._running[None, :]
        self._bets += np.where(both, bet(leads - case.weight * self._allowances, worst=self._worst), 0.0)
        self._totals += leads
        self._squares += leads**2
        self._tokens += [case.tokens.get(arm, 0.0) for arm in self.arms]
        self._weight += case.weight
        self.n_asked += 1

    def _look(self) -> None:
        if self.n_asked < self.rules.min_questions:
            return
        self._n_looks += 1
        for arm in np.flatnonzero(self._running):
            if self.arms[arm] in self._excluded:
                self._stop(arm, "excluded", None, self._excluded[self.arms[arm]])
        not_dearer = self._fewer_needs & (self._tokens[:, None] <= SAME_TOKENS * self._tokens[None, :])
        cheaper = not_dearer & ~not_dearer.T
        self._stop_beaten(not_dearer, cheaper)
        if not self.rules.only_by_cheaper:
            self._stop_equivalent()
        if self.rules.futility:
            self._stop_undecidable(~cheaper.T)
        n_running = self._running.sum()
        if n_running == 1 and self.rules.limited:  # it goes on, to show that it keeps the limit
            self._stop_beside("no two arms race any more")
        elif n_running < 2:
            self._finish()

    def _stop_beaten(self, not_dearer: Bool, cheaper: Bool) -> None:
        """Stop who is surely beaten, the clearest case first; who has stopped beats nobody, so one arm always stays."""
        beyond_doubt = -np.log(self.rules.level(len(self.arms)))
        wealth = log_wealth(self._bets)  # (3, k, k)
        lead = np.where(cheaper, wealth[DEARER], np.where(not_dearer, wealth[DOMINATED], wealth[WORSE]))
        sure = lead >= beyond_doubt
        allowed = not_dearer if self.rules.only_by_cheaper else np.ones_like(sure)
        for place in np.argsort(-np.where(allowed, lead, -np.inf), axis=None, kind="stable"):
            rival, arm = np.unravel_index(place, lead.shape)
            if sure[rival, arm] and allowed[rival, arm] and self._running[rival] and self._running[arm]:
                self._stop(arm, *self._why(rival, arm, not_dearer, cheaper))
        if self.rules.only_by_cheaper:
            self._stop_last_resort(lead, sure, not_dearer)

    def _stop_last_resort(self, lead: Float64, sure: Bool, not_dearer: Bool) -> None:
        """Stop the cheapest arm if it is surely worse than one and surely told from all that are left.

        A limit may still exclude whom it lost to; then it is back, and already placed.
        """
        running = np.flatnonzero(self._running)
        for arm in running:
            others = running[running != arm]
            if others.size and not_dearer[arm, others].all() and (sure[others, arm] | sure[arm, others]).all():
                rival = others[np.argmax(lead[others, arm])]
                if sure[rival, arm]:
                    self._stop(arm, "worse", rival, f"is surely better by more than {self.rules.margin:g}")
                return  # one arm at most is the cheapest

    def _stop_equivalent(self) -> None:
        """Stop all that still race if each is surely less than the margin worse than every other."""
        running = np.flatnonzero(self._running)
        not_worse = log_wealth(self._bets)[DEARER] >= -np.log(self.rules.level(len(self.arms)))
        if len(running) < 2 or not (not_worse | np.eye(len(self.arms), dtype=bool))[np.ix_(running, running)].all():
            return
        for arm in running:
            rival = running[0] if arm != running[0] else running[1]
            why = f"and it are surely within {self.rules.margin:g} of each other: costs decide"
            self._stop(arm, "equivalent", rival, why)

    def _why(self, rival: np.intp, arm: np.intp, not_dearer: Bool, cheaper: Bool) -> tuple[Rule, np.intp, str]:
        if cheaper[rival, arm]:
            return "dearer", rival, f"is cheaper, and surely not worse by {self.rules.margin:g}"
        if not_dearer[rival, arm]:
            return "dominated", rival, "costs the same and is surely better"
        return "worse", rival, f"is surely better by more than {self.rules.margin:g}"

    def _stop_undecidable(self, perhaps_cheaper: Bool) -> None:
        """Stop who would hardly be told from any arm ahead of it, the pairs still open being corrected by Holm."""
        from scipy.special import ndtri

        running = np.flatnonzero(self._running)
        tail = (1 - self.rules.confidence) / 2
        n_pairs = max(len(running) * (len(running) - 1) // 2, 1)
        chances = chance_to_decide(
            self._totals,
            self._squares,
            n=self.n_asked,
            n_all=self.n_questions,
            rules=Decided(self.rules.margin, float(ndtri(1 - tail / n_pairs)), float(ndtri(1 - tail))),
            cheaper=perhaps_cheaper,
        )
        ranked = sorted(running, key=lambda arm: (-self._totals[arm, running].sum(), arm))  # best mean first
        for place, arm in enumerate(ranked[1:], start=1):
            highest = max(float(chances[ahead, arm]) for ahead in ranked[:place])
            if highest < self.rules.futility:
                why = f"all {self.n_questions} questions would tell them apart with a chance of {highest:.1%}"
                self._stop(arm, "undecidable", ranked[0], why)

    def _finish(self) -> None:
        for arm in np.flatnonzero(self._running):
            self._stop(arm, "decided", None, "no other arm is left in the race")
        self._stop_beside("the race is over")

    def _stop_beside(self, why: str) -> None:
        for arm in self.beside:
            if all(stop.arm != arm for stop in self.stops):
                sentence = f"{arm} stopped after {self.n_asked} questions: {why}"
                self.stops.append(
                    ArmStop(
                        arm=arm, questions=self.n_asked, rule="control", by=None, difference=None, sentence=sentence
                    )
                )

    def _stop(self, arm: np.intp, rule: Rule, rival: np.intp | None, why: str) -> None:
        self._running[arm] = False
        name = self.arms[arm]
        if name in self.keep:
            return
        difference = None if rival is None else float(self._totals[rival, arm]) / self._weight
        by = None if rival is None else self.arms[rival]
        lead = "" if difference is None else f"{by} ({difference:+.3f}) "
        sentence = f"{name} stopped after {self.n_asked} questions: {lead}{why}"
        self.stops.append(
            ArmStop(
                arm=name,
                questions=self.n_asked,
                rule=rule,
                by=by,
                difference=difference and round(difference, 6),
                sentence=sentence,
            )
        )
