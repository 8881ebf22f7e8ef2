"""SentencePiece's precompiled charsmap: a trie of byte texts and what each is replaced by, in one block.

A reader follows offsets in it without looking, so every place that can be reached is reached here first.
Format: 4 bytes length of the trie; the trie, a double array of 4-byte units (darts-clone); the replacements, each ended
by a zero byte.
Source: https://github.com/google/sentencepiece/blob/master/src/normalizer.cc (DecodePrecompiledCharsMap) and
https://github.com/s-yata/darts-clone/blob/master/include/darts.h (DoubleArrayUnit).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MAX_BYTES = 16 * 2**20  # NFKC with folded case, the largest in use, has 400 KB
MAX_REPLACEMENT_BYTES = 256  # U+FDFA becomes 18 characters, 33 bytes
Units = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int64]


def check_charsmap(content: bytes) -> None:
    """Check that no look-up can leave the charsmap, and that replacements are short texts.

    Raises:
        ValueError: it lies about its sizes, or is no trie.
    """
    if not content:
        return
    n_bytes = int.from_bytes(content[:4], "little")
    if len(content) > MAX_BYTES or len(content) < 4 or n_bytes > len(content) - 4 or n_bytes % 1024 or not n_bytes:
        # The array is made in blocks of 256 units, within which a label leads to a place without a further check.
        raise ValueError(
            f"its charsmap of {len(content)} bytes claims a trie of {n_bytes}, which has to fit, in blocks of 1,024"
        )
    units = np.frombuffer(content, "<u4", count=n_bytes // 4, offset=4)
    replacements = content[4 + n_bytes :]
    starts = _find_values(units)
    if starts.size and int(starts.max()) >= len(replacements):
        raise ValueError(f"its charsmap points at byte {int(starts.max())} of {len(replacements)} of replacements")
    if replacements and replacements[-1]:
        raise ValueError("its charsmap's last replacement has no end")
    for start in starts.tolist():
        end = replacements.index(b"\0", start)
        if end - start > MAX_REPLACEMENT_BYTES:
            raise ValueError(f"its charsmap puts {end - start} bytes for a few, at most {MAX_REPLACEMENT_BYTES}")
        replacements[start:end].decode("utf-8")


def _find_values(units: Units) -> Places:
    """Return the values that walks through the trie arrive at. Raises ValueError: a walk leaves it."""
    seen = np.zeros(len(units), bool)
    labels = np.arange(1, 256)  # zero ends a text
    values: list[Places] = []
    places = np.zeros(1, np.int64)
    while places.size:
        seen[places] = True
        found = units[places].astype(np.int64)
        bases = places ^ ((found >> 10) << ((found & 0x200) >> 6))
        if (bases | 0xFF).max() >= len(units):
            raise ValueError(f"its charsmap leads to unit {int(bases.max())} of {len(units)}")
        has_leaf = (found >> 8) & 1 == 1
        leaves = units[bases[has_leaf]].astype(np.int64)
        values.append(leaves & 0x7FFFFFFF)
        children = bases[:, None] ^ labels  # (P, 255)
        # A unit belongs to its parent where it has the label that led to it; bit 31 tells values from labels.
        fits = (units[children].astype(np.int64) & 0x800000FF) == labels
        places = np.unique(children[fits])
        places = places[~seen[places]]
    return np.concatenate(values)
