"""A safetensors header against its file, before the library maps it: every byte belongs to one tensor of its size.

Source: the format's description, https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from workbench.errors import ModelIntegrityError
from workbench.intake.json_files import parse_json

MAX_HEADER_BYTES = 100 * 2**20  # the safetensors library's own limit
MAX_DIMENSIONS = 16
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
}


def check_safetensors(path: Path) -> None:
    """Check that the header fits the file: its length, its JSON, and tensors that fill the rest exactly, no overlap.

    Raises:
        ModelIntegrityError: the header lies, or the file was cut or extended.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            raise ModelIntegrityError(f"{path}: the header claims {length} bytes, the file has {max(size - 8, 0)} left")
        raw = stream.read(length)
    end = 0
    for start, stop in _tensor_spans(path, raw):
        if start != end or stop < start:
            raise ModelIntegrityError(f"{path}: a tensor begins at byte {start}, the one before ends at {end}")
        end = stop
    if end != size - 8 - length:
        raise ModelIntegrityError(f"{path}: the tensors need {end} bytes, the file holds {size - 8 - length}")


def _tensor_spans(path: Path, raw: bytes) -> list[tuple[int, int]]:
    try:
        header = parse_json(raw)
        if not isinstance(header, dict):
            raise TypeError(f"{type(header).__name__} in place of tensors by name")
        metadata = header.pop("__metadata__", {})
        if not (isinstance(metadata, dict) and all(isinstance(item, str) for item in metadata.values())):
            raise TypeError("__metadata__ is more than texts by name")
        return sorted(_span(name, tensor) for name, tensor in header.items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelIntegrityError(f"{path}: the safetensors header is malformed: {error}") from error


def _span(name: str, tensor: Any) -> tuple[int, int]:
    """Return a tensor's first byte and the one after its last. Raises ValueError, KeyError, TypeError: it lies."""
    start, stop = tensor["data_offsets"]
    shape = tensor["shape"]
    whole = (*shape, start, stop)
    if not all(isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**62 for number in whole):
        raise ValueError(f"{name[:80]!r} has a shape or an offset that is no count")
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"{name[:80]!r} has {len(shape)} dimensions")
    if tensor["dtype"] not in BITS:
        raise ValueError(f"{name[:80]!r} has the unknown dtype {str(tensor['dtype'])[:40]!r}")
    needed = -(-math.prod(shape) * BITS[tensor["dtype"]] // 8)
    if stop - start != needed:
        raise ValueError(f"{name[:80]!r} of shape {shape} needs {needed} bytes, its offsets span {stop - start}")
    return start, stop
