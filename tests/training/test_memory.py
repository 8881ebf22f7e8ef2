"""The memory plan: what autograd keeps is counted, extended to the batch, and decides the micro-batch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import RECIPE, load_tiny, make_examples, make_job
from workbench.config import RecipeConfig
from workbench.errors import TrainingError
from workbench.models.folded_attention import folded_attention
from workbench.models.layers import checkpoint_layers
from workbench.models.lora_linear import fused_lora
from workbench.models.lora_methods import create_adapter
from workbench.models.prefix import PrefixStore
from workbench.training import loop as loop_module
from workbench.training import train_adapter
from workbench.training.loss import CompletionLoss
from workbench.training.memory import MemoryPlan, _kept, fitting_micro_batch, plan_memory

pytestmark = pytest.mark.usefixtures("tiny_home")

GIB = 2**30


def make_loss(recipe: RecipeConfig = RECIPE) -> CompletionLoss:
    fresh = create_adapter(load_tiny()[0], "reader", recipe, seed=0)
    return CompletionLoss(
        fresh.model,
        adapter="reader",
        prefixes=PrefixStore(max_bytes=1e9, evict=False),
        pad_id=0,
        share_beginnings=False,
    )


def test_what_is_counted_on_three_rows_holds_for_eight() -> None:
    loss = make_loss()
    row = make_examples(load_tiny()[1], acts_from="prompt")[1]
    rows = [replace(row, token_ids=(5 + number, *row.token_ids[1:])) for number in range(8)]  # no common beginning
    plan = plan_memory(loss, [rows], heaviest=rows, prefix_bytes=0)
    assert plan.activations == pytest.approx(_kept(loss, rows), rel=0.02)
    for size in (1, 2, 3):
        small = plan_memory(loss, [rows], heaviest=rows[:size], prefix_bytes=0)
        assert small.activations == pytest.approx(_kept(loss, rows[:size]), rel=0.02)
    assert loss.flat


def test_checkpointing_keeps_little_and_makes_one_layer_again() -> None:
    loss, rows = make_loss(), make_examples(load_tiny()[1], acts_from="prompt")[:3]
    plain = plan_memory(loss, [rows], heaviest=rows, prefix_bytes=0).activations
    inner = loss.model.get_base_model()
    checkpoint_layers(loss.model, wanted=True)
    kept = _kept(loss, rows)
    plan = plan_memory(loss, [rows], heaviest=rows, prefix_bytes=0)
    assert kept < plain
    assert plan.activations == pytest.approx(kept + plain // inner.config.num_hidden_layers, rel=0.1)
    assert inner.model.layers[0].gradient_checkpointing


def test_nodes_that_fill_their_holes_leave_a_small_heap_however_long_it_takes() -> None:
    recipe = RECIPE.model_copy(update={"dropout": 0.0})  # behind dropout the layers stay PEFT's
    loss, rows = make_loss(recipe), make_examples(load_tiny()[1])[:2]
    with fused_lora(loss.model, "reader"), folded_attention(loss.model):
        plans = [
            plan_memory(loss, [rows] * n_steps, heaviest=rows, prefix_bytes=0, several=several)
            for n_steps, several in ((1, False), (90, True))
        ]
    assert len({plan.heap for plan in plans}) == 1
    assert plans[0].heap == pytest.approx(0.05 * plans[0].activations, abs=1)


def test_torchs_own_layers_and_several_micro_batches_leave_a_larger_heap() -> None:
    loss, rows = make_loss(), make_examples(load_tiny()[1])[:2]
    heaps = {
        (n_steps, several): plan_memory(loss, [rows] * n_steps, heaviest=rows, prefix_bytes=0, several=several).heap
        for n_steps in (1, 5, 15, 90)
        for several in (False, True)
    }
    assert len({heaps[n_steps, False] for n_steps in (1, 5, 15, 90)}) == 1
    assert heaps[1, False] < heaps[1, True] < heaps[5, True] < heaps[15, True] == heaps[90, True]
    assert heaps[15, True] == pytest.approx(0.8 / 0.25 * heaps[1, False], rel=0.01)


def test_counting_leaves_nothing_behind_and_changes_nothing() -> None:
    loss = make_loss()
    rows = make_examples(load_tiny()[1])
    before = float(loss(rows).detach())
    _kept(loss, rows)
    assert all(tensor.grad is None for tensor in loss.parameters())
    assert float(loss(rows).detach()) == before


def test_prefixes_are_counted_once_each_and_under_their_cap() -> None:
    loss, rows = make_loss(), make_examples(load_tiny()[1])
    states = loss._find_prefixes(rows)
    distinct = {row.token_ids[: row.n_prefix]: state.n_bytes for row, state in zip(rows, states, strict=True) if state}
    padded = len(rows) * max(state.n_bytes for state in states if state)
    plan = plan_memory(loss, [rows], heaviest=rows, prefix_bytes=1e9)
    assert plan.prefixes == sum(distinct.values()) + padded
    assert plan_memory(loss, [rows], heaviest=rows, prefix_bytes=100).prefixes == 100 + padded


@pytest.mark.parametrize(("free", "expected"), [(100, 8), (7, 8), (6, 4), (3, 2), (0, 1)])
def test_the_micro_batch_is_halved_until_the_plan_fits(free: float, expected: int) -> None:
    plan = MemoryPlan(present=9 * GIB, gradients=0, optimizer=GIB, activations=5 * GIB, logits=0, prefixes=0)
    assert fitting_micro_batch(plan, size=8, free=int(free * GIB)) == expected


def train(folder: Path, told: list[str], **changes: Any) -> Any:
    model, tokenizer = load_tiny()
    return train_adapter(make_job(tokenizer, dropout=0.0, **changes), model, folder, pad_id=0, tell=told.append)


def test_a_plan_that_does_not_fit_makes_micro_batches_smaller_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    whole = train(tmp_path / "whole", told)
    assert whole.events == [] and len(told) == 1 and "memory plan" in told[0]
    monkeypatch.setattr(loop_module, "free_bytes", lambda device: 1000)
    small = train(tmp_path / "small", told)
    assert small.micro_batch_size == 1
    assert "micro-batches of 1 rows instead of 4, the batch stays 4" in small.events[0] == told[-1]
    for one, other in zip(whole.steps, small.steps, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert one["norm"] == pytest.approx(other["norm"], rel=1e-3)


@pytest.mark.parametrize(("gib", "returned"), [(40, 0), (19, 1)], ids=["room", "short"])
def test_the_heap_keeps_freed_blocks_only_while_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gib: int, returned: int
) -> None:
    calls: list[int] = []
    plan = MemoryPlan(0, GIB, GIB, 14 * GIB, 0, 0, heap=3 * GIB)
    monkeypatch.setattr(loop_module, "plan_memory", lambda *_, **__: plan)
    monkeypatch.setattr(loop_module, "return_freed_memory", lambda: calls.append(1))
    monkeypatch.setattr(loop_module, "free_bytes", lambda device: gib * GIB)
    progress = train(tmp_path, [], epochs=1)
    assert len(calls) == returned
    assert progress.planned_bytes == plan.total - returned * plan.heap
    assert progress.micro_batch_size is None


def test_a_bound_of_tokens_makes_small_micro_batches_of_the_same_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    forward = CompletionLoss.forward

    def counted(self: CompletionLoss, examples: Any) -> torch.Tensor:
        sizes.append(len(examples))
        return forward(self, examples)

    whole = train(tmp_path / "whole", [], acts_from="prompt", micro_batch_tokens=10**6)
    monkeypatch.setattr(CompletionLoss, "forward", counted)
    monkeypatch.setattr("workbench.training.loop.plan_memory", lambda *_, **__: MemoryPlan(0, 0, 0, 0, 0, 0))
    small = train(tmp_path / "small", [], acts_from="prompt", micro_batch_tokens=1)
    assert sizes == [1] * 16  # two epochs of eight rows
    for one, other in zip(whole.steps, small.steps, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert one["norm"] == pytest.approx(other["norm"], rel=1e-3)


def test_memory_that_runs_out_halves_what_was_in_hand_not_the_recipes_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    forward = CompletionLoss.forward

    def scarce(self: CompletionLoss, examples: Any) -> torch.Tensor:
        tried.append(len(examples))
        if len(examples) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, examples)

    monkeypatch.setattr("workbench.training.loop.plan_memory", lambda *_, **__: MemoryPlan(0, 0, 0, 0, 0, 0))
    monkeypatch.setattr(CompletionLoss, "forward", scarce)
    longest = max(len(row.token_ids) for row in make_examples(load_tiny()[1], acts_from="prompt"))
    progress = train(tmp_path, [], acts_from="prompt", micro_batch_tokens=2 * longest, epochs=1)
    assert tried[:2] == [2, 1]
    assert progress.micro_batch_size == 1


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_that_runs_out_halves_the_micro_batch_and_loses_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    whole = train(tmp_path / "whole", [])
    forward = CompletionLoss.forward

    def scarce(self: CompletionLoss, examples: Any) -> torch.Tensor:
        if len(examples) > 2 and self.model.training and torch.is_grad_enabled():
            raise error
        return forward(self, examples)

    monkeypatch.setattr("workbench.training.loop.plan_memory", lambda *_, **__: MemoryPlan(0, 0, 0, 0, 0, 0))
    monkeypatch.setattr(CompletionLoss, "forward", scarce)
    small = train(tmp_path / "small", [])
    assert small.micro_batch_size == 2
    assert small.events == ["step 1: out of memory with micro-batches of 4 rows, 2 from here on; the batch stays 4"]
    for one, other in zip(whole.steps, small.steps, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_a_row_that_never_fits_ends_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: CompletionLoss, examples: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("workbench.training.loop.plan_memory", lambda *_, **__: MemoryPlan(0, 0, 0, 0, 0, 0))
    monkeypatch.setattr(CompletionLoss, "forward", never)
    with pytest.raises(TrainingError, match=r"out of memory at step 1 with micro-batches of 1 rows; lower training"):
        train(tmp_path, [])


def test_another_fault_is_not_taken_for_one_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: CompletionLoss, examples: Any) -> torch.Tensor:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("workbench.training.loop.plan_memory", lambda *_, **__: MemoryPlan(0, 0, 0, 0, 0, 0))
    monkeypatch.setattr(CompletionLoss, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(tmp_path, [])
