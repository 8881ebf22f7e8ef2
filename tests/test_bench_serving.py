"""The serving benchmark with the random model: every contestant answers, and the peer says what the engine does."""

import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

import bench_serving  # noqa: E402
import torch  # noqa: E402
from serving_bench.users import Ask, Measured, ask_engine, ask_transformers  # noqa: E402
from serving_bench.work import load, make_prompts  # noqa: E402

pytestmark = pytest.mark.usefixtures("tiny_home")


def test_the_peer_and_the_engine_answer_alike(tmp_path: Path) -> None:
    generator = load("tiny-random-llama", torch.float32, adapters=1, folder=tmp_path)
    generator.model.generation_config.eos_token_id = None
    prompts = make_prompts(generator.tokenizer, n=4, n_shared=1)
    assert prompts[1].prefix_ids == prompts[3].prefix_ids
    assert len({prompt.prefix_ids for prompt in prompts}) == 3
    asks = [Ask(prompt, None) for prompt in prompts]
    ours = ask_engine(generator, asks, n_users=3, new_tokens=8)
    theirs = ask_transformers(generator, asks, new_tokens=8)
    assert ours.new_tokens == theirs.new_tokens == 32
    assert ours.texts == theirs.texts
    assert 0 < ours.first_token_seconds <= ours.answer_seconds <= ours.seconds


def test_the_rate_is_tokens_over_the_walls_seconds() -> None:
    assert Measured(seconds=4.0, new_tokens=32, first_token_seconds=0.5, answer_seconds=2.0).tokens_a_second == 8.0


def test_a_short_run_prints_a_table_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = "--model tiny-random-llama --users 3 --questions 1 --new-tokens 3 --few 2 --rounds 1 --out"
    monkeypatch.setattr(sys, "argv", ["bench_serving.py", *small.split(), str(tmp_path)])
    assert bench_serving.main() == 0
    printed = capsys.readouterr().out
    for contestant in ("transformers generate", "engine, 1 user", "engine, 3 users, base and 2 adapters", "no sharing"):
        assert contestant in printed
    found = json.loads((tmp_path / "serving.json").read_text())["engine"]["contestants"]
    assert len(found) == 5
    assert all(row["tokens_a_second"] > 0 for row in found.values())
