"""Run work in a forked child under strace: record its writing system calls, kill it at one, or let one fail.

A fork of this prepared process costs milliseconds where a fresh interpreter costs a second. strace counts each call by
its name, so one is named by name and number. The injected call itself is never carried out.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchError

DATA_CALLS = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "fallocate", "copy_file_range", "sendfile")
SYNC_CALLS = ("fsync", "fdatasync", "sync_file_range", "msync")
NAME_CALLS = (
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "link", "linkat"),
    *("symlink", "symlinkat", "truncate", "ftruncate", "chmod", "fchmod", "fchmodat", "utimensat", "creat"),
)
OPEN_CALLS = ("open", "openat")
ALL_CALLS = (*DATA_CALLS, *SYNC_CALLS, *NAME_CALLS, *OPEN_CALLS)
REPORT_BYTES = 1 << 16
TOO_LONG_SECONDS = 120  # a child that takes longer is stopped by an alarm, and counts as killed
LINE = re.compile(r"^(\d+)\s+(\w+)\((.*)")


@dataclass(frozen=True, slots=True)
class Call:
    """The `number`-th call of that name, counted from 1."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name} #{self.number}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended: killed, with an error, or well."""

    killed: bool
    error: str | None  # the error as people see it; None: none
    typed: bool  # whether it is a WorkbenchError, or an OSError that names a path


def require_strace() -> None:
    """Exit where there is no strace: these proofs cannot be run without."""
    if shutil.which("strace") is None:
        sys.exit("this proof needs strace, which is not installed: apt-get install strace")


def record_calls(work: Callable[[], None], log: Path) -> list[Call]:
    """Run `work` unbroken and return its writing calls in order."""
    outcome = run_traced(work, log=log)
    if outcome.killed or outcome.error:
        raise RuntimeError(f"the unbroken run failed: {outcome.error or 'killed'}")
    return list(_parse(log.read_text(encoding="utf-8", errors="replace")))


def run_killed_at(work: Callable[[], None], call: Call) -> Outcome:
    """Run `work` and kill it when it is about to make `call`."""
    return run_traced(work, inject=[f"{call.name}:signal=SIGKILL:when={call.number}"])


def run_failing_at(work: Callable[[], None], call: Call, error: str) -> Outcome:
    """Run `work` and let one call fail with `error`, such as EIO."""
    return run_traced(work, inject=[f"{call.name}:error={error}:when={call.number}"])


def run_disk_full_from(work: Callable[[], None], calls: Sequence[Call], place: int) -> Outcome:
    """Run `work` on a disk that is full from the call at `place` on: no more data is taken, removing still works."""
    before = Counter(call.name for call in calls[:place])
    names = {call.name for call in calls} & {*DATA_CALLS, "fsync", "fdatasync", "mkdir", "mkdirat"}
    return run_traced(work, inject=[f"{name}:error=ENOSPC:when={before[name] + 1}+" for name in sorted(names)])


def run_killed_after(work: Callable[[], None], seconds: float) -> Outcome:
    """Run `work` without strace and kill it after some time."""
    child = _start(work)
    time.sleep(seconds)
    child.kill()
    return child.wait()


def run_apart(work: Callable[[], None]) -> Outcome:
    """Run `work` in a child, without strace."""
    return _start(work).wait()


def run_traced(work: Callable[[], None], *, inject: Sequence[str] = (), log: Path | None = None) -> Outcome:
    """Run `work` in a child under strace."""
    child = _start(work, held=True)
    traced = ",".join(f"?{name}" for name in ALL_CALLS)
    command = ["strace", "-f", "-p", str(child.pid), "-o", str(log or os.devnull), "-e", f"trace={traced}"]
    for one in inject:
        command += ["-e", f"inject={one}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            child.kill()
            child.wait()
            sys.exit(f"strace cannot trace a child of this process: {said.strip()}; run it where ptrace is permitted")
        child.release()
        outcome = child.wait()
        tracer.stderr.read()
    return outcome


class _Child:
    """A forked child; its report comes back through shared memory, since writing one would be a writing call."""

    def __init__(self, pid: int, gate: int, report: mmap.mmap) -> None:
        self.pid = pid
        self._gate = gate
        self._report = report

    def release(self) -> None:
        os.write(self._gate, b"g")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> Outcome:
        _, status = os.waitpid(self.pid, 0)
        os.close(self._gate)
        with self._report as report:
            typed, _, error = report[:].rstrip(b"\0").decode(errors="replace").partition(" ")
        if os.WIFSIGNALED(status):
            return Outcome(True, None, True)
        return Outcome(False, error or None, typed != "untyped")


def _start(work: Callable[[], None], *, held: bool = False) -> _Child:
    report = mmap.mmap(-1, REPORT_BYTES)
    gate_out, gate_in = os.pipe()
    pid = os.fork()
    if pid:
        os.close(gate_out)
        child = _Child(pid, gate_in, report)
        if not held:
            child.release()
        return child
    try:
        signal.alarm(TOO_LONG_SECONDS)
        os.read(gate_out, 1)
        work()
    except BaseException as error:  # whatever it is, the parent judges it
        typed = isinstance(error, WorkbenchError) or (isinstance(error, OSError) and error.filename is not None)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if typed else f"({Path(frame.filename).name}:{frame.lineno} in {frame.name})"
        text = f"{'typed' if typed else 'untyped'} {type(error).__name__}: {error} {where}".encode()
        report[: len(text[:REPORT_BYTES])] = text[:REPORT_BYTES]
    finally:
        os._exit(0)


def _parse(log: str) -> Iterator[Call]:
    counts: Counter[str] = Counter()
    processes = set()
    for line in log.splitlines():
        found = LINE.match(line)
        if not found:
            continue
        process, name, arguments = found.groups()
        processes.add(process)
        counts[name] += 1
        if name not in OPEN_CALLS or re.search(r"O_CREAT|O_TRUNC", arguments):
            yield Call(name, counts[name])
    if len(processes) != 1:
        raise RuntimeError(f"{len(processes)} threads or processes wrote; calls can be told apart in one only")
