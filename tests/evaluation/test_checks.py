"""Declared checks of an answer's form."""

from typing import Any

import pytest
from pydantic import ValidationError

from workbench.config import CheckConfig
from workbench.evaluation.checks import meets


@pytest.mark.parametrize(
    ("rules", "right", "wrong"),
    [
        ({"words": [1, 3]}, "  three small words ", "now there are four"),
        ({"characters": [2, 4]}, "ab", "a"),
        ({"lines": [1, 1]}, "one\n\n", "one\ntwo"),
        ({"matches": r"\d{4}-\d{2}-\d{2}"}, "2026-11-26", "on 2026-11-26"),
        ({"holds": r"\[\d+\]"}, "so [2] says", "so says two"),
        ({"lacks": "(?i)sorry"}, "Here it is.", "Sorry, no."),
        ({"json_keys": ["name"]}, '{"name": 1, "more": 2}', '{"more": 2}'),
        ({"json_keys": []}, "{}", "[]"),
        ({"json_keys": []}, "{}", "[" * 100_000),
        ({"words": [1, 2], "lacks": "no"}, "yes", "no"),
    ],
)
def test_an_answer_keeps_every_rule_or_fails(rules: dict[str, Any], right: str, wrong: str) -> None:
    check = CheckConfig.model_validate(rules)
    assert meets(check, right)
    assert not meets(check, wrong)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({}, "at least one rule of: words"),
        ({"kinds": ["style"]}, "at least one rule"),
        ({"words": [3, 1]}, r"\[3, 1\] is no range"),
        ({"matches": "(unclosed"}, "is not a regular expression"),
    ],
)
def test_a_check_that_says_nothing_is_refused(rules: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        CheckConfig.model_validate(rules)
