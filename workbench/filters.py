"""Filters on a document's metadata: what they say, how they are written, and whether a document passes.

Written as JSON or YAML: `{language: en}` is equality; `{year: {gte: 2020, lt: 2024}}` a range; `{source: {in: [a, b]}}`
membership; `{and: [...]}`, `{or: [...]}`, `{not: ...}` combine; several keys in one mapping are an `and`. A key the
document does not have passes nothing but a `not` (and `ne`, which is one). A value that is a list (several languages,
tags) passes when one of its members does, a range when one member lies inside it. Numbers compare with numbers, truth
values with truth values, text with text (dates are ISO text, which sorts); across kinds nothing passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import assert_never

from workbench.errors import ConfigError

Scalar = str | int | float | bool
COMPARISONS = ("eq", "ne", "lt", "lte", "gt", "gte", "in")
COMBINATIONS = ("and", "or", "not")
MAX_DEPTH = 32  # filters inside filters; deeper ones come from no person, and would end in a RecursionError


@dataclass(frozen=True, slots=True)
class Compare:
    """One comparison of one key; `values` has one member but for `in`."""

    key: str
    operator: str  # one of COMPARISONS but `ne`, which is a Not around `eq`
    values: tuple[Scalar, ...]
    # To Python True equals 1; here they pass different documents, so filters on them must not share a cached mask.
    truths: tuple[bool, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "truths", tuple(isinstance(value, bool) for value in self.values))


@dataclass(frozen=True, slots=True)
class Range:
    """Several comparisons of one key, all passed by the same member of its value."""

    parts: tuple[Compare, ...]


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


Filter = Compare | Range | All | AnyOf | Not


def parse_filter(written: object) -> Filter:
    """Return the filter behind its JSON form.

    Raises:
        ConfigError: it is not one; the message names the part and what may stand there.
    """
    return _parse(written, MAX_DEPTH)


def passes(filter_: Filter, metadata: Mapping[str, object]) -> bool:
    """Whether a document with this metadata passes."""
    match filter_:
        case Compare(key=key):
            return any(_compare(member, filter_) for member in _members(metadata, key))
        case Range(parts=parts):
            return any(all(_compare(member, part) for part in parts) for member in _members(metadata, parts[0].key))
        case All(parts=parts):
            return all(passes(part, metadata) for part in parts)
        case AnyOf(parts=parts):
            return any(passes(part, metadata) for part in parts)
        case Not(part=part):
            return not passes(part, metadata)
        case _:
            assert_never(filter_)


def _parse(written: object, depth: int) -> Filter:
    if not isinstance(written, Mapping) or not written:
        raise ConfigError(f"a filter is a mapping such as {{language: en}}, not {written!r}")
    if not depth:
        raise ConfigError(f"the filter nests deeper than {MAX_DEPTH} levels; several keys in one mapping are an `and`")
    parts = [_parse_entry(str(key), value, depth - 1) for key, value in written.items()]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _parse_entry(key: str, value: object, depth: int) -> Filter:
    if key == "not":
        return Not(_parse(value, depth))
    if key in COMBINATIONS:
        if not isinstance(value, list | tuple) or not value:
            raise ConfigError(f"filter `{key}` takes a list of filters, not {value!r}")
        parts = tuple(_parse(part, depth) for part in value)
        return All(parts) if key == "and" else AnyOf(parts)
    if not isinstance(value, Mapping):
        return Compare(key, "eq", (_scalar(key, value),))
    if not value:
        raise ConfigError(f"filter on {key!r} is empty; write {key}: VALUE or {key}: {{gte: VALUE}}")
    compared = {str(operator): _parse_comparison(key, str(operator), operand) for operator, operand in value.items()}
    excluded = tuple(Not(part) for operator, part in compared.items() if operator == "ne")
    inside = tuple(part for operator, part in compared.items() if operator != "ne")
    whole: tuple[Filter, ...] = (*((Range(inside),) if len(inside) > 1 else inside), *excluded)
    return whole[0] if len(whole) == 1 else All(whole)


def _parse_comparison(key: str, operator: str, operand: object) -> Compare:
    if operator not in COMPARISONS:
        raise ConfigError(f"filter on {key!r} has operator {operator!r}, known: {', '.join(COMPARISONS)}")
    if operator == "in":
        if not isinstance(operand, list | tuple):
            raise ConfigError(f"filter on {key!r}: `in` takes a list, not {operand!r}")
        return Compare(key, "in", tuple(_scalar(key, one) for one in operand))
    value = _scalar(key, operand)
    if isinstance(value, bool) and operator not in ("eq", "ne"):
        raise ConfigError(f"filter on {key!r}: `{operator}` orders numbers and text, not {value!r}; write {key}: true")
    return Compare(key, "eq" if operator == "ne" else operator, (value,))


def _scalar(key: str, value: object) -> Scalar:
    if isinstance(value, date):  # what YAML makes of an unquoted 2024-05-01
        return value.isoformat()
    if not isinstance(value, str | int | float | bool) or value != value:  # noqa: PLR0124  (NaN)
        raise ConfigError(f"filter on {key!r} compares with {value!r}; give text, a number, a date, true or false")
    return value


def _members(metadata: Mapping[str, object], key: str) -> Sequence[object]:
    found = metadata.get(key)
    if found is None:
        return ()
    return found if isinstance(found, list | tuple) else (found,)


def _compare(found: object, wanted: Compare) -> bool:
    return any(_compare_one(found, value, wanted.operator) for value in wanted.values)


def _compare_one(found: object, value: Scalar, operator: str) -> bool:
    if isinstance(found, bool) or isinstance(value, bool):  # True is no 1 here
        return operator in ("eq", "in") and found is value
    if isinstance(found, str) and isinstance(value, str):
        return _ordered((found > value) - (found < value), operator)
    if isinstance(found, int | float) and isinstance(value, int | float):
        return found == found and _ordered((found > value) - (found < value), operator)  # noqa: PLR0124  (NaN)
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
