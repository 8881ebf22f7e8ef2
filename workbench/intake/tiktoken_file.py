"""tiktoken's ranks: a line for each token, base64 and rank. Transformers' last resort for a `.model` file.

Source: https://github.com/openai/tiktoken/blob/main/tiktoken/load.py (`load_tiktoken_bpe`)
"""

from __future__ import annotations

import base64
import re

MAX_BYTES = 64 * 2**20
MAX_TOKENS = 2**21
LINE = re.compile(rb"([A-Za-z0-9+/]{1,1368}={0,2}) (\d{1,7})")  # at most 1,024 bytes a token


def is_tiktoken(content: bytes) -> bool:
    """Whether a file is such a list; a SentencePiece model begins with a line end, its first field's key."""
    return LINE.match(content) is not None


def check_tiktoken(content: bytes, n_ids: int | None) -> None:
    """Judge each line.

    Args:
        n_ids: how many ids the model beside it has embeddings for; None: unknown.
    Raises:
        ValueError: a line is none, a token or a rank comes twice, or is too large.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"has {len(content)} bytes, at most {MAX_BYTES} are read")
    most = MAX_TOKENS if n_ids is None else n_ids
    tokens: set[bytes] = set()
    ranks: set[int] = set()
    for place, line in enumerate(content.splitlines(), start=1):
        found = LINE.fullmatch(line)
        if line and found is None:
            raise ValueError(f"line {place} is no token in base64 and its rank: {line[:60]!r}")
        if found is not None:
            token, rank = base64.b64decode(found[1]), int(found[2])
            if token in tokens or rank in ranks or rank >= most:
                raise ValueError(f"line {place}: a token or a rank that comes twice, or rank {rank} of at most {most}")
            tokens.add(token)
            ranks.add(rank)
