"""Every planted fault is seen by its guard; clean runs raise no alarm."""

import pytest

from tests.guards.faults import FAULTS
from tests.guards.runs import clean_run
from workbench.guards import GUARDS, check_run
from workbench.verdict import decide


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_is_seen(fault: str) -> None:
    plant, guard, severity = FAULTS[fault]
    found = {alarm.guard: alarm for alarm in check_run(plant())}
    assert guard in found, sorted(found)
    assert found[guard].severity == severity


@pytest.mark.parametrize("seed", range(20))
def test_a_clean_run_raises_no_alarm(seed: int) -> None:
    evidence = clean_run(seed, n=60 + 20 * (seed % 8), ranked_by="contains" if seed % 3 == 0 else "f1")
    assert check_run(evidence) == ()


def test_every_guard_has_a_fault() -> None:
    assert {guard.__name__ for guard in GUARDS} == {guard for _, guard, _ in FAULTS.values()}


def test_a_leak_stops_the_recommendation() -> None:
    evidence = FAULTS["exact_leak"][0]()
    advice = decide(evidence.study, alarms=check_run(evidence)).recommendation
    assert advice.arm is None and "5 test questions are training questions" in advice.reasons[0]


def test_a_small_corpus_that_any_question_finds_whole_is_no_swapped_index() -> None:
    evidence = clean_run(1, n=40)
    for arm in evidence.readers.values():
        for place, record in enumerate(arm.records):
            hits = tuple(record.hits[0].model_copy(update={"document_id": f"doc-{number}"}) for number in range(40))
            arm.records[place] = record.model_copy(update={"hits": hits})  # type: ignore[index]
    assert "swapped_index" not in {alarm.guard for alarm in check_run(evidence)}
