"""Rows of keys and values: packed, moved, bounded; and a pass over many sequences equals one over each."""

import random

import pytest
import torch

from tests.tiny import load_tiny
from workbench.errors import GenerationError
from workbench.models import slot_attention
from workbench.models.slot_attention import Step, Stretch, check_attention
from workbench.models.slots import Geometry, SlotCache, read_geometry

ABOUT = Geometry(n_layers=2, n_heads=1, head_size=3, dtype=torch.float32, device=torch.device("cpu"))


def states(value: float, n_tokens: int) -> torch.Tensor:
    return torch.full((2, 2, 1, n_tokens, 3), value)


def test_rows_keep_their_tokens_through_any_coming_and_going() -> None:
    dice, cache, wanted = random.Random(1), SlotCache(ABOUT, max_rows=5), list[tuple[float, int]]()
    for turn in range(400):
        if len(wanted) < 5 and dice.random() < 0.55:
            n_tokens = dice.choice([1, 7, 60, 130])
            row = cache.add(n_tokens=n_tokens + 5)
            assert row == len(wanted)
            cache.put(row, states(turn, n_tokens))
            wanted.append((turn, n_tokens))
        elif wanted:
            row = dice.randrange(len(wanted))
            cache.remove(row)
            wanted[row] = wanted[-1]
            wanted.pop()
        assert cache.lengths == [n_tokens for _, n_tokens in wanted]
        for row, (value, n_tokens) in enumerate(wanted):
            assert torch.equal(cache.take(row), states(value, n_tokens))
        assert cache.n_bytes <= 8 * 192 * ABOUT.token_bytes  # five rows, in powers of two, of up to 135 tokens


def test_an_empty_cache_holds_nothing_and_a_long_row_does_not_stay_paid_for() -> None:
    cache = SlotCache(ABOUT, max_rows=4)
    cache.add(n_tokens=4000)
    cache.add(n_tokens=10)
    large = cache.n_bytes
    cache.remove(0)
    cache.add(n_tokens=20)
    assert cache.n_bytes < large / 10
    cache.remove(0)
    cache.remove(0)
    assert cache.n_bytes == 0


def test_a_row_that_held_nan_leaves_none_behind() -> None:
    cache = SlotCache(ABOUT, max_rows=2)
    for value in (torch.nan, 1.0):
        row = cache.add(n_tokens=60)
        cache.put(row, states(value, 40 if value != 1.0 else 3))
    cache.remove(0, sound=False)
    assert cache.lengths == [3]
    assert torch.isfinite(cache.states).all()


@pytest.mark.parametrize("row_by_row", [False, True], ids=["padded", "row by row"])
@pytest.mark.usefixtures("tiny_home")
def test_one_pass_over_rows_and_stretches_equals_one_over_each(
    row_by_row: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_attention, "CALL_TOKENS", -1000 if row_by_row else 10**6)
    model, _ = load_tiny()
    torch.manual_seed(0)
    texts = [torch.randint(3, 250, (n,)).tolist() for n in (9, 4, 30, 12, 20)]
    with torch.inference_mode():
        expected = [model(torch.tensor([ids])).logits[0] for ids in texts]
        about = read_geometry(model, 1)
        rows = SlotCache(about, max_rows=4)
        for ids in texts[:3]:  # all but the last token
            one = SlotCache(about, max_rows=1)
            one.add(n_tokens=len(ids))
            Step(SlotCache(about, max_rows=1), [], [Stretch(one, 0, 0, ids[:-1], wanted=False)]).run(model)
            one.lengths[0] = len(ids) - 1
            rows.put(rows.add(n_tokens=40), one.take(0))
        readers = [SlotCache(about, max_rows=1) for _ in texts[3:]]
        for cache, ids in zip(readers, texts[3:], strict=True):
            cache.add(n_tokens=len(ids))
        first = [
            Stretch(readers[0], 0, 0, texts[3], wanted=True),
            Stretch(readers[1], 0, 0, texts[4][:8], wanted=False),
        ]
        found = Step(rows, [ids[-1] for ids in texts[:3]], first).run(model)
        assert found.shape == (4, model.config.vocab_size)
        for logits, wanted in zip(found, expected[:4], strict=True):
            assert torch.allclose(logits, wanted[-1], atol=1e-4)
        readers[1].lengths[0] = 8
        (last,) = Step(rows, [], [Stretch(readers[1], 0, 8, texts[4][8:], wanted=True)]).run(model)
        assert torch.allclose(last, expected[4][-1], atol=1e-4)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.usefixtures("tiny_home")
def test_a_model_that_would_answer_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = load_tiny()
    about = read_geometry(model, 1)
    check_attention(model, about)
    usual = Step.attend
    monkeypatch.setattr(Step, "attend", lambda self, layer, q, k, v, scale: usual(self, layer, q * 3, k, v, scale))
    with pytest.raises(GenerationError, match="standard deviations off the model's own"):
        check_attention(model, about)


def test_what_attention_is_told_beyond_what_it_knows_is_refused() -> None:
    model = torch.nn.Linear(1, 1)
    step = Step(SlotCache(ABOUT, max_rows=1), [])
    tensor = torch.zeros(1, 2, 1, 4)
    for told in ({"softcap": 30.0}, {"s_aux": tensor}):
        with pytest.raises(GenerationError, match=f"does not know: {next(iter(told))}"):
            slot_attention._attention(model, tensor, tensor, tensor, None, workbench_step=step, **told)
    with pytest.raises(GenerationError, match="a mask of its own"):
        slot_attention._attention(model, tensor, tensor, tensor, tensor, workbench_step=step)
