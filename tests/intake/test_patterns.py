"""Patterns: what is read of them, and which the trial finds slow."""

from __future__ import annotations

import pytest

from workbench.intake import tokenizer_trial
from workbench.intake.children import run_trial
from workbench.intake.known_patterns import KNOWN_PATTERNS
from workbench.intake.patterns import Shape, plan_trial
from workbench.intake.tokenizer_trial import OF_A_PATTERN, find_slowness

SOUND = (
    *sorted(KNOWN_PATTERNS),
    r" ?[^(\s|[.,!?…。，、।۔،])]+",  # BLOOM
    r"[\p{P}\$\+<=>\^~\|`]+",  # Falcon
    r"[\p{Han}]+|[\p{Lu}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lo}\p{M}&&[^\p{Han}]]+",  # Kimi, in part
    r"^▁+$",
    r"[^\n]+|[\n]+",
    r"(?<=\d)a*(?=b)",
    r"(?i:ab|cd)\b|[[:alpha:]]+",
)
SLOW = (
    *("(a+)+$", "(x|y|xy)*z", r"(?:\w+\s?)*!", "(a|a)*b", "(.*)(.*)(.*)x", "(?:a{2,}){10,}b", "(?=(a+)+b)c"),
    *(r"\s+$", "a.*b", "([^,]*,)*x", r"\p{L}+\p{L}+\p{N}", "(?>a+)+b", "x+y"),
)


def try_out(*patterns: str, seconds: int = 30) -> str:
    plans = []
    for pattern in patterns:
        shapes, atoms = plan_trial(pattern)
        plans.append({"pattern": pattern, "atoms": atoms, "shapes": [(one.before, one.body) for one in shapes]})
    asked = {"patterns": plans, "units": [], "form": "tekken"}
    return run_trial(tokenizer_trial.__file__, asked, seconds=seconds, memory=2**31)


def test_the_patterns_of_real_models_pass_the_trial_too() -> None:
    assert try_out(*SOUND) == ""


@pytest.mark.parametrize("pattern", SLOW)
def test_a_slow_pattern_is_found_and_named(pattern: str) -> None:
    word = try_out(pattern)
    assert word.startswith(f"pattern {pattern!r} ")
    assert "takes" in word or "retry-limit" in word


def test_a_plan_says_what_is_repeated_and_what_stands_before_it() -> None:
    shapes, atoms = plan_trial(r"x(?:\d|b)+[^c]*")
    assert atoms == ("x", r"\d", "b", "[^c]")
    assert shapes[:3] == (Shape(("x",), (r"\d",)), Shape(("x",), ("b",)), Shape(("x",), (r"\d", "b")))
    assert plan_trial("a{2}b?(?=c+)")[0] == (Shape(("a", "b"), ("c",)),)


def test_a_trial_that_meets_a_limit_says_at_what() -> None:
    word = try_out("foo(?:bar|baz)*(?:bar)+!", seconds=1)
    assert word.startswith("pattern 'foo(?:bar|baz)*(?:bar)+!' breaks down: the trial ended with code -")
    assert "more than 1 s of processor time" in word


def test_slowness_is_growth_not_a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": 0.0}
    monkeypatch.setattr("time.process_time", lambda: clock["now"])

    def costs(a_character: float, power: float) -> str:
        def run(text: str) -> None:
            clock["now"] += a_character * len(text) ** power

        return find_slowness(run, lambda n: "x" * n, OF_A_PATTERN)

    assert costs(1e-6, 1) == ""
    assert costs(2e-7, 1.1) == ""
    assert "takes 0.2 s for 16,384 characters" in costs(0.2 / 2**28, 2)
    assert "outgrows the text" in costs(1.8 / 2**36, 2)  # so slowly that only the longest text tells
    assert costs(0.2 / 2**36, 2) == ""  # 0.2 s for 262,144 characters is bearable
    assert "takes" in costs(80e-6, 1)
    assert costs(9e-6, 1) == ""
