"""The audit log: nothing goes missing unseen, and what cannot be recorded is not done."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.access import AuditLog, Event, verify_log
from workbench.errors import AuditLogError

EVENT = Event("k1", "ann", "POST /v1/chat/completions", 200, "manuals", 3, 0.25, "what colour?")


def write(folder: Path, n: int = 5, **settings: object) -> None:
    log = AuditLog(folder, clock=lambda: datetime(2027, 1, 1, tzinfo=UTC), **settings)  # type: ignore[arg-type]
    for _ in range(n):
        log.record(EVENT)


def read(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "audit.jsonl").read_bytes().splitlines()]


def test_a_line_says_who_asked_what_of_what_but_not_the_words(tmp_path: Path) -> None:
    write(tmp_path / "audit", 2)
    first, second = read(tmp_path / "audit")
    assert first == {
        "n": 1,
        "time": "2027-01-01T00:00:00+00:00",
        "key_id": "k1",
        "key": "ann",
        "route": "POST /v1/chat/completions",
        "status": 200,
        "collection": "manuals",
        "n_passages": 3,
        "seconds": 0.25,
        "previous": "0" * 64,
    }
    assert second["n"] == 2
    assert b"colour" not in (tmp_path / "audit/audit.jsonl").read_bytes()
    assert all(path.stat().st_mode & 0o077 == 0 for path in [tmp_path / "audit", *(tmp_path / "audit").iterdir()])


def test_words_are_written_where_that_was_asked_for(tmp_path: Path) -> None:
    write(tmp_path, 1, content=True)
    assert read(tmp_path)[0]["words"] == "what colour?"


def test_whatever_is_asked_stays_one_line(tmp_path: Path) -> None:
    log, asked = AuditLog(tmp_path, content=True), ['a\nb\r\n{"n": 3}', "\u2028\x85\x00", "\ud800", "\x1c"]
    for words in asked:
        log.record(Event(None, words, words, 400, words, words=words))
    assert [line["words"] for line in read(tmp_path)] == asked
    assert verify_log(tmp_path).faults == ()


def test_the_chain_goes_on_over_restarts_and_rotated_files(tmp_path: Path) -> None:
    for _ in range(4):
        write(tmp_path, 3, max_bytes=600)
    report = verify_log(tmp_path)
    assert (report.n_lines, report.faults) == (12, ())
    assert report.n_files > 3
    assert [path.name for path in sorted(tmp_path.glob("audit-*"))][:2] == ["audit-000001.jsonl", "audit-000002.jsonl"]


def alter(lines: list[bytes], place: int) -> list[bytes]:
    return [*lines[:place], lines[place].replace(b'"status": 200', b'"status": 403'), *lines[place + 1 :]]


TAMPERINGS: dict[str, Callable[[list[bytes], int], list[bytes]]] = {
    "removed": lambda lines, place: lines[:place] + lines[place + 1 :],
    "altered": alter,
    "doubled": lambda lines, place: lines[: place + 1] + lines[place:],
    "swapped": lambda lines, place: [*lines[:place], *reversed(lines[place : place + 2]), *lines[place + 2 :]],
    "cut": lambda lines, place: lines[:place],
    "half": lambda lines, place: [*lines[:place], lines[place][:20]],
    "not JSON": lambda lines, place: [*lines[:place], b"nonsense\n", *lines[place + 1 :]],
}


@pytest.mark.parametrize("tamper", TAMPERINGS.values(), ids=TAMPERINGS.keys())
@pytest.mark.parametrize("place", range(4))
def test_every_tampering_shows_also_after_the_server_has_gone_on(
    tmp_path: Path, tamper: Callable[[list[bytes], int], list[bytes]], place: int
) -> None:
    write(tmp_path)
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"".join(tamper(path.read_bytes().splitlines(keepends=True), place)))
    assert verify_log(tmp_path).faults
    write(tmp_path, 2)
    assert verify_log(tmp_path).faults


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_any_flipped_bit_shows(byte: int, bit: int) -> None:
    content = bytearray(FLIPPABLE)
    place = byte % len(content)
    content[place] ^= 1 << bit
    (FLIPPED / "audit.jsonl").write_bytes(content)
    assert verify_log(FLIPPED).faults


@pytest.fixture(autouse=True, scope="module")
def _one_log(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FLIPPED, FLIPPABLE  # noqa: PLW0603  (hypothesis takes no fixture of a function)
    FLIPPED = tmp_path_factory.mktemp("audit")
    write(FLIPPED)
    FLIPPABLE = (FLIPPED / "audit.jsonl").read_bytes()


FLIPPED, FLIPPABLE = Path(), b""


def test_a_removed_file_shows(tmp_path: Path) -> None:
    write(tmp_path, 9, max_bytes=600)
    (tmp_path / "audit-000002.jsonl").unlink()
    assert "lines are missing" in verify_log(tmp_path).faults[0]


def test_a_whole_log_made_anew_shows_by_a_hash_that_was_noted(tmp_path: Path) -> None:
    write(tmp_path, 3)
    noted = verify_log(tmp_path).last_sha256
    write(tmp_path, 3)
    assert verify_log(tmp_path, noted=noted).faults == ()
    for path in tmp_path.iterdir():
        path.unlink()
    write(tmp_path, 6, content=True)
    assert verify_log(tmp_path).faults == ()  # as well it may: it is a log
    assert "was noted" in verify_log(tmp_path, noted=noted).faults[0]


def test_half_a_line_of_a_killed_process_is_taken_away_and_the_chain_goes_on(tmp_path: Path) -> None:
    write(tmp_path, 2)
    with (tmp_path / "audit.jsonl").open("ab") as stream:
        stream.write(b'{"n": 3, "time"')
    write(tmp_path, 2)
    assert (verify_log(tmp_path).n_lines, verify_log(tmp_path).faults) == (4, ())


def test_a_head_that_lags_behind_is_no_fault(tmp_path: Path) -> None:
    write(tmp_path, 2)
    head = (tmp_path / "audit.head").read_bytes()
    write(tmp_path, 1)
    (tmp_path / "audit.head").write_bytes(head)
    assert verify_log(tmp_path).faults == ()
    write(tmp_path, 1)
    assert (verify_log(tmp_path).n_lines, verify_log(tmp_path).faults) == (4, ())


def test_on_a_full_disk_requests_are_refused_until_every_line_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path)
    log.record(EVENT)
    log.check()
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[:10])  # what a disk does that has room for ten bytes more

    monkeypatch.setattr("os.write", full)
    for _ in range(2):  # the requests that were under way
        log.record(EVENT)
    for _ in range(2):
        with pytest.raises(AuditLogError, match=r"No space left.*nothing is answered") as caught:
            log.check()
        assert caught.value.errno == errno.ENOSPC
    assert len((tmp_path / "audit.jsonl").read_bytes().splitlines()) == 1  # no half line
    monkeypatch.setattr("os.write", real)
    log.check()
    assert (verify_log(tmp_path).n_lines, verify_log(tmp_path).faults) == (3, ())


def test_what_did_not_even_fit_into_memory_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog(tmp_path)
    monkeypatch.setattr("workbench.access.audit_log.MAX_WAITING", 2)
    monkeypatch.setattr("os.write", lambda *_: 0)
    for _ in range(5):
        log.record(EVENT)
    monkeypatch.undo()
    log.check()
    assert verify_log(tmp_path).faults == ("audit.jsonl: before line 1, 3 lines were lost while the disk took none",)


def test_a_folder_that_is_taken_away_refuses_too(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    (tmp_path / "audit").rmdir()
    log.record(EVENT)
    with pytest.raises(AuditLogError, match="cannot be written"):
        log.check()


PROCESS = """
import sys
from pathlib import Path
from workbench.access import AuditLog, Event
log = AuditLog(Path(sys.argv[1]), max_bytes=900)
for _ in range(60):
    log.record(Event(None, None, "GET /v1/models", 200))
log.check()
"""


def test_threads_and_processes_write_one_chain(tmp_path: Path) -> None:
    others = [subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path)]) for _ in range(2)]
    log = AuditLog(tmp_path, max_bytes=900)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(100):
            pool.submit(log.record, EVENT)
    assert [other.wait(60) for other in others] == [0, 0]
    log.check()
    report = verify_log(tmp_path)
    assert (report.n_lines, report.faults) == (220, ())
