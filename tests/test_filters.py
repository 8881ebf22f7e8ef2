"""Filters: what each form passes, what is refused, and their laws."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ConfigError
from workbench.filters import MAX_DEPTH, All, AnyOf, Compare, Not, parse_filter, passes

PAPER = {"language": "en", "year": 2021, "score": 0.5, "open": True, "tags": ("oil", "lamp"), "date": "2021-06-30"}

PASSING: list[dict[str, Any]] = [
    {"language": "en"},
    {"year": 2021.0},
    {"open": True},
    {"year": {"gte": 2020, "lt": 2022}},
    {"year": {"gt": 2020, "lte": 2021, "ne": 2020}},
    {"date": {"gte": "2021-06-01", "lt": "2021-07-01"}},
    {"date": {"gte": date(2021, 6, 30)}},
    {"language": {"in": ["de", "en"]}},
    {"tags": "lamp"},
    {"tags": {"in": ["lamp", "wick"]}},
    {"language": {"ne": "de"}},
    {"absent": {"ne": 1}},
    {"not": {"absent": 1}},
    {"or": [{"language": "de"}, {"year": 2021}]},
    {"and": [{"language": "en"}, {"not": {"year": 2020}}]},
    {"language": "en", "year": 2021},
]
FAILING: list[dict[str, Any]] = [
    {"language": "de"},
    {"language": "EN"},
    {"absent": 1},
    {"absent": {"lt": 1}},
    {"year": "2021"},
    {"year": True},
    {"open": 1},
    {"open": False},
    {"language": {"gte": 1}},
    {"year": {"gte": 2020, "lt": 2021}},
    {"year": {"gte": 2020, "ne": 2021}},
    {"language": {"in": []}},
    {"tags": {"ne": "lamp"}},
    {"tags": {"gt": "lamp", "lt": "oil"}},
    {"or": [{"language": "de"}, {"year": 2020}]},
    {"language": "en", "year": 2020},
]


@pytest.mark.parametrize("written", PASSING, ids=str)
def test_a_document_passes(written: dict[str, Any]) -> None:
    assert passes(parse_filter(written), PAPER)


@pytest.mark.parametrize("written", FAILING, ids=str)
def test_a_document_does_not_pass(written: dict[str, Any]) -> None:
    assert not passes(parse_filter(written), PAPER)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("language = en", "is a mapping"),
        ({}, "is a mapping"),
        ({"year": {}}, "is empty; write year: VALUE"),
        ({"year": {"over": 3}}, "operator 'over', known: eq, ne, lt"),
        ({"year": None}, "compares with None"),
        ({"year": [2020, 2021]}, r"compares with \[2020, 2021\]"),
        ({"year": float("nan")}, "compares with nan"),
        ({"year": {"in": "2020"}}, "`in` takes a list"),
        ({"open": {"gte": True}}, "orders numbers and text, not True"),
        ({"and": []}, "takes a list of filters"),
        ({"or": {"a": 1}}, "takes a list of filters"),
        ({"not": "x"}, "is a mapping"),
    ],
    ids=str,
)
def test_what_is_no_filter_is_refused(written: object, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_filter(written)


def test_endless_nesting_is_refused_before_python_gives_up() -> None:
    written: dict[str, Any] = {"a": 1}
    for _ in range(MAX_DEPTH - 1):
        written = {"not": written}
    assert parse_filter(written) is not None
    for _ in range(5_000):
        written = {"not": written}
    with pytest.raises(ConfigError, match="nests deeper than 32"):
        parse_filter(written)


def test_a_range_holds_for_one_member_of_a_list() -> None:
    inside = parse_filter({"dates": {"gte": "2020", "lt": "2024"}})
    assert passes(inside, {"dates": ("2019", "2022")})
    assert not passes(inside, {"dates": ("2019", "2025")})  # no member lies inside, though each passes one bound


def test_filters_that_pass_other_documents_are_not_equal() -> None:
    # Masks are cached by filter, and to Python 1 == True.
    one, true = parse_filter({"open": 1}), parse_filter({"open": True})
    assert one != true
    assert parse_filter({"open": {"in": [1, "a"]}}) != parse_filter({"open": {"in": [True, "a"]}})
    assert len({one, true, parse_filter({"open": 1.0})}) == 2  # 1 and 1.0 pass the same documents


scalars = st.one_of(st.booleans(), st.integers(-2, 2), st.sampled_from([0.5, 1.0, float("inf")]), st.sampled_from("ab"))
metadata = st.dictionaries(st.sampled_from("xyz"), st.one_of(scalars, st.lists(st.sampled_from("abc")).map(tuple)))
ordered = st.one_of(st.integers(-2, 2), st.sampled_from("ab"))
comparisons = st.one_of(
    scalars,
    st.dictionaries(st.sampled_from(["lt", "lte", "gt", "gte"]), ordered, min_size=1),
    st.dictionaries(st.sampled_from(["eq", "ne"]), scalars, min_size=1),
    st.fixed_dictionaries({"in": st.lists(scalars)}),
)
written_filters = st.recursive(
    st.dictionaries(st.sampled_from("xyz"), comparisons, min_size=1),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"and": st.lists(inner, min_size=1)}),
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1)}),
    ),
    max_leaves=6,
)


@given(written_filters, written_filters, metadata)
def test_combinations_obey_logic(left: dict[str, Any], right: dict[str, Any], document: dict[str, Any]) -> None:
    a, b = parse_filter(left), parse_filter(right)
    assert passes(Not(a), document) is not passes(a, document)
    assert passes(All((a, b)), document) is (passes(a, document) and passes(b, document))
    assert passes(AnyOf((a, b)), document) is passes(Not(All((Not(a), Not(b)))), document)
    assert passes(parse_filter({"and": [left, right]}), document) is passes(All((a, b)), document)


@given(written_filters, written_filters, metadata)
def test_equal_filters_pass_the_same_documents(
    left: dict[str, Any], right: dict[str, Any], document: dict[str, Any]
) -> None:
    a, b = parse_filter(left), parse_filter(right)
    assert hash(a) == hash(parse_filter(left))
    if a == b:
        assert passes(a, document) is passes(b, document)


@given(st.sampled_from("xyz"), scalars, metadata)
def test_a_value_is_found_by_itself_and_bounds_meet_in_it(key: str, value: Any, document: dict[str, Any]) -> None:
    document = document | {key: value}
    assert passes(parse_filter({key: value}), document)
    assert passes(parse_filter({key: {"in": [value]}}), document)
    assert not passes(parse_filter({key: {"ne": value}}), document)
    if not isinstance(value, bool):
        assert passes(parse_filter({key: {"gte": value, "lte": value}}), document)
        assert not passes(parse_filter({key: {"gt": value}}), document)


@given(metadata)
def test_nothing_given_passes_all_or_nothing(document: dict[str, Any]) -> None:
    assert passes(All(()), document)
    assert not passes(AnyOf(()), document)
    assert not passes(Compare("x", "in", ()), document)
