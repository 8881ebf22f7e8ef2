"""Cross-entropy where there is loss, and nowhere else; what rows share is computed once.

At a vocabulary of 49k the logits of a whole row cost more than the transformer: the hidden states are selected first,
then multiplied by the output layer. A row's prefix (`n_prefix`) is read by the frozen base, without gradients. What all
rows of a batch begin with (system text, template) is run once *with* gradients, which add up over the rows: the same
sums as row by row, on fewer tokens (with dropout, one mask for what is shared).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from transformers import DynamicCache

from workbench.errors import TrainingError
from workbench.models.adapters import adapter_active
from workbench.models.folded_attention import attends_folded
from workbench.models.lean_layers import last_mlp_at
from workbench.models.prefix import Prefix, PrefixedBatch, PrefixStore, assemble_batch, compute_prefixes, decoder
from workbench.training.cross_entropy import summed_cross_entropy, token_losses
from workbench.training.flat import FlatBatch, fits_flat, lay_flat
from workbench.types import TrainingExample

WORTH_SHARING = 8  # tokens a row; below, a pass of its own costs more than it saves


class CompletionLoss(torch.nn.Module):
    """Examples → summed loss over their loss tokens. A module, as Accelerate wants it."""

    def __init__(
        self, model: Any, *, adapter: str, prefixes: PrefixStore, pad_id: int, share_beginnings: bool = True
    ) -> None:
        super().__init__()
        self.model = model
        self.prefixes = prefixes
        self._adapter = adapter
        self._pad_id = pad_id
        self._share_beginnings = share_beginnings
        self.flat = True  # False: pad even where rows would lie flat, as a plan for a larger batch does

    def forward(self, examples: Sequence[TrainingExample]) -> torch.Tensor:
        """Return the loss in nats, summed over the loss tokens of `examples` (a scalar, float32)."""
        states, targets = self._states(examples)
        return summed_cross_entropy(states, output_layer(self.model), targets)

    def per_example(self, examples: Sequence[TrainingExample]) -> list[float]:
        """Return each example's loss in nats, summed over its loss tokens; without gradients."""
        with torch.no_grad():
            states, targets = self._states(examples)
        counts = [sum(example.loss_mask) for example in examples]
        losses = torch.split(token_losses(states, output_layer(self.model), targets), counts)
        return [float(part.sum()) for part in losses]

    def _states(self, examples: Sequence[TrainingExample]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states that predict a loss token, shape (loss tokens, H), and those tokens."""
        n_shared = shared_beginning(examples)
        if self.flat and self.lies_flat(examples):
            return self._flat_states(lay_flat(examples, n_shared, device=self.model.device))
        n_shared *= self._share_beginnings
        plain = not n_shared and not any(example.n_prefix for example in examples)
        longest = max(len(example.token_ids) - (n_shared or example.n_prefix) for example in examples)
        predicts, targets = _loss_positions(examples, longest=longest, padded="right" if plain else "left")
        with last_mlp_at(self.model, predicts.flatten().nonzero()[:, 0], predicts.shape):
            if plain:
                hidden = self._plain(examples)  # (B, S, H)
            else:
                hidden = self._shared(examples, n_shared) if n_shared else self._prefixed(examples)
        return hidden[predicts.to(hidden.device)], targets.to(hidden.device)

    def lies_flat(self, examples: Sequence[TrainingExample]) -> bool:
        """Whether these rows are short enough to be laid flat."""
        fits = len(examples) > 1 and fits_flat(examples, shared_beginning(examples))
        return fits and not self._too_long_for_window(examples)

    def _flat_states(self, batch: FlatBatch) -> tuple[torch.Tensor, torch.Tensor]:
        with last_mlp_at(self.model, batch.predicts, batch.input_ids.shape):
            hidden = decoder(self.model)(
                input_ids=batch.input_ids, position_ids=batch.position_ids, attention_mask=batch.mask, use_cache=False
            ).last_hidden_state  # (1, L, H)
        return hidden[0, batch.predicts], batch.targets

    def _too_long_for_window(self, examples: Sequence[TrainingExample]) -> bool:
        """Whether a layer sees less than a whole row: a mask of our own would let it see all."""
        window = getattr(self.model.get_base_model().config.get_text_config(), "sliding_window", None)
        return window is not None and max(len(example.token_ids) for example in examples) > window

    def _plain(self, examples: Sequence[TrainingExample]) -> torch.Tensor:
        """Rows padded on the right: no token sees what follows it, so a GPU needs no mask to hide the padding."""
        longest = max(len(example.token_ids) for example in examples)
        input_ids = torch.full((len(examples), longest), self._pad_id)
        attention_mask = torch.zeros_like(input_ids)
        for row, example in enumerate(examples):
            input_ids[row, : len(example.token_ids)] = torch.tensor(example.token_ids)
            attention_mask[row, : len(example.token_ids)] = 1
        device = self.model.device
        hidden = decoder(self.model)(
            input_ids=input_ids.to(device),
            attention_mask=None if device.type == "cuda" else attention_mask,
            use_cache=False,
        ).last_hidden_state
        assert isinstance(hidden, torch.Tensor)
        return hidden

    def _prefixed(self, examples: Sequence[TrainingExample]) -> torch.Tensor:
        prefixes = self._find_prefixes(examples)
        suffixes = [example.token_ids[example.n_prefix :] for example in examples]
        batch = assemble_batch(prefixes, suffixes, pad_id=self._pad_id, device=self.model.device)
        return self._run(batch, batch.cache, n_frozen=batch.attention_mask.shape[1] - batch.input_ids.shape[1])

    def _shared(self, examples: Sequence[TrainingExample], n_shared: int) -> torch.Tensor:
        beginning = torch.tensor([examples[0].token_ids[:n_shared]], device=self.model.device)
        once: Any = DynamicCache()
        with last_mlp_at(self.model, None):
            decoder(self.model)(input_ids=beginning, past_key_values=once, use_cache=True)
        cache = DynamicCache()
        for number, layer in enumerate(once.layers):
            many = (len(examples), -1, -1, -1)
            cache.update(layer.keys.expand(many), layer.values.expand(many), number)
        rest = [example.token_ids[n_shared:] for example in examples]
        batch = assemble_batch(
            [None] * len(rest), rest, pad_id=self._pad_id, device=self.model.device, n_before=n_shared
        )
        return self._run(batch, cache)

    def _run(self, batch: PrefixedBatch, cache: DynamicCache, *, n_frozen: int = 0) -> torch.Tensor:
        # Without anything before the rows no cache is kept: checkpointing cannot recompute into one.
        hidden = decoder(self.model)(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            attention_mask=batch.attention_mask,
            past_key_values=cache if len(cache.layers) else None,
            use_cache=bool(len(cache.layers)),
            **({"n_frozen": n_frozen} if attends_folded(self.model) else {}),
        ).last_hidden_state
        assert isinstance(hidden, torch.Tensor)
        return hidden

    def _find_prefixes(self, examples: Sequence[TrainingExample]) -> list[Prefix | None]:
        wanted = [example.token_ids[: example.n_prefix] for example in examples]
        missing = [ids for ids in dict.fromkeys(wanted) if not self.prefixes.holds(None, ids)]
        read = dict(zip(missing, self._read(missing), strict=True)) if missing else {}
        return [self.prefixes.get(None, ids, partial(read.__getitem__, ids)) if ids else None for ids in wanted]

    def _read(self, many: Sequence[tuple[int, ...]]) -> list[Prefix]:
        training = self.model.training
        self.model.eval()  # the frozen base reads as it will when it answers: a dropout of its own stays off
        with adapter_active(self.model, None), last_mlp_at(self.model, None):
            prefixes = compute_prefixes(self.model, many)
        self.model.train(training)
        return prefixes


def shared_beginning(examples: Sequence[TrainingExample]) -> int:
    """Return how many tokens all rows begin with and none has loss on (the first prediction's state included)."""
    if len(examples) < 2 or any(example.n_prefix for example in examples):
        return 0
    bound = min(example.loss_mask.index(True) for example in examples) - 1
    columns = zip(*(example.token_ids[:bound] for example in examples), strict=True)
    shared = next((place for place, column in enumerate(columns) if len(set(column)) > 1), bound)
    return shared if shared >= WORTH_SHARING else 0


def _loss_positions(
    examples: Sequence[TrainingExample], *, longest: int, padded: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which of the (B, S) hidden states predict a loss token, and those tokens in the same order.

    Args:
        longest: S; rows stand at the other edge than the one they are `padded` on, "left" or "right".
    """
    predicts = torch.zeros((len(examples), longest), dtype=torch.bool)
    targets: list[int] = []
    for row, example in enumerate(examples):
        offset = longest - len(example.token_ids) if padded == "left" else 0
        for position, (token, counts) in enumerate(zip(example.token_ids, example.loss_mask, strict=True)):
            if counts:
                predicts[row, offset + position - 1] = True
                targets.append(token)
    return predicts, torch.tensor(targets)


def output_layer(model: Any) -> Any:
    """Return the layer that turns hidden states into logits."""
    return model.get_base_model().get_output_embeddings()


@torch.no_grad()
def check_logits(model: Any, ids: Sequence[int]) -> None:
    """Raise TrainingError if the model does more to its logits than its output layer (soft-capping, scaling).

    The loss here takes the output layer alone, so for such a model it would not be the model's own.
    """
    inputs = torch.tensor([list(ids)], device=model.device)
    whole = model(input_ids=inputs).logits
    ours = output_layer(model)(decoder(model)(input_ids=inputs).last_hidden_state)
    if not torch.allclose(whole.float(), ours.float(), rtol=1e-2, atol=1e-2, equal_nan=True):
        difference = float((whole.float() - ours.float()).abs().max())
        raise TrainingError(
            f"the model changes its logits after the output layer (by up to {difference:.3g}); such models cannot be "
            f"trained here yet: choose one without logit scaling or soft-capping"
        )


def count_loss_tokens(examples: Sequence[TrainingExample]) -> int:
    """Return how many tokens of `examples` carry loss."""
    return sum(sum(example.loss_mask) for example in examples)
