"""YAML between `---` lines at the top of a text file → metadata: the author's own keys, typed.

Text, numbers and booleans stay what they are, dates become ISO 8601, lists tuples of text, mappings dotted keys.
What YAML cannot read is taken line by line, `key: value`, as blogs do; but never where permissions are at stake.
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
_BLOCK = re.compile(r"\A---[ \t]*\n((?:[A-Za-z_\"'#\]}][^\n]*\n|[ \t-][^\n]*\n|\n)*?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_ENTRY = re.compile(r"^[\"']?[A-Za-z_][\w -]*[\"']?[ \t]*:", re.MULTILINE)
_LINE = re.compile(r"^([A-Za-z_][\w -]*):[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_PERMISSIONS = re.compile(r"^[\"']?readers\b", re.MULTILINE | re.IGNORECASE)


def split_front_matter(source: str, name: str) -> tuple[str, dict[str, Fact]]:
    """Return the text after the front matter, and its entries, keys in lower case; no front matter, no entries.

    Raises:
        UnreadableDocumentError: it cannot be read and names `readers`, it repeats a key, or it is beyond the limits.
    """
    match = _BLOCK.match(source)
    if match is None or (match[1].strip() and not _ENTRY.search(match[1])):
        return source, {}
    if len(match[1]) > MAX_CHARACTERS:
        message = f"{name}: front matter of {len(match[1]):,} characters, the limit is {MAX_CHARACTERS:,}"
        raise UnreadableDocumentError(message, "too_large")
    try:
        loaded = YAML(typ="safe", pure=True).load(match[1])
    except (YAMLError, ValueError, TypeError, RecursionError, AttributeError) as error:
        if _PERMISSIONS.search(match[1]):  # guessing could show it to everybody
            message = f"{name}: front matter names `readers` but is no YAML: {error}"
            raise UnreadableDocumentError(" ".join(message.split()), "permissions") from error
        return source[match.end() :], {
            key.strip().lower(): value.strip("\"'") for key, value in _LINE.findall(match[1])
        }
    return source[match.end() :], gather(loaded, name) if isinstance(loaded, Mapping) else {}


def gather(loaded: Mapping[Any, Any], name: str) -> dict[str, Fact]:
    """Return the facts of a mapping. What no fact can hold is left out and named under `front_matter_left_out`."""
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
    if "readers" not in facts and any(str(key).strip().lower() == "readers" for key in loaded):
        message = f"{name}: `readers` in its front matter is no list of names; write readers: [NAME, ...]"
        raise UnreadableDocumentError(message, "permissions")
    return facts | ({"front_matter_left_out": tuple(left_out)} if left_out else {})


def flatten(mapping: Mapping[Any, Any], prefix: str, depth: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys in lower case and their values; a mapping that is nested too deep is a value."""
    for key, value in mapping.items():
        dotted = f"{prefix}{' '.join(str(key).split()).lower()}"
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
