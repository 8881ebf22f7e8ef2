"""SHA-256 of a model's files, remembered by size and times, so that 15 GB are hashed once and not at every start.

Source of the trap: a changed file keeps its modification time when copied with care; its change time cannot be set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from workbench.runs import fingerprint, fingerprint_file, write_json


def hash_files(folder: Path, names: Iterable[str], *, cache_path: Path | None) -> dict[str, str]:
    """Return the SHA-256 (hex) of each named file below `folder`.

    Args:
        cache_path: where the hashes are remembered; losing it costs time, nothing else. None: nowhere.
    """
    cache = _read_cache(cache_path) if cache_path is not None else {}
    hashes, changed = {}, False
    for name in names:
        path = (folder / name).resolve()
        state = path.stat()
        stamp = [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
        known = cache.get(str(path))
        if known is None or known[:3] != stamp:
            known = [*stamp, fingerprint_file(path)]
            cache[str(path)] = known
            changed = True
        hashes[name] = str(known[3])
    if changed and cache_path is not None:
        with suppress(OSError):  # a home that cannot be written to costs hashing again, and no command its answer
            write_json(cache_path, {path: known for path, known in cache.items() if Path(path).exists()})
    return hashes


def count_unknown_bytes(folder: Path, names: Iterable[str], *, cache_path: Path) -> int:
    """Return how many bytes `hash_files` would have to read: those of files that are new or changed."""
    cache, unknown = _read_cache(cache_path), 0
    for name in names:
        path = (folder / name).resolve()
        state = path.stat()
        known = cache.get(str(path))
        if known is None or known[:3] != [state.st_size, state.st_mtime_ns, state.st_ctime_ns]:
            unknown += state.st_size
    return unknown


def fingerprint_hashes(hashes: Mapping[str, str]) -> str:
    """Return one SHA-256 (hex) over names and hashes, whatever their order."""
    return fingerprint(sorted(hashes.items()))


def _read_cache(path: Path) -> dict[str, list[int | str]]:
    with suppress(FileNotFoundError, json.JSONDecodeError):
        cache = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(cache, dict):
            return cache
    return {}
