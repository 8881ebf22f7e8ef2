"""Keys: shown once, refused at once when revoked, and nobody let in by a file that cannot be trusted."""

from __future__ import annotations

import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workbench.access import OWNER, KeyStore, Role, is_loopback, read_bearer, refuse_open_bind
from workbench.errors import (
    AccessError,
    BusyError,
    ConfigError,
    ExpiredKeyError,
    KeyFileError,
    MissingKeyError,
    RevokedKeyError,
    UnknownKeyError,
)
from workbench.locking import hold_writer_lock

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> KeyStore:
    return KeyStore(tmp_path / "serving", clock=clock)


def test_a_key_grants_what_it_was_made_with(keys: KeyStore) -> None:
    facts, secret = keys.create("ann", {"manuals": "write", "*": "read"}, principals=["hr", "hr"])
    grant = keys.find(secret)
    assert (grant.key_id, grant.name, grant.principals) == (facts.id, "ann", frozenset({"hr"}))
    assert (grant.role("manuals"), grant.role("letters")) == (Role.WRITE, Role.READ)
    assert re.fullmatch(r"wbk_[\w-]{32}", secret)
    assert KeyStore(keys.folder).list() == (facts,)


def test_the_secret_is_nowhere_on_the_disk_and_the_file_is_its_owners_alone(keys: KeyStore) -> None:
    before = os.umask(0)
    try:
        secrets = [keys.create(f"k{n}", {"*": "admin"})[1] for n in range(3)]
    finally:
        os.umask(before)
    assert len(set(secrets)) == 3
    for path in keys.folder.rglob("*"):
        assert not any(secret.removeprefix("wbk_").encode() in path.read_bytes() for secret in secrets)
    assert (keys.folder / "keys.json").stat().st_mode & 0o777 == 0o600
    assert keys.folder.stat().st_mode & 0o777 == 0o700
    assert all(secret[4:] not in repr(keys.list()) for secret in secrets)


@pytest.mark.parametrize("roles", [{"*": "read"}, {"manuals": "admin"}])
def test_without_principals_only_documents_open_to_everybody_are_seen(keys: KeyStore, roles: dict[str, str]) -> None:
    assert keys.find(keys.create("ann", roles)[1]).scope.principals == frozenset()
    assert keys.find(keys.create("bob", roles, principals=None)[1]).scope.principals is None


def test_who_may_make_keys_sees_every_document(keys: KeyStore) -> None:
    assert keys.find(keys.create("root", {"*": "admin"})[1]).scope.principals is None


def test_all_refusals_say_the_same_and_differ_in_class(keys: KeyStore, clock: Clock) -> None:
    _, ending = keys.create("ending", {"*": "read"}, expires=NOON + timedelta(hours=1))
    facts, revoked = keys.create("revoked", {"*": "read"})
    keys.revoke(facts.id)
    assert keys.find(ending).name == "ending"
    clock.now += timedelta(hours=1)
    refusals: dict[type[AccessError], set[str | None]] = {
        MissingKeyError: {None, ""},
        UnknownKeyError: {
            "wbk_" + "x" * 32,
            revoked[:-1],
            revoked + "x",
            facts.sha256,
            facts.id,
            "x" * 10**6,
            "\ud800",
        },
        RevokedKeyError: {revoked},
        ExpiredKeyError: {ending},
    }
    said = set()
    for kind, secrets in refusals.items():
        for secret in secrets:
            with pytest.raises(AccessError) as caught:
                keys.find(secret)
            assert type(caught.value) is kind
            said.add(str(caught.value))
    assert len(said) == 1


def test_a_running_server_sees_new_and_revoked_keys_with_the_next_request(keys: KeyStore) -> None:
    server = KeyStore(keys.folder)
    facts, secret = keys.create("ann", {"*": "read"})
    assert server.find(secret).name == "ann"
    for _ in range(50):  # within one tick of the clock of most file systems
        other, _ = keys.create("other", {"*": "read"})
        keys.revoke(other.id)
        assert server.find(secret).name == "ann"
    keys.revoke(facts.id)
    with pytest.raises(RevokedKeyError):
        server.find(secret)
    assert keys.revoke(facts.id).revoked is not None  # a second time changes nothing


def test_a_key_is_needed_as_soon_as_one_was_made_and_for_ever(keys: KeyStore) -> None:
    server = KeyStore(keys.folder)
    assert server.admit(None, from_here=True) is OWNER
    with pytest.raises(MissingKeyError):
        server.admit(None, from_here=False)
    assert server.admit("Bearer whatever", from_here=True) is OWNER  # OpenAI's clients insist on sending one
    facts, secret = keys.create("ann", {"*": "admin"})
    assert server.admit(f"Bearer {secret}", from_here=False).name == "ann"
    keys.revoke(facts.id)
    with pytest.raises(MissingKeyError):
        server.admit(None, from_here=True)
    with pytest.raises(UnknownKeyError):
        server.admit("Bearer whatever", from_here=True)


def test_a_file_that_goes_away_lets_nobody_in(keys: KeyStore) -> None:
    server = KeyStore(keys.folder)
    _, secret = keys.create("ann", {"*": "admin"})
    server.find(secret)
    (keys.folder / "keys.json").unlink()
    for header in (None, f"Bearer {secret}"):
        with pytest.raises(KeyFileError, match="is gone: nobody is let in"):
            server.admit(header, from_here=True)


def test_keys_lost_while_the_server_was_down_keep_it_closed_until_it_is_told(keys: KeyStore) -> None:
    keys.require_those_made()  # none were ever made
    _, lost = keys.create("ann", {"*": "admin"})
    path = keys.folder / "keys.json"
    KeyStore(keys.folder).require_those_made()
    path.unlink()
    for server in (KeyStore(keys.folder), keys):
        with pytest.raises(KeyFileError, match=r"is gone: nobody is let in; .* workbench keys forget"):
            server.require_those_made()
        with pytest.raises(KeyFileError, match="is gone"):
            server.admit(None, from_here=True)
    path.write_text('{"version": 1, "keys": []}')
    with pytest.raises(KeyFileError, match="holds no key, though keys were made"):
        KeyStore(keys.folder).require_those_made()
    path.unlink()
    facts, secret = KeyStore(keys.folder).create("bob", {"*": "admin"})  # told so: new keys
    server = KeyStore(keys.folder)
    server.require_those_made()
    assert (server.list(), server.find(secret).name) == ((facts,), "bob")
    with pytest.raises(UnknownKeyError):
        server.find(lost)


@pytest.mark.parametrize("content", [None, b"", b'{"version": 1, "keys": []}'], ids=["as made", "empty", "no keys"])
def test_a_server_that_is_told_to_forget_its_keys_is_open_again(keys: KeyStore, content: bytes | None) -> None:
    running = KeyStore(keys.folder)
    _, secret = keys.create("ann", {"*": "admin"})
    running.find(secret)
    if content is not None:
        (keys.folder / "keys.json").write_bytes(content)
    assert keys.forget() == (1 if content is None else 0)
    fresh = KeyStore(keys.folder)
    fresh.require_those_made()
    assert fresh.admit(None, from_here=True) is OWNER
    with pytest.raises(KeyFileError, match="is gone"):  # it runs, and was told nothing
        running.admit(None, from_here=True)
    assert KeyStore(keys.folder / "nowhere").forget() == 0


def test_keys_from_before_there_was_a_witness_get_one_when_their_server_starts(keys: KeyStore) -> None:
    keys.create("ann", {"*": "admin"})
    (keys.folder / "keys.made").unlink()
    KeyStore(keys.folder).require_those_made()
    (keys.folder / "keys.json").unlink()
    with pytest.raises(KeyFileError, match="is gone"):
        KeyStore(keys.folder).require_those_made()


DAMAGES = {
    "empty": b"",
    "cut": b'{"version": 1, "keys": [',
    "not JSON": b"\xff\x00",
    "another version": b'{"version": 2, "keys": []}',
    "no keys": b"{}",
    "an unknown field": b'{"version": 1, "keys": [], "open": true}',
    "a list": b"[]",
}


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_file_lets_nobody_in_and_is_not_written_over(keys: KeyStore, content: bytes) -> None:
    _, secret = keys.create("ann", {"*": "admin"})
    keys.find(secret)
    path = keys.folder / "keys.json"
    path.write_bytes(content)
    for store in (keys, KeyStore(keys.folder)):
        for header in (None, f"Bearer {secret}"):
            for _ in range(2):  # the second time no better than the first
                with pytest.raises(KeyFileError, match="nobody is let in"):
                    store.admit(header, from_here=True)
        with pytest.raises(KeyFileError):
            store.create("bob", {"*": "admin"})
        with pytest.raises(KeyFileError):
            refuse_open_bind("0.0.0.0", store)
    assert path.read_bytes() == content


def test_a_damaged_file_that_goes_away_lets_nobody_in_either(keys: KeyStore) -> None:
    keys.create("ann", {"*": "admin"})
    path, server = keys.folder / "keys.json", KeyStore(keys.folder)
    path.write_bytes(b"")
    with pytest.raises(KeyFileError, match="is damaged"):
        server.admit(None, from_here=True)
    path.unlink()
    with pytest.raises(KeyFileError, match="is gone"):
        server.admit(None, from_here=True)


def test_a_file_mended_lets_in_again(keys: KeyStore) -> None:
    _, secret = keys.create("ann", {"*": "admin"})
    path = keys.folder / "keys.json"
    good = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(KeyFileError):
        keys.find(secret)
    path.write_bytes(good)
    assert keys.find(secret).name == "ann"


@pytest.mark.parametrize("mode", [0o660, 0o602, 0o622])
def test_a_file_that_others_may_write_lets_nobody_in(keys: KeyStore, mode: int) -> None:
    _, secret = keys.create("ann", {"*": "admin"})
    (keys.folder / "keys.json").chmod(mode)
    with pytest.raises(KeyFileError, match=f"mode {mode:o}"):
        keys.find(secret)


@pytest.mark.parametrize(
    ("name", "roles", "principals", "fault"),
    [
        ("", {"*": "read"}, (), "cannot be called"),
        ("a\nb", {"*": "read"}, (), "cannot be called"),
        ("ann", {}, (), "without a role"),
        ("ann", {"*": "owner"}, (), "one of read, write, admin"),
        ("ann", {"../x": "read"}, (), "no collection's name"),
        ("ann", {"**": "read"}, (), "no collection's name"),
        ("ann", {"*": "read"}, ["*"], "no principal"),
        ("ann", {"*": "read"}, [" "], "no principal"),
    ],
)
def test_what_no_key_can_be_is_refused(
    keys: KeyStore, name: str, roles: dict[str, str], principals: list[str], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        keys.create(name, roles, principals=principals)
    with pytest.raises(ConfigError, match="cannot end"):
        keys.create("ann", {"*": "read"}, expires=NOON)
    with pytest.raises(ConfigError, match="has the id 'nix'"):
        keys.revoke("nix")
    assert keys.list() == ()


def test_keys_made_at_once_are_all_kept(keys: KeyStore) -> None:
    stop = threading.Event()

    def look() -> int:
        server, n_seen = KeyStore(keys.folder), 0
        while not stop.is_set():
            n_now = len(server.list())
            assert n_now >= n_seen  # never half a file
            n_seen = n_now
        return n_seen

    with ThreadPoolExecutor(5) as pool:
        looking = pool.submit(look)
        made = [pool.submit(KeyStore(keys.folder).create, f"k{n}", {"*": "read"}) for n in range(12)]
        secrets = {future.result()[1] for future in made}
        stop.set()
        looking.result()
    assert {keys.find(secret).name for secret in secrets} == {f"k{n}" for n in range(12)}


def test_the_second_writer_is_told_who_the_first_is(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.create("ann", {"*": "read"})
    with hold_writer_lock(keys.folder / "keys.lock"), pytest.raises(BusyError, match=str(os.getpid())):
        keys.create("bob", {"*": "read"})


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic wbk_x", None),
        ("wbk_x", None),
        ("Bearer wbk_x", "wbk_x"),
        ("bearer  wbk_x ", "wbk_x"),
    ],
)
def test_only_a_bearer_header_holds_a_secret(header: str | None, secret: str | None) -> None:
    assert read_bearer(header) == secret


LOOPBACKS = ("127.0.0.1", "127.8.9.1", "::1", "[::1]", "::ffff:127.0.0.1", "localhost")
REACHABLE = ("0.0.0.0", "::", "", "192.168.1.5", "::ffff:192.168.1.5", "::ffff:0.0.0.0", "8.8.8.8", "fe80::1%eth0")


@pytest.mark.parametrize("host", LOOPBACKS)
def test_the_loopback_needs_no_key(keys: KeyStore, host: str) -> None:
    refuse_open_bind(host, keys)
    assert is_loopback(host) == (host != "localhost")


@pytest.mark.parametrize("host", [*REACHABLE, "no-such-name.invalid"])
def test_where_others_can_reach_it_a_good_key_is_needed(keys: KeyStore, clock: Clock, host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigError, match="workbench keys create"):
        refuse_open_bind(host, keys)
    facts, _ = keys.create("ann", {"*": "read"}, expires=NOON + timedelta(hours=1))
    refuse_open_bind(host, keys)
    clock.now += timedelta(hours=2)
    with pytest.raises(ConfigError, match="no key is good for it"):
        refuse_open_bind(host, keys)
    clock.now = NOON
    keys.revoke(facts.id)
    with pytest.raises(ConfigError, match="no key is good for it"):
        refuse_open_bind(host, keys)


def test_a_name_that_also_stands_for_another_address_needs_a_key(
    keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("10.0.0.7", 0))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ConfigError, match=r"10\.0\.0\.7"):
        refuse_open_bind("localhost", keys)
