"""JSON of unknown origin: bounded, UTF-8, no key twice. A parser that takes the first of two keys is not ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.errors import ModelIntegrityError

MAX_JSON_BYTES = 256 * 2**20


def read_json(path: Path) -> Any:
    """Return a JSON file's value.

    Raises:
        ModelIntegrityError: it is too large, too deep, not JSON in UTF-8, or says a key twice.
    """
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ModelIntegrityError(f"{path}: {size} bytes of JSON, at most {MAX_JSON_BYTES} are read")
    try:
        return parse_json(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelIntegrityError(f"{path}: not sound JSON: {error}") from error


def parse_json(content: bytes) -> Any:
    """Return the value of UTF-8 JSON. Raises ValueError (a key twice, too), RecursionError."""
    return json.loads(content.decode("utf-8"), object_pairs_hook=_without_twins)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twin[:80]!r} stands there twice, and readers differ in which one they take")
    return found
