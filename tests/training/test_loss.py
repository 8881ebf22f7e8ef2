"""The loss against a plain forward pass, and gradients against the big batch."""

import pytest
import torch

from tests.tiny import RECIPE, load_tiny, make_examples
from workbench.errors import TrainingError
from workbench.models.lean_layers import lean_layers
from workbench.models.lora_methods import create_adapter
from workbench.models.prefix import PrefixStore, compute_prefix
from workbench.training import cross_entropy
from workbench.training.loss import CompletionLoss, check_logits, count_loss_tokens
from workbench.types import TrainingExample

pytestmark = pytest.mark.usefixtures("tiny_home")


def make_loss(acts_from: str):  # type: ignore[no-untyped-def]
    model, tokenizer = load_tiny()
    peft_model = create_adapter(model, "reader", RECIPE.model_copy(update={"dropout": 0.0}), seed=0).model
    for name, parameter in peft_model.named_parameters():
        if "lora_B" in name:  # B = 0 would hide the adapter
            torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    loss = CompletionLoss(peft_model, adapter="reader", prefixes=PrefixStore(max_bytes=1e9, evict=False), pad_id=0)
    peft_model.set_adapter("reader")
    return loss, make_examples(tokenizer, acts_from=acts_from)


def test_plain_lora_loss_equals_a_full_forward_pass() -> None:
    loss, examples = make_loss("prompt")
    by_hand = 0.0
    for example in examples:
        ids = torch.tensor([example.token_ids])
        labels = ids.where(torch.tensor([example.loss_mask]), -100)
        logits = loss.model(ids).logits
        by_hand += float(torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], reduction="sum").detach())
    assert float(loss(examples).detach()) == pytest.approx(by_hand, rel=1e-4)


def test_the_passages_are_read_by_the_bare_base_and_the_question_by_the_adapter() -> None:
    loss, examples = make_loss("question")
    example = examples[0]
    with torch.no_grad(), loss.model.disable_adapter():
        prefix = compute_prefix(loss.model, example.token_ids[: example.n_prefix])
    from transformers import DynamicCache

    cache = DynamicCache()
    for layer, states in enumerate(prefix.states):
        cache.update(states[0][None], states[1][None], layer)
    suffix = torch.tensor([example.token_ids[example.n_prefix :]])
    logits = loss.model(input_ids=suffix, past_key_values=cache).logits
    labels = suffix.where(torch.tensor([example.loss_mask[example.n_prefix :]]), -100)
    by_hand = torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], reduction="sum")
    assert float(loss([example]).detach()) == pytest.approx(float(by_hand.detach()), rel=1e-4)
    everywhere, same = make_loss("prompt")
    assert float(everywhere([same[0]]).detach()) != pytest.approx(float(by_hand.detach()), rel=1e-3)


@pytest.mark.parametrize("acts_from", ["question", "prompt"])
def test_gradients_of_single_rows_add_up_to_the_batchs(acts_from: str) -> None:
    loss, examples = make_loss(acts_from)
    parameters = [parameter for parameter in loss.parameters() if parameter.requires_grad]

    def gradients(micro_batch_size: int) -> list[torch.Tensor]:
        loss.zero_grad()
        for start in range(0, len(examples), micro_batch_size):
            (loss(examples[start : start + micro_batch_size]) / count_loss_tokens(examples)).backward()
        return [parameter.grad.clone() for parameter in parameters if parameter.grad is not None]

    whole, single = gradients(8), gradients(1)
    assert len(whole) == len(parameters)
    for one, other in zip(whole, single, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("padded", [False, True], ids=["flat where they fit", "padded"])
@pytest.mark.parametrize("acts_from", ["question", "prompt"])
def test_the_last_mlp_computes_only_what_predicts_a_loss_token(acts_from: str, padded: bool) -> None:
    loss, examples = make_loss(acts_from)
    loss.flat = not padded
    last = loss.model.get_base_model().get_decoder().layers[-1].mlp
    widths: list[int] = []
    last.gate_proj.register_forward_hook(lambda module, inputs, output: widths.append(output[..., 0].numel()))

    def measure(rows: list[TrainingExample]) -> tuple[float, list[torch.Tensor]]:
        loss.zero_grad()
        total = loss(rows)
        total.backward()
        grads = [parameter.grad.clone() for parameter in loss.parameters() if parameter.grad is not None]
        return float(total.detach()), grads

    for rows in (examples, examples[:1]):
        expected, theirs = measure(rows)
        with lean_layers(loss.model):
            widths.clear()
            found, mine = measure(rows)
        assert widths == [count_loss_tokens(rows)]
        assert found == pytest.approx(expected, rel=1e-5)
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_logits_are_taken_in_chunks_and_overwritten_with_their_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setitem(cross_entropy.CHUNK_BYTES, "cpu", 3 * 4 * 11)  # three tokens of a vocabulary of 11
    layer, targets = torch.nn.Linear(6, 11).requires_grad_(False), torch.randint(0, 11, (8,))
    hidden = (40 * torch.randn(8, 6)).requires_grad_()  # logits that overflow where their largest is not taken off
    expected = torch.nn.functional.cross_entropy(layer(hidden), targets, reduction="sum")
    found = cross_entropy.summed_cross_entropy(hidden, layer, targets)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    (mine,), (theirs,) = torch.autograd.grad(found, hidden), torch.autograd.grad(expected, hidden)
    torch.testing.assert_close(mine, theirs)
    assert float(cross_entropy.token_losses(hidden, layer, targets).sum()) == pytest.approx(float(found.detach()))


def test_only_a_part_of_a_chunk_is_ever_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, targets = torch.nn.Linear(6, 11).bfloat16().requires_grad_(False), torch.randint(0, 11, (8,))
    hidden = torch.randn(8, 6).bfloat16().requires_grad_()
    widths: list[int] = []
    inner = cross_entropy._sum_losses

    def counting(wide: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        widths.append(len(wide))
        return inner(wide, wanted)

    def measure(n_wide: int) -> tuple[float, torch.Tensor]:
        monkeypatch.setitem(cross_entropy.WIDE_BYTES, "cpu", n_wide * 4 * 11)
        found = cross_entropy.summed_cross_entropy(hidden, layer, targets)
        at_most = cross_entropy.chunk_bytes(8, 11, torch.device("cpu"), torch.bfloat16)
        assert at_most == 8 * 11 * 2 + n_wide * 11 * 4
        return float(found.detach()), torch.autograd.grad(found, hidden)[0]

    monkeypatch.setattr(cross_entropy, "_sum_losses", counting)
    (whole, whole_slope), (parts, slope) = measure(8), measure(2)
    assert widths == [8, 2, 2, 2, 2]
    assert parts == pytest.approx(whole, rel=1e-6)
    assert torch.equal(slope, whole_slope)


def test_prefixes_are_computed_once_over_epochs() -> None:
    loss, examples = make_loss("question")
    for _ in range(3):
        loss(examples)
    assert loss.prefixes.n_computed == 2


def test_a_model_that_scales_its_logits_is_refused_not_trained_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    loss, _ = make_loss("prompt")
    check_logits(loss.model, [5, 6, 7])
    base = loss.model.get_base_model()
    forward = base.forward

    def scaled(*arguments: object, **options: object) -> object:
        result = forward(*arguments, **options)
        result.logits = result.logits * 30
        return result

    monkeypatch.setattr(base, "forward", scaled)
    with pytest.raises(TrainingError, match="changes its logits"):
        check_logits(loss.model, [5, 6, 7])
