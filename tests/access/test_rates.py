"""A minute's worth at once, then one by one; never more than the bound, and a bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.access import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_bucket_worked_by_hand() -> None:
    clock = Clock()
    limit = RateLimit(3, clock=clock)  # one token every 20 s
    assert [limit.take("a") for _ in range(3)] == [0, 0, 0]
    assert limit.take("a") == pytest.approx(20)
    clock.now += 15
    assert limit.take("a") == pytest.approx(5)  # asking in vain costs nothing
    assert limit.take("b") == 0  # another key has its own
    clock.now += 5
    assert limit.take("a") == 0
    assert limit.take("a") == pytest.approx(20)
    clock.now += 3600
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, pytest.approx(20)]  # never more than full


def test_no_limit_is_no_limit_and_remembers_nothing() -> None:
    limit = RateLimit(0)
    assert {limit.take("a") for _ in range(1000)} == {0}
    assert len(limit) == 0


@given(st.integers(1, 1000), st.lists(st.floats(0, 30), max_size=60))
def test_no_more_than_the_bound_gets_through_and_who_waits_as_told_does(per_minute: int, pauses: list[float]) -> None:
    clock = Clock()
    limit, n_through, started = RateLimit(per_minute, clock=clock), 0, clock.now
    for pause in pauses:
        clock.now += pause
        wait = limit.take("a")
        n_through += wait == 0
        if wait:
            clock.now += wait
            assert limit.take("a") == 0
            n_through += 1
        assert n_through <= per_minute * (1 + (clock.now - started) / 60) + 1e-6


def test_only_the_keys_that_asked_last_are_remembered() -> None:
    limit = RateLimit(1, clock=Clock(), max_keys=3)
    for key in "abca":
        limit.take(key)
    limit.take("d")  # b has not asked for longest
    assert len(limit) == 3
    assert [limit.take(key) > 0 for key in "acd"] == [True, True, True]
    assert limit.take("b") == 0
