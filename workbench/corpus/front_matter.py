"""YAML between `---` lines at the top of a text file → metadata: the author's own keys, typed.

Text, numbers and booleans stay what they are, dates become ISO 8601, lists tuples of text, mappings dotted keys.
What YAML cannot read is taken line by line, `key: value`, as blogs do; but never where permissions are at stake: a
head that names `readers` and does not say them so that they are understood hides the file, whatever else it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from workbench.corpus.describing import iso_date
from workbench.errors import UnreadableDocumentError
from workbench.types import Fact

MAX_CHARACTERS = 64_000
MAX_FACTS = 200
MAX_MEMBERS = 1_000  # of one list
_MAX_DEPTH = 4  # of nested mappings
# `+++` is TOML's mark: not read, but watched. A mark with words behind it is a line of text, or of a diff.
_OPENING = re.compile(r"[\s\ufeff]*(---|\+\+\+)(?=[ \t]*(?:#|\n|\Z)|[^\w\n]*readers\b)", re.IGNORECASE)
_CLOSINGS = {
    "---": re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.MULTILINE),
    "+++": re.compile(r"^\+\+\+[ \t]*(?:\n|\Z)", re.MULTILINE),
}
_FIRST_ENTRY = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)+(?:\"[^\"\n]*\"[ \t]*|'[^'\n]*'[ \t]*|[^\W\d][^\n:]*):")
_LINE = re.compile(r"^([^\W\d][\w -]*):[ \t]+(\S[^\n]*)$", re.MULTILINE)
_TEXT = re.compile(r"^(?:\d|[^\w\s\"'#\]}-])", re.MULTILINE)  # 1. * > | [ and so on begin lines of prose
# Once a line, so that the time stays linear; or as a key in a mapping written on one line.
_PERMISSIONS = re.compile(r"^[^\w\n]*readers\b|[{,]\s*[\"']?readers[\"']?\s*:", re.MULTILINE | re.IGNORECASE)


def split_front_matter(source: str, name: str) -> tuple[str, dict[str, Fact]]:
    """Return the text after the front matter, and its entries, keys in lower case; no front matter, no entries.

    Raises:
        UnreadableDocumentError: the head names `readers` and no valid `readers` comes out of it (kind "permissions"),
            it repeats a key, or it is beyond the limits.
    """
    block, rest = _cut_head(source)
    facts = None if rest is None else _read_block(block, name)
    if "readers" not in (facts or {}):
        refuse_readers(source, name)
    return (source, {}) if facts is None or rest is None else (rest, facts)


def refuse_readers(source: str, name: str) -> None:
    """Raise UnreadableDocumentError ("permissions") where the head of a file, of which nothing was read, names them."""
    if _PERMISSIONS.search(_cut_head(source)[0]):
        raise _hidden(name, "they cannot be read there")


def gather(loaded: Mapping[Any, Any], name: str) -> dict[str, Fact]:
    """Return the facts of a mapping. What no fact can hold is left out and named under `front_matter_left_out`."""
    n_readers = sum(_fold(key) == "readers" for key in loaded)
    if n_readers > 1:
        raise _hidden(name, "says them twice")
    facts: dict[str, Fact] = {}
    left_out: list[str] = []
    for key, value in flatten(loaded, ""):
        fact = as_fact(value)
        if fact is None:
            left_out += [key] if value is not None else []
        elif key in facts:
            raise UnreadableDocumentError(f"{name}: front matter names {key!r} twice", "front_matter")
        else:
            facts[key] = fact
        if len(facts) + len(left_out) > MAX_FACTS:
            raise UnreadableDocumentError(f"{name}: front matter has more than {MAX_FACTS} entries", "too_large")
    if n_readers and "readers" not in facts:
        raise _hidden(name, "they are no list of names")
    return facts | ({"front_matter_left_out": tuple(left_out)} if left_out else {})


def flatten(mapping: Mapping[Any, Any], prefix: str, depth: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys in lower case and their values; a mapping that is nested too deep is a value."""
    for key, value in mapping.items():
        dotted = f"{prefix}{_fold(key)}"
        if isinstance(value, Mapping) and depth < _MAX_DEPTH:
            yield from flatten(value, f"{dotted}.", depth + 1)
        else:
            yield dotted, value


def as_fact(value: object) -> Fact | None:
    """Return the value as metadata holds it; None for nothing, and for what it cannot hold."""
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, date):
        return iso_date(value)
    if isinstance(value, list) and len(value) <= MAX_MEMBERS and all(_is_scalar(member) for member in value):
        return tuple(str(iso_date(member) if isinstance(member, date) else member) for member in value)
    return None


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | bool | int | float | date)


def _cut_head(source: str) -> tuple[str, str | None]:
    """Return what stands under the opening mark, and the text behind the closing one.

    Without a close, or where it is not YAML's, the text is None; without an opening nothing stands under it.
    """
    opening = _OPENING.match(source)
    if opening is None:
        return "", None
    start = opening.end()
    close = _CLOSINGS[opening[1]].search(source, start)
    if close is None:
        return source[start : start + MAX_CHARACTERS], None
    return source[start : close.start()], source[close.end() :] if opening[1] == "---" else None


def _read_block(block: str, name: str) -> dict[str, Fact] | None:
    """Return the entries of what stands between two marks; None: it is text between two rules."""
    if not block.strip():
        return {}
    named = _PERMISSIONS.search(block) is not None
    if not named and not _FIRST_ENTRY.match(block):
        return None
    by_line: dict[str, Fact] = {}
    if not _TEXT.search(block):
        by_line = {key.strip().lower(): value.strip().strip("\"'") for key, value in _LINE.findall(block)}
    if len(block) > MAX_CHARACTERS:
        if not named and not by_line:
            return None
        message = f"{name}: front matter of {len(block):,} characters, the limit is {MAX_CHARACTERS:,}"
        raise UnreadableDocumentError(message, "too_large")
    try:
        loaded = YAML(typ="safe", pure=True).load(block)
    except (YAMLError, ValueError, TypeError, LookupError, RecursionError, AttributeError) as error:
        if named:  # guessing could show it to everybody
            raise _hidden(name, f"is no YAML: {error}") from error
        return by_line or None
    return gather(loaded, name) if isinstance(loaded, Mapping) else None


def _hidden(name: str, why: str) -> UnreadableDocumentError:
    message = (
        f"{name}: its head names `readers`, but {why}; write readers: [NAME, ...] as a key of its own between two "
        "lines of ---, in .md or .rst (if it is no permission, begin the file with something else than ---)"
    )
    return UnreadableDocumentError(" ".join(message.split()), "permissions")


def _fold(key: object) -> str:
    return " ".join(str(key).split()).lower()
