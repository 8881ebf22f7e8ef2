"""Quantised ONNX weights to a safetensors folder, once: every tensor back to float32 under the name PyTorch gave it.

Not a runtime and not for files of unknown origin: the caller has checked the file's SHA-256. Only BERT encoders written
by torch's exporter and `onnxruntime.quantization` (dynamic, int8) are known; any other file is refused, not guessed.
Why not the `onnx` package: 36 MB with protobuf and ml_dtypes, for three message types of one pinned file.
Sources: onnx.proto (field numbers), https://protobuf.dev/programming-guides/encoding, the ONNX operators MatMulInteger
and DequantizeLinear: weight = (quantised - zero point) * scale, one scale a tensor or one an output channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ModelIntegrityError
from workbench.types import Float32

FLOAT, UINT8, INT8 = 1, 2, 3  # TensorProto.DataType
DTYPES: dict[int, type[np.generic]] = {FLOAT: np.float32, UINT8: np.uint8, INT8: np.int8}
FIXED_BYTES = {1: 8, 5: 4}  # protobuf wire type → size
QUANTISED = "_quantized"
MATMUL_SUFFIXES = ("/MatMul_quant", "/Gemm_MatMul_quant")


@dataclass(frozen=True, slots=True)
class Graph:
    """What the converter needs of an ONNX file: the stored tensors, and where its integer products come from."""

    tensors: dict[str, NDArray[Any]]
    products: dict[str, str]  # stored matrix → name of the MatMulInteger node that multiplies by it


def convert_onnx(path: Path, folder: Path) -> None:
    """Write `model.safetensors` with the weights of the ONNX file at `path` into `folder`.

    Deterministic: the same file gives the same bytes.

    Raises:
        ModelIntegrityError: the file is torn, keeps weights elsewhere, or holds a tensor this converter does not know.
    """
    from safetensors.numpy import save_file

    save_file(dequantise(read_graph(path.read_bytes())), folder / "model.safetensors", metadata={"format": "pt"})


def dequantise(graph: Graph) -> dict[str, Float32]:
    """Return every weight in float32 by its PyTorch name; linear layers are turned to (outputs, inputs)."""
    weights: dict[str, Float32] = {}
    used: set[str] = set()
    for name, values in graph.tensors.items():
        if not name.endswith(QUANTISED):
            continue
        stem = name.removesuffix(QUANTISED)
        scale, zero = (_part(graph, stem + suffix) for suffix in ("_scale", "_zero_point"))
        exact: Float32 = (values.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)
        product = graph.products.get(name)
        # A product with x is stored as (inputs, outputs), so that one scale an output runs along the last axis.
        weights[_linear_name(product) if product else stem] = np.ascontiguousarray(exact.T if product else exact)
        used |= {name, f"{stem}_scale", f"{stem}_zero_point"}
    for name in sorted(graph.tensors.keys() - used):
        values = graph.tensors[name]
        if values.dtype != np.float32 or ":" in name:
            raise ModelIntegrityError(f"tensor {name!r} ({values.dtype}) has no counterpart in a BERT encoder")
        weights[name] = values
    return weights


def _part(graph: Graph, name: str) -> NDArray[Any]:
    if name not in graph.tensors:
        raise ModelIntegrityError(f"tensor {name!r} is missing, so what it belongs to cannot be dequantised")
    return graph.tensors[name]


def _linear_name(node: str) -> str:
    """`/encoder/layer.0/output/dense/MatMul_quant` → `encoder.layer.0.output.dense.weight`."""
    for suffix in sorted(MATMUL_SUFFIXES, key=len, reverse=True):
        if node.startswith("/") and node.endswith(suffix):
            return f"{node[1:].removesuffix(suffix).replace('/', '.')}.weight"
    raise ModelIntegrityError(f"node {node!r} does not say which linear layer it is")


def read_graph(data: bytes) -> Graph:
    """Return the stored tensors and integer products of a serialised ModelProto.

    Raises:
        ModelIntegrityError: it is not one, it is torn, or a tensor lies in another file.
    """
    tensors: dict[str, NDArray[Any]] = {}
    products: dict[str, str] = {}
    for model_field, graph in _read_fields(memoryview(data)):
        for graph_field, part in _read_fields(_message(graph)) if model_field == 7 else ():
            if graph_field == 5:
                name, values = _read_tensor(_message(part))
                tensors[name] = values
            elif graph_field == 1:
                node = [(number, value) for number, value in _read_fields(_message(part)) if number <= 4]
                texts = [(number, bytes(_message(value)).decode()) for number, value in node]
                if (4, "MatMulInteger") in texts:
                    inputs = [text for number, text in texts if number == 1]
                    products[inputs[1]] = next((text for number, text in texts if number == 3), "")
    if not tensors:
        raise ModelIntegrityError("not an ONNX model: no stored tensor in it")
    return Graph(tensors, products)


def _read_tensor(message: memoryview) -> tuple[str, NDArray[Any]]:
    dims: list[int] = []
    kind, name, values = 0, "", None
    for number, value in _read_fields(message):
        match number:
            case 1:
                dims += _integers(value)
            case 2:
                (kind,) = _integers(value)
            case 4:
                values = np.frombuffer(_message(value), dtype="<f4")
            case 5:
                values = np.array(_integers(value), dtype=np.int64)
            case 8:
                name = bytes(_message(value)).decode()
            case 9:
                if kind in DTYPES:
                    values = np.frombuffer(_message(value), dtype=np.dtype(DTYPES[kind]).newbyteorder("<"))
            case 13:  # external_data; field 14 alone only says where the values would be
                raise ModelIntegrityError(f"tensor {name!r} is kept in another file; only whole ONNX files are read")
    if kind not in DTYPES or values is None or values.size != int(np.prod(dims)):
        found = "no" if values is None else values.size
        raise ModelIntegrityError(f"tensor {name!r}: type {kind}, shape {dims}, but {found} values that can be read")
    return name, values.astype(DTYPES[kind]).reshape(dims)


def _integers(value: int | memoryview) -> list[int]:
    """Return a repeated integer field, packed or one by one, as signed 64-bit numbers."""
    if isinstance(value, int):
        return [_signed(value)]
    numbers, position = [], 0
    while position < len(value):
        number, position = _read_varint(value, position)
        numbers.append(_signed(number))
    return numbers


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ModelIntegrityError("not an ONNX file: a number where a message should be")
    return value


def _read_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value) of a protobuf message: varints as numbers, all else as its bytes."""
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        if tag & 7 == 0:
            number, position = _read_varint(message, position)
            yield tag >> 3, number
            continue
        if tag & 7 == 2:
            size, position = _read_varint(message, position)
        elif tag & 7 in FIXED_BYTES:
            size = FIXED_BYTES[tag & 7]
        else:
            raise ModelIntegrityError(f"not an ONNX file: wire type {tag & 7}")
        if position + size > len(message):
            raise ModelIntegrityError(f"a torn ONNX file: a field of {size} bytes, {len(message) - position} are left")
        yield tag >> 3, message[position : position + size]
        position += size


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    number = 0
    for place in range(10):
        if position + place >= len(message):
            raise ModelIntegrityError("a torn ONNX file: it ends inside a number")
        byte = message[position + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, position + place + 1
    raise ModelIntegrityError("not an ONNX file: a number of more than 10 bytes")
