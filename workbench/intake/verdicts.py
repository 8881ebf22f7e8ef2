"""What passed a trial before, in this process and on this machine: words that hold a SHA-256, and a file of them.

Losing the file costs the trials again, nothing else. Who may write it may write the hashes beside it too.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from workbench.runs import write_json

FILE = "vetted.json"  # beside the hashes
MAX_WORDS = 10_000  # the oldest go first

_passed: set[str] = set()  # in this process


def has_passed(word: str, cache_path: Path | None) -> bool:
    """Whether this word was noted."""
    return word in _passed or (cache_path is not None and word in _read(cache_path))


def note_passed(word: str, cache_path: Path | None) -> None:
    """Note a word, for this process and, where hashes are kept, for those to come."""
    _passed.add(word)
    if cache_path is not None:
        with suppress(OSError):  # a home that cannot be written to costs the trial again, and no command its answer
            write_json(cache_path.with_name(FILE), [*_read(cache_path), word][-MAX_WORDS:])


def _read(cache_path: Path) -> list[str]:
    with suppress(OSError, ValueError):
        words = json.loads(cache_path.with_name(FILE).read_text(encoding="utf-8"))
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return []
