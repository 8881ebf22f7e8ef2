"""Filters on a document's metadata: what they say, how they are written, and whether a document passes.

Written as JSON or YAML: `{language: en}` is equality; `{year: {gte: 2020, lt: 2024}}` a range; `{source: {in: [a, b]}}`
membership; `{and: [...]}`, `{or: [...]}`, `{not: ...}` combine; several keys in one mapping are an `and`. A key the
document does not have passes nothing but a `not`. A value that is a list (several languages, tags) passes when one of
its members does. Numbers compare with numbers and text with text (ISO dates sort as text); across kinds nothing passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from workbench.errors import ConfigError

Scalar = str | int | float | bool
COMPARISONS = ("eq", "ne", "lt", "lte", "gt", "gte", "in")
COMBINATIONS = ("and", "or", "not")


@dataclass(frozen=True, slots=True)
class Compare:
    """One comparison of one key; `values` has one member but for `in`."""

    key: str
    operator: str  # one of COMPARISONS but `ne`, which is a Not around `eq`
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every part passes; no parts pass everything."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One part passes at least; no parts pass nothing."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not pass."""

    part: Filter


Filter = Compare | All | AnyOf | Not


def parse_filter(written: object) -> Filter:
    """Return the filter behind its JSON form.

    Raises:
        ConfigError: it is not one; the message names the part and what may stand there.
    """
    if not isinstance(written, Mapping) or not written:
        raise ConfigError(f"a filter is a mapping such as {{language: en}}, not {written!r}")
    parts = [_parse_entry(str(key), value) for key, value in written.items()]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def passes(filter_: Filter, metadata: Mapping[str, object]) -> bool:
    """Whether a document with this metadata passes."""
    match filter_:
        case Compare(key=key):
            found = metadata.get(key)
            members = found if isinstance(found, list | tuple) else [found]
            return any(_compare(member, filter_) for member in members if member is not None)
        case All(parts=parts):
            return all(passes(part, metadata) for part in parts)
        case AnyOf(parts=parts):
            return any(passes(part, metadata) for part in parts)
        case Not(part=part):
            return not passes(part, metadata)
        case _:
            assert_never(filter_)


def _parse_entry(key: str, value: object) -> Filter:
    if key == "not":
        return Not(parse_filter(value))
    if key in COMBINATIONS:
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise ConfigError(f"filter `{key}` takes a list of filters, not {value!r}")
        parts = tuple(parse_filter(part) for part in value)
        return All(parts) if key == "and" else AnyOf(parts)
    if not isinstance(value, Mapping):
        return Compare(key, "eq", (_scalar(key, value),))
    if not value:
        raise ConfigError(f"filter on {key!r} is empty; write {key}: VALUE or {key}: {{gte: VALUE}}")
    parts = tuple(_parse_comparison(key, str(operator), operand) for operator, operand in value.items())
    return parts[0] if len(parts) == 1 else All(parts)


def _parse_comparison(key: str, operator: str, operand: object) -> Filter:
    if operator not in COMPARISONS:
        raise ConfigError(f"filter on {key!r} has operator {operator!r}, known: {', '.join(COMPARISONS)}")
    if operator == "in":
        if not isinstance(operand, Sequence) or isinstance(operand, str):
            raise ConfigError(f"filter on {key!r}: `in` takes a list, not {operand!r}")
        return Compare(key, "in", tuple(_scalar(key, one) for one in operand))
    compared = Compare(key, "eq" if operator == "ne" else operator, (_scalar(key, operand),))
    return Not(compared) if operator == "ne" else compared


def _scalar(key: str, value: object) -> Scalar:
    if not isinstance(value, str | int | float | bool):
        raise ConfigError(f"filter on {key!r} compares with {value!r}; give text, a number, true or false")
    return value


def _compare(found: object, wanted: Compare) -> bool:
    return any(_compare_one(found, value, wanted.operator) for value in wanted.values)


def _compare_one(found: object, value: Scalar, operator: str) -> bool:
    if isinstance(found, bool) or isinstance(value, bool):  # True is no 1 here
        return operator in ("eq", "in") and found is value
    if isinstance(found, str) and isinstance(value, str):
        return _ordered((found > value) - (found < value), operator)
    if isinstance(found, int | float) and isinstance(value, int | float):
        return found == found and value == value and _ordered((found > value) - (found < value), operator)  # noqa: PLR0124  (NaN)
    return False


def _ordered(sign: int, operator: str) -> bool:
    match operator:
        case "eq" | "in":
            return sign == 0
        case "lt":
            return sign < 0
        case "lte":
            return sign <= 0
        case "gt":
            return sign > 0
        case _:
            return sign >= 0
