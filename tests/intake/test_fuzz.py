"""The fuzzer of `fuzz.py` for a moment: tokenizers changed at random are refused in a typed way, or work."""

from __future__ import annotations

import random
import shutil
import warnings
from collections import Counter
from pathlib import Path

import pytest

from tests.intake.fuzz import UNREAD, spoil, try_out
from workbench.errors import ModelIntegrityError
from workbench.intake import admit_model, verdicts, vetting
from workbench.models import find_model


def make_spoiled(dice: random.Random, place: Path) -> Path:
    folder = place / "model"
    shutil.rmtree(folder, ignore_errors=True)
    name = dice.choice(("tiny-random-llama", "tiny-random-bert"))
    shutil.copytree(find_model(name).folder, folder, ignore=UNREAD)
    spoil(dice, folder)
    return folder


def test_the_gate_alone_raises_nothing_but_refusals(
    tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tiny-random-llama", "tiny-random-bert"):
        find_model(name)
    monkeypatch.setattr(vetting, "run_trial", lambda *_, **__: "")
    dice, n_refused = random.Random(3), 0
    for _ in range(300):
        folder = make_spoiled(dice, tmp_path)
        try:
            admit_model(folder)
        except ModelIntegrityError:
            n_refused += 1
    assert 100 < n_refused < 300


def test_what_is_let_in_works_and_what_breaks_the_library_is_not(tiny_home: Path, tmp_path: Path) -> None:
    verdicts._passed.clear()
    dice, outcomes = random.Random(4), Counter[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Transformers warns about what it then corrects
        for _ in range(12):
            outcomes[try_out(make_spoiled(dice, tmp_path))] += 1
    assert not [outcome for outcome in outcomes if "untyped" in outcome], outcomes
    assert outcomes["gate: refused"]
    assert outcomes["let in, works"]
