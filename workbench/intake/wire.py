"""Protocol Buffers' wire format, read strictly against a description: no unknown field, no field twice, nothing beyond.

The libraries that read these files keep unknown fields, take the last of two values, and merge messages that come
twice: what is not said once and plainly is refused here. So are groups.
Source: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10
MAX_FIELD = 2**29 - 1
MAX_TEXT_BYTES = 2**20  # where a description says no less

Value = int | float | bool | str | bytes


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message. Its reader raises ValueError."""

    name: str
    wire: int
    read: Callable[[int | bytes], Value]
    is_repeated: bool = False


Message = Mapping[int, Field]  # by number


def read_message(content: bytes, message: Message) -> Iterator[tuple[str, Value]]:
    """Yield name and value of each field, in the order of the file.

    Raises:
        ValueError: a length lies, a field is unknown, comes twice, or is of another kind than described.
    """
    seen: set[int] = set()
    place = 0
    while place < len(content):
        key, place = _read_varint(content, place)
        number, wire = key >> 3, key & 7
        field = message.get(number)
        if not 0 < number <= MAX_FIELD or field is None:
            raise ValueError(f"byte {place}: the field {number} is unknown, its kind is {wire}")
        if wire != field.wire:
            raise ValueError(f"byte {place}: {field.name} is of kind {wire}, expected is {field.wire}")
        if not field.is_repeated and number in seen:
            raise ValueError(f"byte {place}: {field.name} comes twice")
        seen.add(number)
        raw, place = _read_value(content, place, wire)
        try:
            value = field.read(raw)
        except ValueError as error:
            raise ValueError(f"{field.name}: {error}") from error
        yield field.name, value


def _read_value(content: bytes, place: int, wire: int) -> tuple[int | bytes, int]:
    if wire == VARINT:
        return _read_varint(content, place)
    if wire == LENGTH:
        n_bytes, place = _read_varint(content, place)
    else:
        n_bytes = 4 if wire == FIXED_32 else 8
    if n_bytes > len(content) - place:
        raise ValueError(f"byte {place}: {n_bytes} bytes are claimed, {len(content) - place} are left")
    return content[place : place + n_bytes], place + n_bytes


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    """Return a number below 2**64 and the place after it."""
    number = 0
    for n, byte in enumerate(content[place : place + MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * n)
        if byte < 0x80:
            if number >= 2**64:
                break
            return number, place + n + 1
    raise ValueError(f"byte {place}: a number without an end, or larger than 64 bits")


def text(name: str, *, most: int = MAX_TEXT_BYTES, is_repeated: bool = False) -> Field:
    """Describe a text of at most `most` bytes of UTF-8."""
    return Field(name, LENGTH, lambda raw: block_of(raw, most).decode("utf-8"), is_repeated)


def block(name: str, *, most: int, is_repeated: bool = False) -> Field:
    """Describe bytes, a message among them, at most `most`."""
    return Field(name, LENGTH, lambda raw: block_of(raw, most), is_repeated)


def number(name: str, least: int, most: int) -> Field:
    """Describe a whole number within these bounds, both included; negative ones are written as 64 bits."""

    def read(raw: int | bytes) -> int:
        assert isinstance(raw, int)
        value = raw - 2**64 if raw >= 2**63 else raw
        if not least <= value <= most:
            raise ValueError(f"is {value}, expected is one from {least} to {most}")
        return value

    return Field(name, VARINT, read)


def switch(name: str) -> Field:
    """Describe a yes or no."""
    return number(name, 0, 1)


def real(name: str) -> Field:
    """Describe a finite float32."""

    def read(raw: int | bytes) -> float:
        assert isinstance(raw, bytes)
        (value,) = struct.unpack("<f", raw)
        if not math.isfinite(value):
            raise ValueError(f"is {value}")
        return float(value)

    return Field(name, FIXED_32, read)


def block_of(raw: int | bytes, most: int) -> bytes:
    """Return bytes of at most `most`."""
    assert isinstance(raw, bytes)
    if len(raw) > most:
        raise ValueError(f"has {len(raw)} bytes, at most {most} are read")
    return raw
