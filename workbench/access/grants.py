"""What a key grants: a role for each collection, and whose documents it sees. Decided by name, existing or not.

read < write < admin        the higher of the role for this collection and the role for all of them ("*") counts
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from workbench.errors import ConfigError, RoleError
from workbench.types import Scope

COLLECTION = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
EVERY = "*"  # stands for all collections, those to come included


class Role(StrEnum):
    """Each includes those before it."""

    READ = "read"  # searches, lists, is answered from it
    WRITE = "write"  # adds and deletes documents
    ADMIN = "admin"  # makes and drops collections; of all of them: everything else on the server too

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return list(Role).index(self)


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody who was let in. `principals` None: sees every document; else those open to all, or to one of them."""

    roles: Mapping[str, Role]  # by collection, or EVERY
    key_id: str | None = None  # None: the owner, who came without a key
    name: str | None = None  # of the key
    principals: frozenset[str] | None = None

    def role(self, collection: str) -> Role | None:
        """Return the role for one collection, or for all with EVERY; None: it may nothing there."""
        found = [role for key in {collection, EVERY} if (role := self.roles.get(key)) is not None]
        return max(found, key=lambda role: role.rank, default=None)

    def allows(self, role: Role, collection: str) -> bool:
        """Say whether it may do what `role` may, in one collection, or with EVERY: in all, and on the server."""
        own = self.role(collection)
        return own is not None and own.rank >= role.rank

    def require(self, role: Role, collection: str) -> None:
        """Refuse what it may not do, with the same words whether there is such a collection or not.

        Raises:
            RoleError: it names the role it takes, and that it has.
        """
        if not self.allows(role, collection):
            where = "the whole server ('*')" if collection == EVERY else f"collection {collection[:80]!r}"
            own = self.role(collection)
            raise RoleError(
                f"this takes the role {role} of {where}, the key has {own or 'none'}; ask whoever made it for more"
            )

    def readable(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that it may read, in their order."""
        return [name for name in names if self.allows(Role.READ, name)]

    @property
    def scope(self) -> Scope:
        """The documents that exist for it, in a collection that it may read."""
        return Scope(principals=self.principals)


OWNER = Grant({EVERY: Role.ADMIN})  # whoever sits at the machine, as long as no key was ever made


def check_grant(name: str, roles: Mapping[str, str], principals: Collection[str] | None) -> None:
    """Refuse what no key can be called or grant.

    Raises:
        ConfigError: the name, a collection, a role or a principal is none.
    """
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise ConfigError(f"a key cannot be called {name[:80]!r}; it takes 1 to 100 printable characters")
    if not roles:
        raise ConfigError("a key without a role may nothing; give one: --role manuals=read, or --role '*=admin'")
    for collection, role in roles.items():
        if not COLLECTION.fullmatch(collection):
            raise ConfigError(f"{collection[:80]!r} is no collection's name, nor '*' for all of them")
        if role not in list(Role):
            raise ConfigError(f"the role of {collection!r} is {role!r}; it is one of {', '.join(Role)}")
    for principal in principals or ():
        if not principal.strip() or principal == EVERY or not principal.isprintable():
            raise ConfigError(f"{principal[:80]!r} is no principal; name a user or a group")
