"""The reader of strace's log must see what leaves, or the offline proof would prove nothing."""

from pathlib import Path

import pytest

from tests.proofs.sockets import find_routes, is_loopback, read_log

LOCAL = [
    "12 socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 3",
    '12 connect(3, {sa_family=AF_UNIX, sun_path="/run/nscd"}, 110) = -1 ENOENT (No such file or directory)',
    "12 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3",
    '12 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
    '12 connect(3, {sa_family=AF_INET6, sin6_port=htons(80), inet_pton(AF_INET6, "::1", &sin6_addr)}, 28) = 0',
    '12 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("0.0.0.0")}, 16) = 0',
    '12 sendto(3, "x", 1, 0, NULL, 0) = 1',
    "12 +++ exited with 0 +++",
]
LEAVING = [
    '12 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.1")}, 16 <unfinished ...>',
    '12 connect(3, {sa_family=AF_INET6, sin6_port=htons(1), inet_pton(AF_INET6, "2001:db8::1", &a)}, 28) = -1 E',
    '12 sendto(3, "..", 2, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.2")}, 16) = 2',
    '12 sendmmsg(3, [{msg_hdr={msg_name={sa_family=AF_INET, sin_addr=inet_addr("8.8.8.8")}}}], 1, 0) = 1',
    "12 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=?}, 16) = 0",
    "12 socket(AF_PACKET, SOCK_RAW, 768) = 3",
]


def test_local_calls_are_counted_and_none_leaves() -> None:
    seen = read_log(LOCAL)
    assert seen.left == []
    assert seen.made == {"AF_UNIX": 1, "AF_INET": 1}
    assert seen.reached == {"127.0.0.1": 1, "::1": 1}
    assert seen.describe() == "1 AF_INET, 1 AF_UNIX; to loopback: 2; leaving: 0"


@pytest.mark.parametrize("line", LEAVING, ids=lambda line: line[3:40])
def test_a_call_that_leaves_is_seen(line: str) -> None:
    assert read_log([*LOCAL, line]).left == [line]


def test_addresses_of_this_machine() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.0.2.1", "::", "::ffff:10.0.0.1", "", "localhost")))


def test_routes_are_read_from_the_kernel() -> None:
    assert "lo" not in find_routes()
    if Path("/proc/net/route").read_text().count("\n") > 1:
        assert find_routes()
