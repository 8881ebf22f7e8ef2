"""The ONNX converter on a file written here field by field, as onnxruntime's dynamic quantisation writes one."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file

from workbench.errors import ModelIntegrityError
from workbench.models.onnx import FLOAT, INT8, UINT8, convert_onnx, dequantise, read_graph

KINDS = {"float32": FLOAT, "uint8": UINT8, "int8": INT8}


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: bytes | int | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, values: NDArray[Any], *, raw: bool = True) -> bytes:
    """A TensorProto: large tensors are raw bytes, small ones typed fields, both of which the quantiser writes."""
    head = b"".join(field(1, size) for size in values.shape) + field(2, KINDS[str(values.dtype)]) + field(8, name)
    if raw:
        return field(5, head + field(9, values.tobytes()))
    if values.dtype == np.float32:
        return field(5, head + field(4, values.tobytes()))
    return field(5, head + field(5, b"".join(varint(int(value)) for value in values.reshape(-1))))


def product(node: str, matrix: str) -> bytes:
    return field(1, field(1, "x") + field(1, matrix) + field(2, "y") + field(3, node) + field(4, "MatMulInteger"))


def model(*parts: bytes) -> bytes:
    opset = field(8, field(2, 11))
    return field(1, 7) + field(2, "test") + field(7, b"".join(parts)) + opset


SCALES = np.array([0.5, 2.0, 0.25], dtype=np.float32)
ZEROS = np.array([0, -1, 3], dtype=np.int8)
MATRIX = np.array([[1, 2, 3], [-4, 5, -128]], dtype=np.int8)  # (inputs, outputs)
TABLE = np.array([[130, 128], [0, 255]], dtype=np.uint8)
BIAS = np.array([1.5, -2.5, 0.0], dtype=np.float32)
PARTS = (
    product("/encoder/layer.0/output/dense/MatMul_quant", "onnx::MatMul_7_quantized"),
    tensor("onnx::MatMul_7_quantized", MATRIX),
    tensor("onnx::MatMul_7_scale", SCALES, raw=False),
    tensor("onnx::MatMul_7_zero_point", ZEROS, raw=False),
    tensor("embeddings.word_embeddings.weight_quantized", TABLE),
    tensor("embeddings.word_embeddings.weight_scale", np.array(0.1, dtype=np.float32), raw=False),
    tensor("embeddings.word_embeddings.weight_zero_point", np.array(128, dtype=np.uint8), raw=False),
    tensor("encoder.layer.0.output.dense.bias", BIAS),
)


def test_weights_come_back_by_their_pytorch_names(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model(*PARTS))
    convert_onnx(tmp_path / "model.onnx", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    assert weights.keys() == {
        "encoder.layer.0.output.dense.weight",
        "encoder.layer.0.output.dense.bias",
        "embeddings.word_embeddings.weight",
    }
    # (value - zero point) * scale of its column, then turned: one row an output
    wanted = [[0.5, -2.0], [2 * 3.0, 2 * 6.0], [0.0, -131 * 0.25]]
    assert weights["encoder.layer.0.output.dense.weight"].tolist() == wanted
    table = weights["embeddings.word_embeddings.weight"]
    assert np.allclose(table, [[0.2, 0.0], [-12.8, 12.7]], atol=1e-6)
    assert weights["encoder.layer.0.output.dense.bias"].tolist() == BIAS.tolist()


def test_the_same_file_gives_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    written = []
    for name, parts in (("a", PARTS), ("b", PARTS[::-1])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_bytes(model(*parts))
        convert_onnx(tmp_path / name / "model.onnx", tmp_path / name)
        written.append((tmp_path / name / "model.safetensors").read_bytes())
    assert written[0] == written[1]


@given(st.integers(-128, 127))
def test_signed_numbers_survive_the_wire(number: int) -> None:
    value = np.array([number], dtype=np.int8)
    for raw in (True, False):
        assert read_graph(model(tensor("a", value, raw=raw))).tensors["a"].tolist() == value.tolist()


@given(st.integers(1, 400))
def test_a_torn_file_is_refused(n_bytes: int) -> None:
    whole = model(*PARTS)
    with pytest.raises(ModelIntegrityError):
        read_graph(whole[: min(n_bytes, len(whole) - 8)])


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "no stored tensor"),
        (b"\x80" * 11, "more than 10 bytes"),
        (b"\x0b", "wire type 3"),
        (b"\x3a\xff", "ends inside a number"),
        (field(7, 5), "a number where a message"),
        (model(field(5, field(8, "a") + field(2, FLOAT) + field(13, b"x"))), "kept in another file"),
        (model(field(5, field(1, 2) + field(2, FLOAT) + field(8, "a") + field(9, bytes(4)))), "shape"),
        (model(field(5, field(1, 1) + field(2, 7) + field(8, "a") + field(9, bytes(8)))), "type 7"),
    ],
)
def test_what_is_no_onnx_file_is_a_typed_refusal(data: bytes, fault: str) -> None:
    with pytest.raises(ModelIntegrityError, match=fault):
        read_graph(data)


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ((*PARTS[:2], *PARTS[3:]), "'onnx::MatMul_7_scale' is missing"),
        ((*PARTS, tensor("onnx::Mul_9", BIAS)), "'onnx::Mul_9'"),
        ((*PARTS, tensor("other", TABLE)), "'other'"),
        ((product("/strange", "onnx::MatMul_7_quantized"), *PARTS[1:]), "'/strange' does not say"),
    ],
)
def test_a_tensor_nobody_knows_is_refused_not_dropped(parts: tuple[bytes, ...], fault: str) -> None:
    with pytest.raises(ModelIntegrityError, match=fault):
        dequantise(read_graph(model(*parts)))


def test_the_fields_are_those_of_the_encoding_guide() -> None:
    assert varint(150) == b"\x96\x01"  # protobuf.dev, "Base 128 Varints"
    assert field(2, "testing") == b"\x12\x07testing"
    assert struct.unpack("<f", tensor("a", BIAS[:1])[-4:]) == (1.5,)
