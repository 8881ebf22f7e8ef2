"""Offline as a process keeps it: which connections the guard refuses, which it lets be, what children inherit."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench import offline
from workbench.bench import Bench
from workbench.config import LibraryConfig, load_config
from workbench.errors import OfflineError
from workbench.library import Library


@pytest.fixture(autouse=True)
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (offline.GUARDED, *offline.FLAGS):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    before = offline.is_guarded()
    offline.guard()
    yield
    offline.forbid_hosts()
    (offline.guard if before else offline.lift)()


def connect(host: str, port: int = 9, family: socket.AddressFamily = socket.AF_INET) -> None:
    with socket.socket(family) as opened:
        opened.settimeout(0.2)
        opened.connect_ex((host, port))  # `connect` is what conftest watches


def ask_guard(host: str, port: int) -> None:
    """As `connect`, but no packet leaves where the guard lets it."""
    with socket.socket() as opened:
        sys.audit("socket.connect", opened, (host, port))


def send(host: str) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as opened:
        opened.sendto(b"x", (host, 9))


@pytest.mark.parametrize(
    ("attempt", "named"),
    [
        (lambda: connect("192.0.2.7", 443), r"'192\.0\.2\.7' port 443"),
        (lambda: connect("2001:db8::1", family=socket.AF_INET6), "2001:db8::1"),
        (lambda: connect("::ffff:192.0.2.7", family=socket.AF_INET6), "192.0.2.7"),
        (lambda: send("192.0.2.7"), "192.0.2.7"),
        (lambda: socket.getaddrinfo("elsewhere.example", 443), "elsewhere.example"),
        (lambda: socket.getaddrinfo(b"elsewhere.example", 443), "elsewhere.example"),
        (lambda: socket.gethostbyname("elsewhere.example"), "elsewhere.example"),
        (lambda: socket.getnameinfo(("192.0.2.7", 80), 0), "192.0.2.7"),
        (lambda: socket.create_connection(("elsewhere.example", 80)), "elsewhere.example"),
    ],
)
def test_what_leaves_this_machine_is_refused_by_name(attempt: Callable[[], object], named: str) -> None:
    with pytest.raises(OfflineError, match=named) as caught:
        attempt()
    assert "offline: false" in str(caught.value)
    assert isinstance(caught.value, ConnectionError)


def test_loopback_listening_and_local_sockets_stay_open(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:  # listening to all is no way out
        address = ("127.0.0.1", server.getsockname()[1])
        with socket.create_connection(address) as client, server.accept()[0] as accepted:
            accepted.sendall(b"hello")
            assert client.recv(5) == b"hello"
    assert socket.getaddrinfo("localhost", 80)
    assert socket.getaddrinfo("192.0.2.7", 80)  # a number is its own address
    assert socket.getaddrinfo(None, 80, flags=socket.AI_PASSIVE)
    place = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(place)
        server.listen()
        client.connect(place)


def test_one_port_of_one_host_can_be_allowed() -> None:
    offline.allow_host("192.0.2.7", 8080)
    ask_guard("192.0.2.7", 8080)
    with pytest.raises(OfflineError, match="port 8081"):
        connect("192.0.2.7", 8081)


def test_an_allowed_name_may_be_looked_up_and_its_addresses_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.9", 8000))]
    offline.allow_host("Engine.example", 8000)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        ask_guard("192.0.2.9", 8000)
        with pytest.raises(OfflineError):
            connect("192.0.2.8", 8000)
    with pytest.raises(socket.gaierror):  # asked for, and unknown: not refused by us
        socket.getaddrinfo("engine.example", 8000, flags=socket.AI_NUMERICHOST)


def test_a_config_decides_and_offline_is_the_default(experiment: Path, tmp_path: Path) -> None:
    Bench(load_config(experiment, overrides=["offline=false"]), out=tmp_path / "run")
    assert not offline.is_guarded()
    assert not {offline.GUARDED, *offline.FLAGS} & set(os.environ)
    Bench(load_config(experiment), out=tmp_path / "run")
    assert offline.is_guarded()
    Library(tmp_path / "c", LibraryConfig(offline=False))
    assert not offline.is_guarded()
    Library(tmp_path / "c", LibraryConfig())
    assert offline.is_guarded()


# Nothing is looked up, but the guard is asked.
ASKS = "import workbench, socket; socket.getnameinfo(('192.0.2.7', 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)"


def run_child(environment: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, "-c", ASKS], env=environment, capture_output=True, text=True, check=False)
    return done.stderr


def test_children_inherit_flags_and_guard_but_those_that_fetch() -> None:
    assert "OfflineError: this process is offline" in run_child(os.environ.copy())
    environment = offline.online_environment()
    assert "OfflineError" not in run_child(environment)
    assert not set(offline.FLAGS) & set(environment)
    assert environment["HF_HUB_DISABLE_TELEMETRY"] == environment["DO_NOT_TRACK"] == "1"


def test_a_verb_runs_guarded(tmp_path: Path) -> None:
    script = (
        "import sys; from workbench import offline; from workbench.cli import app, main; "
        "app.command('probe')(lambda: print(offline.is_guarded())); sys.argv = ['workbench', 'probe']; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
