"""Cross-entropy where there is loss, and nowhere else.

At a vocabulary of 49k the logits of a whole row cost more than the transformer: the hidden states are selected first,
then multiplied by the output layer. The prefix's keys and values come from the frozen base, without gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from workbench.errors import TrainingError
from workbench.models.adapters import adapter_active
from workbench.models.prefix import Prefix, PrefixStore, assemble_batch, compute_prefix, decoder
from workbench.types import TrainingExample


class CompletionLoss(torch.nn.Module):
    """Examples → summed loss over their loss tokens. A module, as Accelerate wants it."""

    def __init__(self, model: Any, *, adapter: str, prefix_cache_bytes: float, pad_id: int) -> None:
        super().__init__()
        self.model = model
        self._adapter = adapter
        self._pad_id = pad_id
        self.prefixes = PrefixStore(max_bytes=prefix_cache_bytes, evict=False)

    def forward(self, examples: Sequence[TrainingExample]) -> torch.Tensor:
        """Return the loss in nats, summed over the loss tokens of `examples` (a scalar, float32)."""
        prefixes = self._find_prefixes(examples)
        suffixes = [example.token_ids[example.n_prefix :] for example in examples]
        batch = assemble_batch(prefixes, suffixes, pad_id=self._pad_id, device=self.model.device)
        hidden = decoder(self.model)(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            attention_mask=batch.attention_mask,
            past_key_values=batch.cache,
            use_cache=True,
        ).last_hidden_state  # (B, S, H)
        predicts, targets = self._loss_positions(examples, longest=hidden.shape[1])
        logits = output_layer(self.model)(hidden[predicts.to(hidden.device)])  # (loss tokens, V)
        return torch.nn.functional.cross_entropy(logits.float(), targets.to(logits.device), reduction="sum")

    def _find_prefixes(self, examples: Sequence[TrainingExample]) -> list[Prefix | None]:
        training = self.model.training
        self.model.eval()  # the frozen base reads as it will when it answers: a dropout of its own stays off
        with adapter_active(self.model, None):
            prefixes = [self._prefix(example) for example in examples]
        self.model.train(training)
        return prefixes

    def _prefix(self, example: TrainingExample) -> Prefix | None:
        if not example.n_prefix:
            return None
        ids = example.token_ids[: example.n_prefix]
        return self.prefixes.get(None, ids, lambda: compute_prefix(self.model, ids))

    @staticmethod
    def _loss_positions(examples: Sequence[TrainingExample], *, longest: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return which of the (B, S) hidden states predict a loss token, and those tokens in the same order."""
        predicts = torch.zeros((len(examples), longest), dtype=torch.bool)
        targets: list[int] = []
        for row, example in enumerate(examples):
            offset = longest - len(example.token_ids)  # rows end at the right edge
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
