"""A verdict that never was, over the sample run, with every kind of outcome and flip. Figures are invented."""

from itertools import combinations

from workbench.decision import (
    Alarm,
    ArmCosts,
    Crossover,
    Decision,
    Estimate,
    Flip,
    Interaction,
    Ladder,
    Outcome,
    PairRuling,
    Recommendation,
    RouterReport,
    Standing,
    Stratum,
)

SCORES = {"base": 0.08, "rag": 0.36, "lora": 0.27, "rag_lora": 0.5, "rag_reader": 0.68}
SECONDS = {"base": 0.21, "rag": 0.92, "lora": 0.23, "rag_lora": 0.95, "rag_reader": 0.61}
BUILD = {"base": 0.0, "rag": 8.2, "lora": 212.4, "rag_lora": 220.6, "rag_reader": 489.1}


def decision(*, alarms: tuple[Alarm, ...] = ()) -> Decision:
    """Return the verdict; `rag_reader` is recommended."""
    return Decision(
        metric="f1",
        margin=0.02,
        confidence=0.95,
        pairs=tuple(_pair(a, b, part) for part in ("all", "seen", "new") for a, b in combinations(SCORES, 2)),
        interactions=(
            Interaction(
                base="base",
                rag="rag",
                lora="lora",
                both="rag_lora",
                metric="f1",
                part="all",
                value=Estimate(value=-0.05, low=-0.12, high=0.02),
                p=0.16,
                n=110,
                outcome=Outcome.UNDECIDED,
            ),
        ),
        ladders=(Ladder(arm="rag", part="all", found_right=40, read_error=50, retrieval_miss=18, right_anyway=2),),
        strata=tuple(
            Stratum(arm=arm, metric="f1", part=part, score=_around(score), n=40)
            for part in ("all", "kind:direct", "known", "unknown")
            for arm, score in SCORES.items()
        ),
        costs=tuple(_costs(arm) for arm in SCORES),
        crossovers=(
            Crossover(earlier="rag", later="lora", questions=Estimate(value=296, low=270, high=330)),
            Crossover(earlier="base", later="lora", questions=None),
        ),
        router=RouterReport(
            arms=tuple(SCORES),
            best_fixed="rag_reader",
            metric="f1",
            score=_around(0.69),
            best_fixed_score=0.68,
            oracle_score=0.8,
            gap_closed=Estimate(value=0.08, low=-0.1, high=0.3),
            outcome=Outcome.UNDECIDED,
            non_inferior=True,
            shares={"rag_reader": 0.9, "lora": 0.1},
            seconds_mean=0.6,
            best_fixed_seconds_mean=0.61,
            features=("best_score", "margin"),
            n=110,
        ),
        alarms=alarms,
        recommendation=_recommendation(),
    )


def _recommendation() -> Recommendation:
    places = {"rag_reader": "recommended", "rag_lora": "worse", "rag": "dominated", "lora": "worse", "base": "worse"}
    return Recommendation(
        arm="rag_reader",
        sentence="Take **rag_reader**: F1 68.0, 18.0 points above rag_lora, the next best.",
        reasons=("It is better than every other arm (Holm p < .001).", "It costs 0.61 s a question."),
        standings=tuple(
            Standing(arm=arm, score=_around(SCORES[arm]), place=place, reason=f"F1 {SCORES[arm]:.2f}")
            for arm, place in places.items()
        ),
        flips=(
            Flip(
                knob="seconds",
                value=0.6,
                unit="s",
                direction="below",
                arm="lora",
                sentence="With less than 0.60 s a question, take **lora**.",
            ),
        ),
        cautions=("One training seed.",),
    )


def _around(value: float) -> Estimate:
    return Estimate(value=value, low=max(0.0, value - 0.08), high=min(1.0, value + 0.08))


def _pair(a: str, b: str, part: str) -> PairRuling:
    difference = SCORES[a] - SCORES[b]
    near = abs(difference) < 0.15
    outcome = Outcome.UNDECIDED if near else Outcome.BETTER if difference > 0 else Outcome.WORSE
    return PairRuling(
        a=a,
        b=b,
        metric="f1",
        part=part,
        difference=Estimate(value=difference, low=difference - 0.1, high=difference + 0.1),
        p=0.2 if near else 0.0005,
        p_holm=0.4 if near else 0.005,
        mde=0.11,
        n=110,
        n_seeds=1,
        outcome=outcome,
    )


def _costs(arm: str) -> ArmCosts:
    return ArmCosts(
        arm=arm,
        build_seconds=BUILD[arm],
        update_seconds=BUILD[arm],
        seconds_p50=SECONDS[arm],
        seconds_p95=1.4 * SECONDS[arm],
        seconds_mean=1.05 * SECONDS[arm],
        tokens_mean=470.0 if arm.startswith("rag") else 64.0,
        peak_bytes=2.1e9,
        artefact_bytes=9.7e6 if "lora" in arm or "reader" in arm else None,
        seconds_of_pass=_around(0.9),
    )
