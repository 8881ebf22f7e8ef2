"""Roles combine by the higher, and nothing but a role gives a right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.access import OWNER, Grant, Role
from workbench.access.grants import EVERY
from workbench.errors import AccessError, RoleError

NAMES = st.sampled_from(("manuals", "letters", "plans"))
ROLES = st.dictionaries(st.one_of(NAMES, st.just(EVERY)), st.sampled_from(list(Role)))
# Rights by (role of the collection, role of "*"), written out by hand: r, w, a for read, write, admin.
MATRIX = {
    (None, None): "",
    (None, "read"): "r",
    (None, "write"): "rw",
    (None, "admin"): "rwa",
    ("read", None): "r",
    ("read", "read"): "r",
    ("read", "write"): "rw",
    ("read", "admin"): "rwa",
    ("write", None): "rw",
    ("write", "read"): "rw",
    ("write", "write"): "rw",
    ("write", "admin"): "rwa",
    ("admin", None): "rwa",
    ("admin", "read"): "rwa",
    ("admin", "write"): "rwa",
    ("admin", "admin"): "rwa",
}


@pytest.mark.parametrize(("roles", "rights"), MATRIX.items(), ids=str)
@pytest.mark.parametrize("asked", list(Role))
def test_the_matrix_of_roles(roles: tuple[str | None, str | None], rights: str, asked: Role) -> None:
    own, every = roles
    pairs = {"manuals": own, EVERY: every}
    grant = Grant({name: Role(role) for name, role in pairs.items() if role is not None})
    allowed = asked.value[0] in rights
    assert grant.allows(asked, "manuals") == allowed
    assert grant.readable(["letters", "manuals"]) == [
        name for name, may in (("letters", every is not None), ("manuals", rights != "")) if may
    ]
    if allowed:
        grant.require(asked, "manuals")
    else:
        with pytest.raises(RoleError, match=f"takes the role {asked} of collection 'manuals'"):
            grant.require(asked, "manuals")


@given(ROLES, NAMES)
def test_a_higher_role_includes_the_lower_ones(roles: dict[str, Role], name: str) -> None:
    grant = Grant(roles)
    allowed = [grant.allows(role, name) for role in Role]
    assert allowed == sorted(allowed, reverse=True)


@given(ROLES, NAMES, st.sampled_from(list(Role)))
def test_what_is_said_of_one_collection_says_nothing_of_another(roles: dict[str, Role], name: str, role: Role) -> None:
    others = {key: value for key, value in roles.items() if key in (name, EVERY)}
    assert Grant(roles).allows(role, name) == Grant(others).allows(role, name)
    assert Grant({key: value for key, value in roles.items() if key != EVERY}).role(EVERY) is None


@given(ROLES, ROLES, NAMES, st.sampled_from(list(Role)))
def test_more_roles_never_take_a_right_away(
    some: dict[str, Role], more: dict[str, Role], name: str, role: Role
) -> None:
    higher = {
        key: max((part[key] for part in (some, more) if key in part), key=lambda one: one.rank) for key in some | more
    }
    assert Grant(higher).allows(role, name) == (Grant(some).allows(role, name) or Grant(more).allows(role, name))


@given(ROLES, st.lists(NAMES))
def test_readable_names_are_those_it_may_read_in_their_order(roles: dict[str, Role], names: list[str]) -> None:
    grant = Grant(roles)
    assert grant.readable(names) == [name for name in names if roles.keys() & {name, EVERY}]


def test_the_owner_may_do_everything_and_sees_every_document() -> None:
    assert all(OWNER.allows(role, name) for role in Role for name in ("manuals", EVERY))
    assert (OWNER.scope.principals, OWNER.name, OWNER.key_id) == (None, None, None)


def test_a_key_without_principals_sees_what_everybody_may() -> None:
    assert Grant({EVERY: Role.READ}, "id", "name", frozenset()).scope.principals == frozenset()


def test_a_refusal_is_an_access_error_that_names_both_roles() -> None:
    with pytest.raises(AccessError, match=r"takes the role admin of the whole server .* the key has read"):
        Grant({EVERY: Role.READ}).require(Role.ADMIN, EVERY)
