"""Offline is the default: flags that libraries read at import, and a guard in this process that refuses other hosts.

The guard is Python's audit hook: it sees what Python's sockets do, in whatever library, before it happens. Not seen: a
native library's own sockets, and the look-up of a name that is handed to `connect` itself (the connection is refused).
So a setting is no proof; `scripts/prove_offline` counts every socket of a run with no route out.
Loopback, sockets of this machine's file system, listening and answering who came in are no way out, and stay open.
`workbench models fetch` is the declared exception: its children get `online_environment`.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from functools import lru_cache
from typing import Any

from workbench.errors import OfflineError

FLAGS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE")
# Off whether offline or not: nobody is told about anybody's work.
QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "SCARF_NO_ANALYTICS": "true",
    "OTEL_SDK_DISABLED": "true",
    "WANDB_MODE": "disabled",
}
ONLINE = "WORKBENCH_ONLINE"  # environment of the children that fetch
GUARDED = "WORKBENCH_OFFLINE"  # environment: children that import this package put the guard on, too
OUTGOING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
LOOK_UPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})

_armed = False
_hooked = False  # a hook stays for the life of its process
_allowed: set[tuple[str, int]] = set()


def set_flags() -> None:
    """Tell libraries, before they are imported, to stay offline and to send nothing; `workbench/__init__.py` does."""
    os.environ.update(QUIET)
    # OpenVINO, which other libraries may import before we do, reports home through this package wherever it is.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # the documented way to fail an import
    if os.environ.get(ONLINE) == "1":
        return
    for flag in FLAGS:
        os.environ[flag] = "1"
    if os.environ.get(GUARDED) == "1":
        guard()


def apply(offline: bool) -> None:
    """Put the guard on or lift it, as a config says (`offline: false`). For the whole process: the last one decides."""
    if offline:
        guard()
    else:
        lift()


def guard() -> None:
    """Refuse every connection of this process and its Python children that leaves this machine."""
    global _armed, _hooked  # noqa: PLW0603  (a process has one network)
    if not _hooked:
        sys.addaudithook(_refuse)
        _hooked = True
    _armed = True
    os.environ[GUARDED] = "1"


def lift() -> None:
    """Let connections out again. Telemetry stays off, and models are read from this machine alone, as ever."""
    global _armed  # noqa: PLW0603
    _armed = False
    for name in (GUARDED, *FLAGS):
        os.environ.pop(name, None)


def is_guarded() -> bool:
    """Whether connections that leave this machine are refused now."""
    return _armed


def allow_host(host: str, port: int) -> None:
    """Let this process reach one port of one host, guard or not: the user's own config names it."""
    _allowed.add((host.casefold(), port))
    _addresses_of.cache_clear()


def forbid_hosts() -> None:
    """Take back every `allow_host`."""
    _allowed.clear()


def online_environment() -> dict[str, str]:
    """Return the environment for a child whose work is to fetch: the flags and the guard are not in it."""
    kept = {name: value for name, value in os.environ.items() if name not in (GUARDED, *FLAGS)}
    return kept | {ONLINE: "1"}


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket.") or not _armed:
        return
    if event in OUTGOING:
        _refuse_address(*arguments[:2])
    elif event in LOOK_UPS and not _may_look_up(_text(arguments[0])):
        raise _refusal(f"the address of {_text(arguments[0])!r}")
    elif event == "socket.getnameinfo" and not _is_here(_text(arguments[0][0])):
        raise _refusal(f"the name of {_text(arguments[0][0])!r}")


def _refuse_address(opened: socket.socket, address: Any) -> None:
    if address is None:  # on a connection that was let through
        return
    if opened.family in (socket.AF_INET, socket.AF_INET6):
        host, port = _text(address[0]), int(address[1])
        if not (_is_here(host) or _is_allowed(host, port)):
            raise _refusal(f"{host!r} port {port}")
    elif opened.family not in _LOCAL_FAMILIES:
        raise _refusal(f"{address!r} by {opened.family!r}")


_LOCAL_FAMILIES = tuple(getattr(socket, name) for name in ("AF_UNIX", "AF_NETLINK") if hasattr(socket, name))


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _numeric(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def _may_look_up(host: str) -> bool:
    """Whether no question about `host` leaves this machine, or it was allowed. A number is its own address."""
    if host in ("", socket.gethostname()) or _is_here(host) or _numeric(host) is not None:
        return True
    return any(host.casefold() == name for name, _ in _allowed)


def _is_allowed(host: str, port: int) -> bool:
    return any(port == one and (host.casefold() == name or host in _addresses_of(name, one)) for name, one in _allowed)


@lru_cache
def _addresses_of(name: str, port: int) -> frozenset[str]:
    """Return the addresses an allowed name has; an unknown name has none."""
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
    except OSError:
        return frozenset()


def _numeric(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _text(host: object) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")


def _refusal(what: str) -> OfflineError:
    return OfflineError(
        f"this process is offline, but something in it asked for {what}; if you want that, set `offline: false` in the "
        "config; to bring a model: workbench models fetch NAME"
    )
