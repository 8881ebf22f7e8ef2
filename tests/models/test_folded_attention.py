"""Folded attention gives what torch's gives, to the gradients, and only where it may."""

from typing import Any

import pytest
import torch

from tests.tiny import RECIPE, load_tiny, make_examples
from workbench.models.folded_attention import _attend, _FoldedAttention, _part, attends_folded, folded_attention
from workbench.models.lora_methods import create_adapter
from workbench.models.prefix import PrefixStore
from workbench.training.loss import CompletionLoss

pytestmark = pytest.mark.usefixtures("tiny_home")


def make_inputs(n_queries: int, n_keys: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    torch.manual_seed(0)
    shapes = ((2, 6, n_queries, 8), (2, 2, n_keys, 8), (2, 2, n_keys, 8))
    places = torch.arange(n_keys) <= torch.arange(n_queries)[:, None] + n_keys - n_queries
    mask = places.expand(2, 1, -1, -1).clone()
    mask[1, :, :, :2] = False  # padding on the left
    mask[1, :, :, -1] = True
    return [torch.randn(shape, requires_grad=True) for shape in shapes], mask


def attend(*arguments: Any) -> torch.Tensor:
    apply: Any = _FoldedAttention.apply
    result: torch.Tensor = apply(*arguments)
    assert result.is_contiguous()  # (B, S, H, D): the output projection takes it as it is
    return result.transpose(1, 2)


@pytest.mark.parametrize(("n_queries", "n_keys"), [(3, 9), (7, 7), (1, 5)], ids=["few", "as many", "one"])
def test_output_and_gradients_are_torchs(n_queries: int, n_keys: int) -> None:
    inputs, mask = make_inputs(n_queries, n_keys)
    found = attend(*inputs, mask, 0.3, 0)
    q, k, v = inputs
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3, enable_gqa=True)
    assert torch.allclose(found, expected, atol=1e-5)
    upstream = torch.randn_like(found)
    for mine, theirs in zip(
        torch.autograd.grad(found, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True
    ):
        assert torch.allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("kept", [0, 8, 512], ids=["weights computed again", "some", "weights kept"])
@pytest.mark.parametrize("scores", [1, 2**20], ids=["row by row", "rows together"])
def test_blocks_of_queries_add_up_to_the_whole(scores: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.models.folded_attention.QUERIES", 4)
    monkeypatch.setattr("workbench.models.folded_attention.KEPT", kept)
    monkeypatch.setattr("workbench.models.folded_attention.SCORES", scores)
    test_output_and_gradients_are_torchs(11, 14)


@pytest.mark.parametrize("n_frozen", [0, 2])
def test_keys_that_no_query_of_a_block_sees_are_left_out(n_frozen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.models.folded_attention.QUERIES", 4)
    (q, k, v), _ = make_inputs(12, 12)
    row = torch.tensor([-1, -1, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2])  # rows laid flat behind two tokens that all see
    mask = ((row[:, None] == row) | (row == -1)).tril().expand(2, 1, -1, -1)
    blocks = _part(mask, n_heads=6, n_frozen=n_frozen)
    seen = [block.keys(k).shape[1] for block in blocks if block.first == 0]
    assert seen == ([4, 8, 12] if n_frozen else [4, 8, 7])
    found = attend(q, k, v, mask, 0.3, n_frozen)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3, enable_gqa=True)
    assert torch.allclose(found, expected, atol=1e-5)
    upstream = torch.randn_like(found)
    mine = torch.autograd.grad(found, (q, k, v), upstream)
    theirs = torch.autograd.grad(expected, (q, k, v), upstream)
    assert torch.allclose(mine[0], theirs[0], atol=1e-5)
    for one, other in zip(mine[1:], theirs[1:], strict=True):
        assert torch.allclose(one[:, :, n_frozen:], other[:, :, n_frozen:], atol=1e-5)


def test_a_query_that_sees_nothing_leaves_all_finite() -> None:
    inputs, mask = make_inputs(7, 7)
    mask[1, :, :3] = False  # padding on the left, queries too
    halves = [tensor.detach().half().requires_grad_() for tensor in inputs]
    found = attend(*halves, mask, 1000.0, 0)
    gradients = torch.autograd.grad(found, halves, torch.ones_like(found))
    assert all(tensor.isfinite().all() for tensor in (found, *gradients))


def test_frozen_keys_get_no_gradient_and_the_others_theirs() -> None:
    inputs, mask = make_inputs(3, 9)
    upstream = torch.randn(2, 6, 3, 8)
    whole = torch.autograd.grad(attend(*inputs, mask, 0.3, 0), inputs, upstream)
    frozen = torch.autograd.grad(attend(*inputs, mask, 0.3, 6), inputs, upstream)
    assert torch.equal(frozen[0], whole[0])
    for mine, all_keys in zip(frozen[1:], whole[1:], strict=True):
        assert not mine[:, :, :6].any()
        assert torch.allclose(mine[:, :, 6:], all_keys[:, :, 6:], atol=1e-6)


@pytest.mark.parametrize("acts_from", ["prompt", "question"])
def test_a_training_loss_and_its_gradients_stay_what_they_were(acts_from: str) -> None:
    model, tokenizer = load_tiny()
    fresh = create_adapter(model.float(), "reader", RECIPE, seed=0)
    fresh.model.eval()  # no dropout
    for name, parameter in fresh.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    rows = make_examples(tokenizer, acts_from=acts_from)[:4]
    loss = CompletionLoss(fresh.model, adapter="reader", prefixes=PrefixStore(max_bytes=1e9, evict=False), pad_id=0)

    def measure() -> tuple[torch.Tensor, list[torch.Tensor]]:
        value = loss(rows)
        trained = [parameter for parameter in fresh.model.parameters() if parameter.requires_grad]
        return value.detach(), list(torch.autograd.grad(value, trained))

    expected, expected_gradients = measure()
    with folded_attention(fresh.model) as on:
        assert on
        assert attends_folded(fresh.model)
        found, gradients = measure()
    assert not attends_folded(fresh.model)
    assert float(found) == pytest.approx(float(expected), abs=1e-3)
    for mine, theirs in zip(gradients, expected_gradients, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-3 * float(theirs.abs().max()) + 1e-6)


def test_without_gradients_torchs_own_kernel_answers_to_the_bit() -> None:
    model, _ = load_tiny()
    ids = torch.tensor([[5, 6, 7, 8], [0, 0, 7, 8]])
    mask = (ids > 0).long()
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).logits
        with folded_attention(model):
            assert torch.equal(model(input_ids=ids, attention_mask=mask).logits, expected)


@pytest.mark.parametrize("rows_and_heads", [(1, 1), (2, 6)], ids=["one mask for all rows", "a mask for each head"])
def test_masks_of_other_shapes_hide_what_they_should(
    rows_and_heads: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.folded_attention.SCORES", 1)  # as where rows are long: one at a time
    (q, k, v), _ = make_inputs(7, 7)
    mask = torch.rand(*rows_and_heads, 7, 7) > 0.5
    mask[..., 0] = True  # no query that sees nothing
    grouped = torch.nn.Module()
    grouped.num_key_value_groups = 3  # type: ignore[assignment]  # as a model sets it
    found, _ = _attend(grouped, q, k, v, mask, scaling=0.3)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3, enable_gqa=True)
    assert torch.allclose(found.transpose(1, 2), expected, atol=1e-5)


@pytest.mark.gpu
def test_a_gpu_gives_finite_gradients_behind_a_mask() -> None:
    # What cuDNN's backward pass made NaN of on an H100: a length of 64 beyond a multiple of 128, very low scores.
    from torch.nn.functional import scaled_dot_product_attention

    model, _ = load_tiny()
    query = torch.full((1, 2, 704, 64), 4.0, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    key = torch.full((1, 2, 704, 64), -4.0, device="cuda", dtype=torch.bfloat16)
    mask = torch.ones((1, 1, 704, 704), dtype=torch.bool, device="cuda").tril()
    with folded_attention(model.to("cuda")) as replaced:
        assert not replaced
        out = scaled_dot_product_attention(query, key, torch.randn_like(key), attn_mask=mask)
        out.sum().backward()  # type: ignore[no-untyped-call]
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()
