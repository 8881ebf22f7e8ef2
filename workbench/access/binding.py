"""Where a server may listen: on the loopback as it likes, where others can reach it only with keys."""

from __future__ import annotations

import ipaddress
import socket

from workbench.access.keys import KeyStore
from workbench.errors import ConfigError


def is_loopback(address: str) -> bool:
    """Say whether an IP address is this machine's own loopback: 127.0.0.0/8, ::1, or the former written as IPv6."""
    try:
        parsed = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


def refuse_open_bind(host: str, keys: KeyStore) -> None:
    """Refuse to listen where others can reach the server, as long as no key is good for it.

    Args:
        host: an address, or a name: then every address that it stands for counts. Empty: all addresses.
    Raises:
        ConfigError: others could reach it, and there is no good key.
        KeyFileError: the keys cannot be read.
    """
    found = [host] if is_loopback(host) else _resolve(host)
    reachable = [address for address in found if not is_loopback(address)]
    if (found and not reachable) or any(keys.is_good(facts) for facts in keys.list()):
        return
    where = ", ".join(reachable) or "an address that cannot be looked up"
    raise ConfigError(
        f"serving.host is {host!r} ({where}), which others can reach, and no key is good for it; make one: workbench "
        f"keys create {keys.folder} NAME --role '*=admin', or listen on 127.0.0.1"
    )


def _resolve(host: str) -> list[str]:
    """Return the addresses behind a host's name; none where it cannot be looked up."""
    if not host:
        return ["0.0.0.0", "::"]
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(address[0]) for *_, address in found})
