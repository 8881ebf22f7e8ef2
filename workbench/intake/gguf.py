"""A GGUF file's own word on its sizes, against the file, before the library maps it: every count and length fits.

Only judged, nothing converted: `models/gguf.py` does that with the library. Source: the format's description,
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from workbench.errors import ModelIntegrityError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_COUNT = 2**20  # of settings, and of tensors
MAX_NAME_BYTES = 2**12
MAX_DIMENSIONS = 4
STRING, ARRAY = 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # type of a value → its bytes
# Type of a tensor → values a block, bytes a block (ggml.h); the converter knows no others.
BLOCKS = {
    0: (1, 4),  # F32
    1: (1, 2),  # F16
    2: (32, 18),  # Q4_0
    3: (32, 20),  # Q4_1
    6: (32, 22),  # Q5_0
    7: (32, 24),  # Q5_1
    8: (32, 34),  # Q8_0
    10: (256, 84),  # Q2_K
    11: (256, 110),  # Q3_K
    12: (256, 144),  # Q4_K
    13: (256, 176),  # Q5_K
    14: (256, 210),  # Q6_K
    30: (1, 2),  # BF16
}


def check_gguf(path: Path) -> None:
    """Walk the header once, reading no more than it holds.

    Raises:
        ModelIntegrityError: a count, a length or an offset does not fit the file, a name comes twice, a type is new.
    """
    with path.open("rb") as stream:
        try:
            _Walk(stream).judge()
        except (ValueError, struct.error, UnicodeDecodeError) as error:
            raise ModelIntegrityError(f"{path}: not a sound GGUF file: {error}") from error


class _Walk:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        self._alignment = 32

    def judge(self) -> None:
        magic, (version, n_tensors, n_settings) = self._take(4), self._unpack("<IQQ")
        if magic != MAGIC or version not in VERSIONS:
            raise ValueError(f"it begins with {magic!r} version {version}, known are versions {VERSIONS}")
        if max(n_tensors, n_settings) > MAX_COUNT:
            raise ValueError(f"it claims {n_settings} settings and {n_tensors} tensors, at most {MAX_COUNT} are read")
        for name in self._names(n_settings):
            self._setting(name)
        spans = [self._tensor() for _ in self._names(n_tensors)]
        start = -(-self._stream.tell() // self._alignment) * self._alignment
        end = 0
        for offset, n_bytes in sorted(spans):
            if offset % self._alignment or offset < end or start + offset + n_bytes > self._size:
                raise ValueError(
                    f"a tensor's bytes {offset} to {offset + n_bytes} overlap another's or leave the file, which has "
                    f"{self._size - start} for them"
                )
            end = offset + n_bytes

    def _names(self, count: int) -> Iterator[str]:
        """Yield the name at the place reached, `count` times; what follows it is for the caller to read."""
        seen: set[str] = set()
        for _ in range(count):
            name = self._string(MAX_NAME_BYTES)
            if name in seen:
                raise ValueError(f"{name[:80]!r} comes twice")
            seen.add(name)
            yield name

    def _setting(self, name: str) -> None:
        (kind,) = self._unpack("<I")
        if name == "general.alignment":
            if kind != 4:
                raise ValueError("general.alignment is no uint32")
            (self._alignment,) = self._unpack("<I")
            if self._alignment not in (8, 16, 32, 64, 128, 256, 4096):
                raise ValueError(f"general.alignment is {self._alignment}")
        else:
            self._skip_value(kind, name)

    def _skip_value(self, kind: int, name: str) -> None:
        if kind == STRING:
            self._skip(self._unpack("<Q")[0])
        elif kind == ARRAY:
            inner, count = self._unpack("<IQ")
            if inner == STRING:
                if count > self._left() // 8:
                    raise ValueError(f"{name[:80]!r} claims {count} texts, the file has {self._left()} bytes left")
                for _ in range(count):
                    self._skip(self._unpack("<Q")[0])
            elif inner in SIZES:
                self._skip(count * SIZES[inner])
            else:
                raise ValueError(f"{name[:80]!r} is an array of type {inner}")
        elif kind in SIZES:
            self._skip(SIZES[kind])
        else:
            raise ValueError(f"{name[:80]!r} is of the unknown type {kind}")

    def _tensor(self) -> tuple[int, int]:
        (n_dimensions,) = self._unpack("<I")
        if not 1 <= n_dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"a tensor has {n_dimensions} dimensions")
        shape = self._unpack(f"<{n_dimensions}Q")
        kind, offset = self._unpack("<IQ")
        if kind not in BLOCKS:
            raise ValueError(f"a tensor is of the unknown type {kind}")
        values, n_bytes = BLOCKS[kind]
        if shape[0] % values or 0 in shape:
            raise ValueError(f"a tensor of shape {shape} is not made of blocks of {values}")
        return offset, math.prod(shape) // values * n_bytes

    def _string(self, most: int) -> str:
        (length,) = self._unpack("<Q")
        if length > most:
            raise ValueError(f"a name claims {length} bytes, at most {most} are read")
        return self._take(length).decode("utf-8")

    def _unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))

    def _take(self, n_bytes: int) -> bytes:
        if n_bytes > self._left():
            raise ValueError(f"{n_bytes} bytes are claimed, the file has {self._left()} left")
        return self._stream.read(n_bytes)

    def _skip(self, n_bytes: int) -> None:
        if n_bytes > self._left():
            raise ValueError(f"{n_bytes} bytes are claimed, the file has {self._left()} left")
        self._stream.seek(n_bytes, os.SEEK_CUR)

    def _left(self) -> int:
        return self._size - self._stream.tell()
