"""A model's normalization and gated MLP as nodes that keep and compute less, for training on a CPU.

Transformers computes a root-mean-square norm in seven operations, of which autograd keeps the input widened to float32;
here one node keeps the input as it came. Of `silu(gate) * up` autograd keeps silu(gate) too, and LoRA's layer behind it
the product; here both are computed again.
The forward pass takes the same operations in the same order: its result is equal to the bit, and a module whose result
is not (another norm, another activation) is left as it is. Of the last layer's MLP only the tokens that are asked for
are computed: no other state is read.

Source: Hsu et al. 2024, Liger Kernel, section 3.2, https://arxiv.org/abs/2410.10989
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from workbench.models.buffers import empty
from workbench.models.lora_linear import acting, linear, lora_gradients

MLP_PARTS = ("gate_proj", "up_proj", "down_proj")
SIZES = (1e-3, 1.0, 100.0)  # of the probe's rows: so small that a norm's epsilon counts, so large that a clamp would


class _RootMeanSquareNorm(torch.autograd.Function):
    """w * x / sqrt(mean(x²) + eps), the weight frozen. Shapes: x (..., H), w (H,)."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        wide = empty(x.shape, like=x, dtype=torch.float32).copy_(x)
        squares = torch.pow(wide, 2, out=empty(x.shape, like=wide))
        scale = torch.rsqrt(squares.mean(-1, keepdim=True) + eps)  # (..., 1)
        del squares
        context.save_for_backward(x, scale, weight)
        narrow = empty(x.shape, like=x).copy_(wide.mul_(scale))
        return narrow.mul_(weight) if weight.dtype == x.dtype else weight * narrow

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        x, scale, weight = context.saved_tensors
        wide, slope = x.float(), (upstream[0] * weight).float()
        mean = (slope * wide).mean(-1, keepdim=True) * scale.square()
        return torch.addcmul(slope, wide, mean, value=-1).mul_(scale).to(x.dtype), None, None


class _GatedSilu(torch.autograd.Function):
    """silu(gate) * up, both of one shape."""

    @staticmethod
    def forward(context: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(gate, up)
        return _silu(gate).mul_(up)

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gate, up = context.saved_tensors
        return _into_gated(torch.nn.functional.silu(gate), gate, up, upstream[0])


class _GatedLora(torch.autograd.Function):
    """LoRA's linear layer over h = silu(gate) * up. Shapes: gate, up (..., I), W (O, I), A (r, I), B (O, r)."""

    @staticmethod
    def forward(  # noqa: PLR0917  (autograd takes no keywords)
        context: Any,
        gate: torch.Tensor,
        up: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        lora_a: torch.Tensor,
        lora_b: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        rows = _silu(gate).mul_(up).reshape(-1, gate.shape[-1])  # (N, I)
        a, b = lora_a.to(gate.dtype), (lora_b * scaling).to(gate.dtype)
        projected = rows @ a.T  # (N, r)
        out = linear(rows, weight, bias).addmm_(projected, b.T)  # (N, O)
        context.save_for_backward(gate, up, projected, weight, a, b)
        context.scaling, context.shape, context.kept_as = scaling, gate.shape, lora_a.dtype
        return out.view(*gate.shape[:-1], -1)

    @staticmethod
    def backward(context: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gate, up, projected, weight, a, b = context.saved_tensors
        activated = torch.nn.functional.silu(gate)
        rows = (activated * up).reshape(-1, gate.shape[-1])
        into_hidden, into_a, into_b = lora_gradients(context, upstream[0], rows, projected, weight, a, b)
        del rows
        assert into_hidden is not None
        into_gate, into_up = _into_gated(activated, gate, up, into_hidden)
        return into_gate, into_up, None, None, into_a, into_b, None


def _into_gated(
    activated: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, upstream: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of gate and up; `activated`, silu(gate), is used up."""
    into_up = activated.mul_(upstream)
    return torch.ops.aten.silu_backward(upstream * up, gate), into_up


def _silu(gate: torch.Tensor) -> torch.Tensor:
    out = empty(gate.shape, like=gate)
    torch.ops.aten.silu.out(gate, out=out)
    return out


def _forward_norm(module: Any, hidden_states: torch.Tensor) -> Any:
    return _RootMeanSquareNorm.apply(hidden_states, module.weight, _epsilon(module))  # type: ignore[no-untyped-call]


def _forward_mlp(module: Any, x: torch.Tensor) -> Any:
    wanted: Any = getattr(module, "wanted", None)
    if wanted is None or (wanted.shape is not None and wanted.shape != x.shape[:-1]):
        return _gated(module, x)
    rows = x.reshape(-1, x.shape[-1])
    out = torch.zeros_like(rows)
    if wanted.shape is not None:
        out = out.index_copy(0, wanted.places, _gated(module, rows.index_select(0, wanted.places)))
    return out.view(x.shape)


def _gated(module: Any, x: torch.Tensor) -> Any:
    gate, up, down = module.gate_proj(x), module.up_proj(x), module.down_proj
    adapter, base = acting(down), getattr(down, "base_layer", None)
    if adapter is not None and type(base) is torch.nn.Linear:
        return _GatedLora.apply(gate, up, base.weight, base.bias, *adapter)  # type: ignore[no-untyped-call]
    return down(_GatedSilu.apply(gate, up))  # type: ignore[no-untyped-call]


@contextmanager
def lean_layers(model: Any, *, sealed: bool = False) -> Iterator[int]:
    """Compute norms and gated MLPs of a model on a CPU this way inside the block; yield how many modules do.

    Args:
        sealed: layers are compiled or checkpointed, so nothing beside their tensors may tell them what to do: the last
            MLP computes every token.
    """
    inner = _without_peft(model)
    replaced = _find_replaceable(inner) if inner.device.type == "cpu" else []
    kept: list[type[torch.nn.Module]] = [type(module) for module in replaced]
    # By class, not by a forward of each module's own: torch.compile takes layers of equal classes for equal.
    lean = {kind: _lean_class(kind, sealed=sealed) for kind in kept}
    for module, before in zip(replaced, kept, strict=True):
        module.__class__ = lean[before]
    last = None if sealed else _last_mlp(inner)
    if last is not None:
        last.trims = _is_all_that_follows(inner, last)
    try:
        yield len(replaced)
    finally:
        if last is not None:
            del last.trims, last.wanted
        for module, before in zip(replaced, kept, strict=True):
            module.__class__ = before


@contextmanager
def last_mlp_at(model: Any, places: torch.Tensor | None, shape: Sequence[int] = ()) -> Iterator[None]:
    """Inside the block no state is read but those at `places`: where `lean_layers` can, the last MLP computes no other.

    Args:
        places: of the wanted tokens among all, shape (N,); None: keys and values alone are read.
        shape: (B, S) of the tokens.
    """
    last = _last_mlp(_without_peft(model))
    if last is None or not getattr(last, "trims", False):
        yield
        return
    before = getattr(last, "wanted", None)
    last.wanted = _Wanted() if places is None else _Wanted(places, torch.Size(shape))
    try:
        yield
    finally:
        last.wanted = before


@dataclass(frozen=True, slots=True)
class _Wanted:
    places: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    shape: torch.Size | None = None  # None: no place is wanted, whatever the shape


def _last_mlp(inner: Any) -> Any:
    """Return the last layer's MLP if it is computed this way."""
    layers: Any = getattr(inner.get_decoder(), "layers", ()) if hasattr(inner, "get_decoder") else ()
    mlp = getattr(layers[-1], "mlp", None) if len(layers) else None
    return mlp if getattr(mlp, "sealed", None) is False else None


@torch.no_grad()
def _is_all_that_follows(inner: Any, last: Any) -> bool:
    """Whether a token's state is its own affair from the last MLP on, and that MLP stands there alone: tried out."""
    training = inner.training
    inner.eval()
    ids = torch.arange(4, device=inner.device)[None]
    whole = inner.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0, 2].float()
    last.wanted = _Wanted(torch.tensor([2]), ids.shape)
    part = inner.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0, 2].float()
    last.wanted = None
    inner.train(training)
    return bool((part - whole).norm() <= 0.02 * whole.norm())  # in bfloat16 another shape rounds elsewhere


def _lean_class(kind: type[torch.nn.Module], *, sealed: bool) -> type[torch.nn.Module]:
    forward = _forward_norm if kind.__name__.endswith("RMSNorm") else _forward_mlp
    return type(f"Lean{kind.__name__}", (kind,), {"forward": forward, "sealed": sealed})


def _without_peft(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _find_replaceable(model: Any) -> list[Any]:
    training = model.training
    model.eval()  # an adapter's dropout would make every result another one
    found = [module for module in model.modules() if _replaceable(module)]
    model.train(training)
    return found


def _replaceable(module: Any) -> bool:
    """Whether the module is one of the two by its parts, and by its result on a random input."""
    if type(module).__name__.endswith("RMSNorm"):
        weight = getattr(module, "weight", None)
        fits = isinstance(weight, torch.Tensor) and not weight.requires_grad and _epsilon(module) is not None
        return fits and _same_result(module, _forward_norm, weight)  # type: ignore[arg-type]
    if all(isinstance(getattr(module, name, None), torch.nn.Module) for name in MLP_PARTS):
        weight = getattr(module.gate_proj, "weight", None)
        return isinstance(weight, torch.Tensor) and _same_result(module, _forward_mlp, weight)
    return False


def _epsilon(module: Any) -> float | None:
    return getattr(module, "variance_epsilon", getattr(module, "eps", None))


@torch.no_grad()
def _same_result(module: Any, forward: Any, weight: torch.Tensor) -> bool:
    """Whether both forwards give the same bits on inputs as wide as the last axis of `weight`, small and large ones."""
    x = torch.randn((1, len(SIZES), weight.shape[-1]), generator=torch.Generator().manual_seed(0))
    x = (x * torch.tensor(SIZES)[:, None]).to(weight.dtype)
    try:
        return torch.equal(module(x), forward(module, x))
    except (TypeError, AttributeError, RuntimeError):  # a forward of another form: not one of these
        return False
