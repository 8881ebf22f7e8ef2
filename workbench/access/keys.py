"""Keys: made once and shown once, kept as SHA-256, looked up anew whenever their file has changed.

A key is 192 random bits, so one fast hash keeps it: there is nothing to guess. Revoking is seen by a running server
with the next request. What cannot be read lets nobody in: a file that is damaged, that others may write, or that is
gone though it was there, even if it went while the server was down (`witness.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import stat
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, Field, ValidationError

from workbench.access.grants import EVERY, OWNER, Grant, Role, check_grant
from workbench.access.witness import forget_keys_made, keys_were_made, note_keys_made
from workbench.errors import (
    ConfigError,
    ExpiredKeyError,
    KeyFileError,
    MissingKeyError,
    RevokedKeyError,
    UnknownKeyError,
)
from workbench.locking import hold_writer_lock
from workbench.runs import write_atomically
from workbench.types import Frozen

KEYS, LOCK = "keys.json", "keys.lock"
PREFIX = "wbk_"
SECRET_BYTES = 24
MAX_SECRET_CHARACTERS = 200
NO_KEY = "no valid key: send one as `Authorization: Bearer wbk_...`; whoever runs this server makes them"


class KeyFacts(Frozen):
    """One key, without its secret."""

    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    name: str = Field(min_length=1, max_length=100)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    roles: dict[str, Role]
    principals: tuple[str, ...] | None  # None: it sees every document
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None


Keys = list[KeyFacts]  # KeyStore has a method of the name `list`


class _KeyFile(Frozen):
    version: int = Field(ge=1, le=1)
    keys: tuple[KeyFacts, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """The file as it was read, and what tells whether it is still that one."""

    mark: tuple[int, int, int, int]
    by_hash: Mapping[str, KeyFacts]


class KeyStore:
    """The keys of a server's folder. Threads and processes share it."""

    def __init__(self, folder: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Take the server's folder; nothing is read yet."""
        self.folder = folder
        self._path = folder / KEYS
        self._clock = clock
        self._lock = threading.Lock()
        self._read: _Read | None = None  # None: no key was ever seen by this object

    def create(
        self,
        name: str,
        roles: Mapping[str, str],
        *,
        principals: Collection[str] | None = (),
        expires: datetime | None = None,
    ) -> tuple[KeyFacts, str]:
        """Make a key; return what is kept of it, and its secret, which is nowhere else.

        Args:
            name: for people; several keys may have it, so that one can follow another.
            roles: collection or "*" → read, write or admin.
            principals: whose documents it sees beside those open to everybody; None: every document. A key with
                admin of "*" sees every document in any case: it could make itself one that does.
            expires: when it ends; None: never.
        Raises:
            ConfigError: a name, a role, a principal or the end is none.
            KeyFileError: the keys there are cannot be read.
            BusyError: another process is writing them.
        """
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        now = self._clock()
        check_grant(name, roles, principals)
        if expires is not None and (expires.tzinfo is None or expires <= now):
            raise ConfigError(f"a key cannot end at {expires.isoformat()}, it is {now.isoformat()}; give a later time")
        sees_all = principals is None or roles.get(EVERY) == Role.ADMIN
        facts = KeyFacts(
            id=secrets.token_hex(6),
            name=name,
            sha256=_hash(secret),
            roles={collection: Role(role) for collection, role in roles.items()},
            principals=None if sees_all or principals is None else tuple(sorted(set(principals))),
            created=now,
            expires=expires,
        )
        with self._changing() as keys:
            keys.append(facts)
        return facts, secret

    def revoke(self, id_: str) -> KeyFacts:
        """Let nobody in with a key any more, from the next request on; return what is kept of it.

        Raises:
            ConfigError: no key has that id.
            KeyFileError, BusyError: as `create`.
        """
        with self._changing() as keys:
            for place, facts in enumerate(keys):
                if facts.id == id_:
                    if facts.revoked is None:
                        keys[place] = facts.model_copy(update={"revoked": self._clock()})
                    return keys[place]
            known = ", ".join(facts.id for facts in keys) or "none"
            raise ConfigError(f"no key of {self.folder} has the id {id_[:80]!r}; there are: {known}")

    def list(self) -> tuple[KeyFacts, ...]:
        """Return all keys, revoked ones too, in the order they were made. Raises KeyFileError."""
        return tuple(self._current().values())

    @property
    def any_made(self) -> bool:
        """Whether there is a file of keys: from then on nobody is let in without one. Raises KeyFileError."""
        self._current()
        return self._read is not None

    def require_those_made(self) -> None:
        """Check, before a server starts, that keys it once had are still there; they may all be revoked.

        Raises:
            KeyFileError: the file is gone, holds none, or cannot be read.
        """
        if self.list():
            note_keys_made(self.folder)  # a folder from before there was a witness
        elif self.any_made or keys_were_made(self.folder):
            raise self._refuse("holds no key, though keys were made")

    def forget(self) -> int:
        """Remove all keys, so that a server which is started here afterwards answers this machine without one.

        A running server notices only that they are gone, and lets nobody in.

        Returns:
            How many keys the file held, as far as it could be read.
        Raises:
            BusyError: another process is writing them.
        """
        if not self.folder.is_dir():
            return 0
        n_keys = 0
        with hold_writer_lock(self.folder / LOCK):
            with suppress(KeyFileError):
                n_keys = len(self.list())
            # The file first: whatever comes between leaves the server closed.
            self._path.unlink(missing_ok=True)
            forget_keys_made(self.folder)
        return n_keys

    def is_good(self, facts: KeyFacts) -> bool:
        """Say whether a key is neither revoked nor past its end."""
        return facts.revoked is None and not self._is_over(facts)

    def find(self, secret: str | None) -> Grant:
        """Return what a secret grants.

        Raises:
            MissingKeyError, UnknownKeyError, RevokedKeyError, ExpiredKeyError: it grants nothing. All say the same.
            KeyFileError: the keys cannot be read.
        """
        known = self._current()
        if not secret:
            raise MissingKeyError(NO_KEY)
        hashed = _hash(secret) if len(secret) <= MAX_SECRET_CHARACTERS else ""
        facts = known.get(hashed)
        # The look-up tells by its time at most about the hash of what was sent, which nobody can steer.
        if facts is None or not hmac.compare_digest(facts.sha256, hashed):
            raise UnknownKeyError(NO_KEY)
        if facts.revoked is not None:
            raise RevokedKeyError(NO_KEY)
        if self._is_over(facts):
            raise ExpiredKeyError(NO_KEY)
        principals = None if facts.principals is None else frozenset(facts.principals)
        return Grant(facts.roles, facts.id, facts.name, principals)

    def admit(self, authorization: str | None, *, from_here: bool) -> Grant:
        """Return what the header of a request grants; from here, while there is no key, the owner's grant.

        Then whatever came as a key is not looked at: OpenAI's clients insist on sending one.

        Args:
            authorization: the header `Authorization`; None: there was none.
            from_here: whether the request came over the loopback.
        Raises:
            AccessError: it grants nothing; see `find`.
        """
        if from_here and not self.any_made:
            return OWNER
        return self.find(read_bearer(authorization))

    def _is_over(self, facts: KeyFacts) -> bool:
        return facts.expires is not None and self._clock() >= facts.expires

    def _current(self) -> Mapping[str, KeyFacts]:
        """Return all keys by hash, read again where the file is another than last time."""
        with self._lock:
            try:
                found = self._path.stat()
            except FileNotFoundError:
                if self._read is None and not keys_were_made(self.folder):
                    return {}
                raise self._refuse("is gone") from None
            except OSError as error:
                raise self._refuse(f"cannot be read: {error.strerror}") from error
            mark = (found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode)
            if self._read is None or self._read.mark != mark:
                # First, so that a file that turns out damaged never counts as one that was never there.
                self._read = _Read((0, 0, 0, 0), {})
                if stat.S_IMODE(found.st_mode) & 0o022:
                    raise self._refuse(f"may be written by others (mode {stat.S_IMODE(found.st_mode):03o})")
                self._read = _Read(mark, {facts.sha256: facts for facts in self._parse()})
            return self._read.by_hash

    def _parse(self) -> tuple[KeyFacts, ...]:
        try:
            return _KeyFile.model_validate_json(self._path.read_bytes()).keys
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, fault["loc"]))
            raise self._refuse(f"is damaged ({place}: {fault['msg']})") from error
        except OSError as error:
            raise self._refuse(f"cannot be read: {error.strerror}") from error

    def _refuse(self, fault: str) -> KeyFileError:
        return KeyFileError(
            f"{self._path} {fault}: nobody is let in; bring it back from a backup, chmod 600, or move it away and make "
            f"new keys: workbench keys create {self.folder} NAME --role '*=admin'; to have no keys any more: workbench "
            f"keys forget {self.folder}"
        )

    @contextmanager
    def _changing(self) -> Iterator[Keys]:
        """Yield the keys to be changed; they are written when the block ends well."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with hold_writer_lock(self.folder / LOCK):
            # Making a key where the file is lost tells a server to go on; one that runs saw the file and stays shut.
            is_lost = self._read is None and not self._path.exists()
            keys = [] if is_lost else list(self._current().values())
            before = list(keys)
            yield keys
            if keys != before:
                content = _KeyFile(version=1, keys=tuple(keys)).model_dump_json(indent=1)
                write_atomically(self._path, content + "\n", mode=0o600)
                note_keys_made(self.folder)


def read_bearer(authorization: str | None) -> str | None:
    """Return the secret in a header `Authorization: Bearer SECRET`; None: there is none in it."""
    scheme, _, secret = (authorization or "").strip().partition(" ")
    return secret.strip() or None if scheme.casefold() == "bearer" else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
