"""Cross-entropy of hidden states under a frozen output layer, a chunk of tokens at a time.

The logits of a chunk and their gradient live only while the chunk is computed: memory is one chunk of (tokens, V), not
the batch's. The gradient is taken in the forward pass, as in Liger's fused linear cross-entropy (arXiv:2410.10989).
"""

from __future__ import annotations

from typing import Any

import torch

# Of a chunk's logits, had they four bytes. On two cores 85 tokens of a vocabulary of 49k at once were as fast as 341,
# and 42 were 15 % slower.
CHUNK_BYTES = {"cpu": 16 * 2**20, "cuda": 64 * 2**20}
# Of those that are widened to float32 at once: as many as stay in a core's cache, on a GPU all of a chunk.
WIDE_BYTES = {"cpu": 2 * 2**20, "cuda": 64 * 2**20}


def chunk_tokens(vocabulary: int, device: torch.device) -> int:
    """Return how many tokens' logits fit one chunk; at least one."""
    return _tokens(CHUNK_BYTES, vocabulary, device)


def chunk_bytes(n_targets: int, vocabulary: int, device: torch.device, dtype: torch.dtype) -> int:
    """Return what the largest chunk of `n_targets` takes at its most: logits in `dtype`, and a part of them wide."""
    at_once = min(n_targets, chunk_tokens(vocabulary, device))
    wide = min(at_once, _tokens(WIDE_BYTES, vocabulary, device)) if dtype.itemsize < 4 else 0
    return vocabulary * (at_once * dtype.itemsize + wide * 4)


def _tokens(bounds: dict[str, int], vocabulary: int, device: torch.device) -> int:
    return max(1, bounds.get(device.type, bounds["cuda"]) // (4 * vocabulary))


class _FusedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor
    ) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden) if context.needs_input_grad[0] else None
        size = chunk_tokens(weight.shape[0], hidden.device)
        for start in range(0, hidden.shape[0], size):
            logits = torch.nn.functional.linear(hidden[start : start + size], weight, bias)  # (chunk, V)
            total += _to_slopes(logits, targets[start : start + size])
            if gradient is not None:
                gradient[start : start + size] = logits @ weight
        context.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, None, None, None]:
        (gradient,) = context.saved_tensors
        return None if gradient is None else gradient * upstream[0].to(gradient.dtype), None, None, None


def _to_slopes(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return a chunk's summed cross-entropy and leave its gradient in `logits`; only a few tokens' are float32."""
    total = torch.zeros((), dtype=torch.float32, device=logits.device)
    size = _tokens(WIDE_BYTES, logits.shape[-1], logits.device)
    for part, wanted in zip(torch.split(logits, size), torch.split(targets, size), strict=True):
        wide = part.float()  # the same memory where it is float32 already
        total += _sum_losses(wide, wanted)
        wide[torch.arange(len(wanted), device=wide.device), wanted] -= 1.0
        part.copy_(wide)
    return total


def _sum_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the summed cross-entropy of a chunk; `logits` (chunk, V) are probabilities afterwards: no copy is made."""
    aimed = logits.gather(-1, targets[:, None])
    most = logits.amax(dim=-1, keepdim=True)
    sums = logits.sub_(most).exp_().sum(dim=-1, keepdim=True)
    logits.div_(sums)
    return (sums.log() + (most - aimed)).sum()


def summed_cross_entropy(hidden: torch.Tensor, layer: Any, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of `targets` under `layer(hidden)` in nats, summed (a scalar, float32).

    Args:
        hidden: shape (N, H), the states that predict the targets.
        layer: the frozen output layer, a torch.nn.Linear of shape (V, H).
        targets: shape (N,), token ids.
    """
    result = _FusedCrossEntropy.apply(hidden, layer.weight, layer.bias, targets)  # type: ignore[no-untyped-call]
    assert isinstance(result, torch.Tensor)
    return result


@torch.no_grad()
def token_losses(hidden: torch.Tensor, layer: Any, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each target in nats: shape (N,), float32, on the CPU. Memory as above."""
    size = chunk_tokens(layer.weight.shape[0], hidden.device)
    parts = [
        torch.nn.functional.cross_entropy(
            layer(hidden[start : start + size]).float(), targets[start : start + size], reduction="none"
        )
        for start in range(0, hidden.shape[0], size)
    ]
    return torch.cat(parts).cpu()
