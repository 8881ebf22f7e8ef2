"""Files are whole or absent, lines survive a kill, stages are reused only for equal inputs."""

import errno
import fcntl
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import BusyError, RunMismatchError
from workbench.locking import hold_writer_lock
from workbench.runs import (
    Run,
    append_lines,
    fingerprint,
    new_folder,
    read_lines,
    recover_folder,
    uninterrupted,
    write_atomically,
)
from workbench.types import Span


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "old")

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with new_folder(target) as folder:
        (folder / "x").write_text("1")
        assert not target.exists()
    with pytest.raises(RuntimeError), new_folder(target) as folder:
        (folder / "x").write_text("2")
        raise RuntimeError
    assert (target / "x").read_text() == "1"
    assert list(tmp_path.iterdir()) == [target]


def test_a_torn_last_line_is_cut_off_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    spans = [Span(document_id="d", start=0, end=4), Span(document_id="d", start=4, end=9)]
    append_lines(path, spans)
    with path.open("a") as stream:
        stream.write('{"document_id": "d", "sta')
    assert read_lines(path, Span) == spans
    append_lines(path, spans[:1])
    assert read_lines(path, Span) == [*spans, spans[0]]


def test_a_bad_line_inside_is_an_error_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text('{"document_id": "d", "start": 0, "end": 4}\nrubbish\n{"document_id": "d", "start": 0, "end": 4}\n')
    with pytest.raises(RunMismatchError, match=r"spans\.jsonl:2: not a Span"):
        read_lines(path, Span)


def test_a_stage_is_reused_for_equal_inputs_resumed_after_a_failure_and_emptied_for_others(tmp_path: Path) -> None:
    run, calls = Run(tmp_path), []

    def work(folder: Path) -> dict[str, Any]:
        calls.append(sorted(path.name for path in folder.iterdir()))
        (folder / "part").write_text("x")
        if len(calls) == 1:
            raise KeyboardInterrupt
        return {"n": len(calls)}

    with pytest.raises(KeyboardInterrupt):
        run.stage("s", "a", work)
    assert run.stage("s", "a", work) == ({"n": 2}, False)
    assert run.stage("s", "a", work) == ({"n": 2}, True)
    assert run.stage("s", "b", work) == ({"n": 3}, False)
    assert calls == [["inputs"], ["inputs", "part"], ["inputs"]]


def test_fingerprints_depend_on_content_alone() -> None:
    assert fingerprint({"a": 1, "b": Path("x")}) == fingerprint({"b": Path("x"), "a": 1})
    assert fingerprint("1") != fingerprint(1)


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with new_folder(target) as folder:
        (folder / "x").write_text("1")
    target.replace(tmp_path / ".made.old")  # as if killed before the new folder took its place
    recover_folder(target)
    assert (target / "x").read_text() == "1"
    assert list(tmp_path.iterdir()) == [target]


def test_two_processes_do_not_work_on_one_stage(tmp_path: Path) -> None:
    def work(folder: Path) -> dict[str, Any]:
        with pytest.raises(BusyError, match=f"by process {os.getpid()}"):
            Run(tmp_path).stage("s", "a", work)
        return {}

    assert Run(tmp_path).stage("s", "a", work) == ({}, False)


def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("the rest")
    assert done == ["the rest"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_holder_that_has_not_written_its_pid_yet_is_still_named(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("ab+", buffering=0) as held:
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        naming = threading.Timer(0.15, lambda: held.write(b"4711\n"))
        naming.start()
        with pytest.raises(BusyError, match="process 4711"), hold_writer_lock(path, wait_seconds=0.1):
            pass
        naming.join()
