"""The decision as the page and report.md show it first: the arm, why, where each arm ended, what would change it.

Nothing is judged here: every word of the verdict is the decision's own (workbench/decision.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.decision import Decision, Outcome, PairRuling, RouterReport, Standing
from workbench.report.figures import (
    MISSING,
    SCORE_NAMES,
    amount_text,
    difference_text,
    estimate_text,
    p_text,
    score_text,
)
from workbench.report.rows import Cell

MARKS = {Outcome.BETTER: "▲", Outcome.WORSE: "▼", Outcome.EQUIVALENT: "=", Outcome.UNDECIDED: "?"}
PLACES = {"recommended": 0, "equivalent": 1, "undecided": 2, "worse": 3, "dominated": 4, "excluded": 5, "control": 6}
MOST_PAIRS = 6  # that one line names


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure that carries the recommendation: what it is, its value, its interval or unit."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One arm against another: the mark of the outcome, and the figures behind it as text."""

    mark: str
    outcome: str
    text: str


def tiles(decision: Decision) -> list[Tile]:
    """Return the recommended arm's figures; none where no arm is recommended."""
    arm = decision.recommendation.arm
    standing = next((one for one in decision.recommendation.standings if one.arm == arm), None)
    if standing is None:
        return []
    score = score_text(decision.metric, standing.score.value)
    found = [Tile(SCORE_NAMES[decision.metric], score, estimate_text(decision.metric, standing.score))]
    costs = next((one for one in decision.costs if one.arm == arm), None)
    if costs is None:
        return found
    seconds = amount_text("seconds", costs.seconds_p50)
    found.append(Tile("seconds a question", seconds, f"p95 {amount_text('seconds', costs.seconds_p95)}"))
    found.append(Tile("to build", f"{amount_text('seconds', costs.build_seconds)} s", "index and training"))
    peak = costs.peak_gpu_bytes or costs.peak_bytes
    if peak:
        found.append(
            Tile("memory", amount_text("bytes", peak), "GPU, peak" if costs.peak_gpu_bytes else "process, peak")
        )
    return found


def ordered_standings(decision: Decision) -> list[Standing]:
    """Return where each arm ended: the recommended first, then by place and score."""
    return sorted(decision.recommendation.standings, key=lambda one: (PLACES[one.place], -one.score.value, one.arm))


def verdict_matrix(decision: Decision, part: str) -> tuple[list[str], list[tuple[str, list[MatrixCell]]]]:
    """Return the arms, and for each a row: its outcome against every other arm in the ranked metric over `part`."""
    pairs = [pair for pair in decision.pairs if pair.metric == decision.metric and pair.part == part]
    arms = list(dict.fromkeys(arm for pair in pairs for arm in (pair.a, pair.b)))
    ruled = {(pair.a, pair.b): pair for pair in pairs}
    rows = []
    for arm in arms:
        cells = [_matrix_cell(ruled.get((arm, other)), ruled.get((other, arm))) for other in arms]
        rows.append((arm, cells))
    return arms, rows


def _matrix_cell(ours: PairRuling | None, theirs: PairRuling | None) -> MatrixCell:
    pair = ours or theirs
    if pair is None:
        return MatrixCell("", "", "")
    outcome, sign = pair.outcome, 1.0
    if ours is None:
        sign = -1.0
        outcome = {Outcome.BETTER: Outcome.WORSE, Outcome.WORSE: Outcome.BETTER}.get(outcome, outcome)
    text = f"{score_text(pair.metric, sign * pair.difference.value)}, p {p_text(pair.p_holm)}"
    return MatrixCell(MARKS[outcome], outcome.value, text)


def crossover_sentences(decision: Decision) -> list[str]:
    """Return from how many questions on an arm dearer to build has paid for itself; those that never do in one line."""
    told, never = [], []
    for crossover in decision.crossovers:
        questions = crossover.questions
        if questions is None:
            never.append(f"**{crossover.later}** against {crossover.earlier}")
            continue
        within = "" if questions.low is None else f" [{questions.low:,.0f}, {_end(questions.high)}]"
        told.append(
            f"**{crossover.later}** is dearer to build than **{crossover.earlier}** and cheaper to ask: it has paid "
            f"for itself after {questions.value:,.0f} questions{within}."
        )
    listed = ", ".join(never) if len(never) <= MOST_PAIRS else f"{len(never)} pairs, named in decision.json"
    return told + ([f"Dearer to build and not cheaper to ask, so never: {listed}."] if never else [])


def _end(value: float | None) -> str:
    return "never" if value is None else f"{value:,.0f}"


def router_sentences(router: RouterReport | None) -> list[str]:
    """Return what choosing per question brought, in sentences; none without a router."""
    if router is None:
        return []
    score = SCORE_NAMES[router.metric]
    told = [
        f"Choosing among {', '.join(router.arms)} per question scores {score} "
        f"{score_text(router.metric, router.score.value)} {estimate_text(router.metric, router.score)}; the best fixed "
        f"arm, **{router.best_fixed}**, {score_text(router.metric, router.best_fixed_score)}; always choosing rightly "
        f"would score {score_text(router.metric, router.oracle_score)} ({router.n} questions, each routed by a model "
        f"not fitted on it)."
    ]
    if router.gap_closed is not None:
        low, high = router.gap_closed.low, router.gap_closed.high
        within = "" if low is None or high is None else f" [{low:.0%}, {high:.0%}]"
        told.append(f"That closes {router.gap_closed.value:.0%}{within} of the gap to the oracle.")
    verdict = {
        Outcome.BETTER: "It is better than the best fixed arm.",
        Outcome.WORSE: "It is worse than the best fixed arm.",
        Outcome.EQUIVALENT: "It is equivalent to the best fixed arm.",
        Outcome.UNDECIDED: "Whether it is better than the best fixed arm is undecided.",
    }[router.outcome]
    told.append(verdict if router.non_inferior else f"{verdict} That it is no worse could not be shown.")
    return told


def interaction_sentences(decision: Decision) -> list[str]:
    """Return for each adapter whether it and retrieval add up, over all questions."""
    readings = {
        Outcome.BETTER: "together they bring more than the sum",
        Outcome.WORSE: "together they bring less than the sum",
        Outcome.EQUIVALENT: "they add up",
        Outcome.UNDECIDED: "whether they add up is undecided",
    }
    return [
        f"**{one.rag}** and **{one.lora}** in **{one.both}**: {readings[one.outcome]} (interaction "
        f"{difference_text(one.metric, one.value.value)} points {estimate_text(one.metric, one.value)}, n {one.n})."
        for one in decision.interactions
        if one.part == "all" and one.metric == decision.metric
    ]


def ladder_rows(decision: Decision, part: str) -> list[tuple[str, list[Cell]]]:
    """Return for each arm with passages: found and right, read wrongly, not found, right anyway; shares of n."""
    rows = []
    for ladder in decision.ladders:
        if ladder.part != part:
            continue
        counts = (ladder.found_right, ladder.read_error, ladder.retrieval_miss, ladder.right_anyway)
        n = sum(counts)
        rows.append((ladder.arm, [Cell(f"{count / n:.0%}", str(count)) if n else Cell(MISSING) for count in counts]))
    return rows


def _part_name(part: str) -> str:
    for prefix, words in (("kind:", ""), ("language:", "asked in "), ("document_language:", "documents in ")):
        if part.startswith(prefix):
            return words + part.removeprefix(prefix)
    return part


def strata_rows(decision: Decision, arms: Sequence[str]) -> list[tuple[str, int, list[Cell]]]:
    """Return for each part that is no split: its name, its questions, and a score an arm; the leader is marked."""
    ours = [stratum for stratum in decision.strata if stratum.metric == decision.metric]
    parts = [part for part in dict.fromkeys(one.part for one in ours) if part not in ("all", "seen", "new")]
    rows = []
    for part in parts:
        found = {stratum.arm: stratum for stratum in ours if stratum.part == part}
        top = max((one.score.value for one in found.values()), default=None)
        cells = [
            Cell(
                score_text(decision.metric, found[arm].score.value),
                estimate_text(decision.metric, found[arm].score),
                found[arm].score.value == top and len(found) > 1,
            )
            if arm in found
            else Cell(MISSING)
            for arm in arms
        ]
        rows.append((_part_name(part), max(one.n for one in found.values()), cells))
    return rows
