"""A race over records: the order of batches, who races, means over seeds, weights of the splits."""

import pytest

from workbench.config import ArmConfig, DecisionConfig, EvaluationConfig
from workbench.config.racing import RacingConfig
from workbench.evaluation.run_race import RunRace, built_for, line_up, spread
from workbench.types import CaseCosts, CaseRecord, Question, Split

ARMS = {
    "base": ArmConfig(strategy="closed_book"),
    "rag": ArmConfig(strategy="rag"),
    "reader": ArmConfig(strategy="rag", adapter="reader"),
    "oracle": ArmConfig(strategy="oracle", control=True),
}
QUESTIONS = [
    Question(id=f"q{n:02}", text="?", answers=("teal",), split=Split.SEEN if n < 10 else Split.NEW) for n in range(40)
] + [Question(id="nobody", text="?", split=Split.NEW)]


def make_race(wishes: DecisionConfig | None = None, **knobs: object) -> RunRace:
    racing = RacingConfig.model_validate({"enabled": True, "futility": 0} | knobs)
    race = line_up(
        ARMS,
        EvaluationConfig(racing=racing, margin=0.1),
        wishes or DecisionConfig(),
        QUESTIONS,
        lambda record, question: record.scores.get("f1") if question.answerable else None,
        seed=0,
    )
    assert race is not None
    return race


def record(question: Question, arm: str, f1: float, seed: int | None = None) -> CaseRecord:
    costs = CaseCosts(seconds=1, retrieval_seconds=0, prompt_tokens=50, new_tokens=5)
    return CaseRecord(
        question_id=question.id,
        arm=arm,
        split=question.split or Split.NEW,
        kind="direct",
        answer="",
        scores={"f1": f1},
        costs=costs,
        training_seed=seed,
    )


def test_every_batch_is_asked_once_and_each_round_sees_every_length() -> None:
    order = spread(list(range(18)), seed=3)
    assert sorted(order) == list(range(18))
    quarters = [
        next(q for q, part in enumerate((range(5), range(5, 10), range(10, 14), range(14, 18))) if b in part)
        for b in order
    ]
    assert [sorted(quarters[start : start + 4]) for start in (0, 4, 8, 12)] == [[0, 1, 2, 3]] * 4
    assert order == spread(list(range(18)), seed=3) != spread(list(range(18)), seed=4)
    assert spread(["only"], seed=0) == ["only"]
    assert spread([], seed=0) == []


def test_an_arm_needs_the_index_if_it_retrieves_and_its_adapter() -> None:
    assert built_for(ARMS["base"]) == frozenset()
    assert built_for(ARMS["rag"]) < built_for(ARMS["reader"]) == {"index", "adapter reader"}


def test_controls_and_arms_the_wishes_exclude_do_not_race() -> None:
    assert make_race().race.arms == ("base", "rag", "reader")
    assert make_race(DecisionConfig(sources_needed=True)).race.arms == ("rag", "reader")
    assert make_race(DecisionConfig(weights_may_hold_corpus=False)).race.beside == ("reader", "oracle")
    assert not make_race().race.rules.only_by_cheaper
    assert make_race(DecisionConfig(max_seconds=1)).race.rules.only_by_cheaper
    assert make_race(keep=("oracle",)).race.beside == ()


def test_nothing_races_alone() -> None:
    one = {"base": ARMS["base"], "oracle": ARMS["oracle"]}
    assert line_up(one, EvaluationConfig(), DecisionConfig(), QUESTIONS, lambda *_: 1.0, seed=0) is None


def test_a_batch_is_scored_over_seeds_and_without_questions_that_have_no_score() -> None:
    race = make_race(min_questions=5)
    asked = [*QUESTIONS[:12], QUESTIONS[-1]]
    records = [record(q, "base", 0.0) for q in asked] + [record(q, "rag", 0.9) for q in asked]
    records += [record(q, "reader", float(seed), seed) for q in asked for seed in (0, 1)]  # 0.5 on average
    race.feed(asked, records)
    report = race.report()
    assert (report.asked, report.questions, report.metric) == (12, 40, "f1")
    assert [(stop.arm, stop.rule, stop.by, stop.difference) for stop in report.stops] == [
        ("base", "worse", "rag", 0.9),
        ("reader", "dearer", "rag", 0.4),  # by anything, for it needs more
        ("rag", "decided", None, None),
        ("oracle", "control", None, None),
    ]


def test_an_arm_slower_than_the_limit_stops_and_what_it_shielded_stops_behind_the_next() -> None:
    race = make_race(DecisionConfig(max_seconds=1.5))
    f1, seconds = {"base": 0.0, "rag": 0.6, "reader": 0.9}, {"base": 1.0, "rag": 1.0, "reader": 2.0}
    for start in (0, 15):
        asked = QUESTIONS[start : start + 15]
        rows = [record(question, arm, f1[arm]) for question in asked for arm in f1]
        costs = [row.costs for row in rows if row.costs is not None]
        timed = [one.model_copy(update={"seconds": seconds[row.arm]}) for row, one in zip(rows, costs, strict=True)]
        race.feed(asked, [row.model_copy(update={"costs": one}) for row, one in zip(rows, timed, strict=True)])
    assert [(stop.arm, stop.rule, stop.by) for stop in race.report().stops] == [
        ("reader", "excluded", None),
        ("base", "worse", "rag"),
        ("oracle", "control", None),
    ]
    assert race.answers("rag")  # it may still break the limit
    assert make_race(DecisionConfig(max_build_hours=1)).race.rules.limited is False


def test_the_share_of_seen_questions_weighs_them() -> None:
    # 10 of 40 are seen; at a share of a half each counts 0.5 x 40 / 10 = 2, a new one 0.5 x 40 / 30 = 2/3.
    race = make_race(DecisionConfig(seen_share=0.5))
    assert race.race.max_weight == pytest.approx(2.0)
    asked = QUESTIONS[:40]
    race.feed(
        asked,
        [
            record(q, arm, float((arm == "rag") == (q.split is Split.SEEN)))
            for q in asked
            for arm in ("base", "rag", "reader")
        ],
    )
    assert race.report().seen_share == 0.5
    assert race.race.running == ("base", "rag", "reader")  # half a win each: none is ahead
