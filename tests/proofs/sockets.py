"""What strace saw of a command's network calls: sockets by kind, and every address that is not this machine's.

A line that names an address is read; one that cannot be read counts as leaving: a proof may not overlook.
"""

from __future__ import annotations

import fcntl
import ipaddress
import re
import socket
import struct
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MADE = re.compile(r"\bsocket(?:pair)?\((AF_\w+|PF_\w+|0x[0-9a-f]+)")
REACHING = re.compile(r"\b(connect|sendto|sendmsg|sendmmsg)\(")
INET = re.compile(r"sa_family=AF_INET6?\b")
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
LOCAL = ("AF_UNIX", "AF_NETLINK", "AF_INET", "AF_INET6")


@dataclass
class Seen:
    """The network calls of one command and its children."""

    code: int
    made: Counter[str] = field(default_factory=Counter)  # sockets by family
    reached: Counter[str] = field(default_factory=Counter)  # addresses of this machine, by how often
    left: list[str] = field(default_factory=list)  # calls that asked for another machine, as strace wrote them

    def describe(self) -> str:
        """Return one line: sockets by family, and what left."""
        families = ", ".join(f"{count} {family}" for family, count in sorted(self.made.items())) or "no sockets"
        return f"{families}; to loopback: {sum(self.reached.values())}; leaving: {len(self.left)}"


def trace(command: Sequence[str], log: Path, *, environment: Mapping[str, str], cwd: Path, output: Path) -> Seen:
    """Run a command below strace and return what it and its children did on the network."""
    with output.open("ab") as stream:
        done = subprocess.run(
            ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=network", "-e", "signal=none", "-o", log, *command],
            env=dict(environment),
            cwd=cwd,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return read_log(log.read_text(errors="replace").splitlines(), code=done.returncode)


def read_log(lines: Sequence[str], *, code: int = 0) -> Seen:
    """Return what strace's lines say; the halves of an interrupted call are lines of their own."""
    seen = Seen(code)
    for line in lines:
        if made := MADE.search(line):
            seen.made[made[1]] += 1
            if made[1] not in LOCAL:
                seen.left.append(line)
        elif REACHING.search(line) and INET.search(line):
            address = ADDRESS.search(line)
            host = (address[1] or address[2]) if address else ""
            if is_loopback(host):
                seen.reached[host] += 1
            else:
                seen.left.append(line)
    return seen


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own; what is no address is not."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def find_routes() -> list[str]:
    """Return the interfaces, loopback left out, over which this network namespace has a route (from /proc/net)."""
    found = set()
    for name, column in (("route", 0), ("ipv6_route", -1)):
        path = Path("/proc/net", name)
        for line in path.read_text().splitlines()[name == "route" :] if path.exists() else ():
            found.add(line.split()[column])
    return sorted(found - {"lo"})


def raise_loopback() -> None:
    """Bring `lo` up in a new network namespace, where it is down; without the program `ip`."""
    flags, up = 0x8914, 0x1 | 0x40  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        fcntl.ioctl(opened, flags, struct.pack("16sH14x", b"lo", up))
