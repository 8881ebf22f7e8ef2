"""One parsing process as its parent sees it: started, asked, listened to with a deadline, killed, reaped.

Not which files it gets and what happens when it dies: `isolation.py` decides that; what runs inside is `child.py`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from workbench.config import Limits
from workbench.corpus.reading import SourceFile
from workbench.corpus.wire import LENGTH_BYTES, READY, Reply, decode_reply, encode_files, write_frame

_START_SECONDS = 120.0  # for a child's imports; they take half a second
_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT}
_COMMAND = ("-P", "-c", "from workbench.corpus.child import serve; serve()")
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")


class ParserEndedError(Exception):
    """A child gave no whole answer; `kind` is the failure of the file it had in hand, `why` goes on its name."""

    def __init__(self, kind: str, why: str, *, from_outside: bool = False) -> None:
        super().__init__(why)
        self.kind, self.why, self.from_outside = kind, why, from_outside


class ParserProcess:
    """One parsing process, talked to by one thread."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process = subprocess.Popen(
            [sys.executable, *_COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # Ctrl-C at the terminal is for the parent
        )

    def start(self, readers: str) -> bool:
        """Hand over the settings; whether the child has come up."""
        settings = {"parent": os.getpid(), "readers": readers, "limits": self._limits.model_dump()}
        try:
            write_frame(_pipe(self._process.stdin), json.dumps(settings).encode())
            return self._receive(time.monotonic() + _START_SECONDS) == READY
        except (ParserEndedError, BrokenPipeError):
            return False

    def ask(self, files: list[SourceFile]) -> None:
        """Send a list of files; their replies come in order."""
        try:
            write_frame(_pipe(self._process.stdin), encode_files(files))
        except BrokenPipeError as error:  # it ended while it had nothing to do
            raise self._ended() from error

    def receive(self, file: SourceFile) -> Reply:
        """Return the reply for the next file asked for. Raises ParserEndedError, and only that."""
        payload = self._receive(time.monotonic() + self._limits.wall_seconds)
        try:
            return decode_reply(payload, file.id)
        except ValueError as error:
            why = " ".join(str(error)[:200].split())  # it may quote the answer
            raise ParserEndedError("crashed", f"made the parser say what is no answer ({why})") from error

    def kill(self) -> None:
        """Kill the child and whatever it started. It stays to be reaped."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def dispose(self) -> int:
        """Kill, reap, close; return the exit code, negative for a signal."""
        self.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what was still unsent
                _pipe(pipe).close()
        return code

    def _receive(self, deadline: float) -> bytes:
        length = int.from_bytes(self._read(LENGTH_BYTES, deadline), "little")
        if length > max(self._limits.output_bytes, 2**16):  # a failure's few words always pass
            raise ParserEndedError("crashed", f"made the parser answer with {length:,} bytes")
        return self._read(length, deadline)

    def _read(self, n_bytes: int, deadline: float) -> bytes:
        source = _pipe(self._process.stdout).fileno()
        poll = select.poll()
        poll.register(source, select.POLLIN)
        received = bytearray()
        while len(received) < n_bytes:
            if not poll.poll(1000 * max(0.0, deadline - time.monotonic())):
                seconds = self._limits.wall_seconds
                raise ParserEndedError("timeout", f"took more than {seconds:g} s to parse; {_way_out('wall_seconds')}")
            part = os.read(source, min(n_bytes - len(received), 2**20))
            if not part:
                raise self._ended()
            received += part
        return bytes(received)

    def _ended(self) -> ParserEndedError:
        """Return why the child ended by itself."""
        code = self._process.wait()
        if code >= 0:
            return ParserEndedError("crashed", f"made the parser end itself with exit code {code}")
        number = signal.Signals(-code)
        if number is signal.SIGXCPU:
            seconds = self._limits.cpu_seconds
            return ParserEndedError(
                "timeout", f"took more than {seconds:g} s of processor time; {_way_out('cpu_seconds')}"
            )
        why = f"crashed the parser ({number.name}): a fault in it or want of memory; {_way_out('memory_bytes')}"
        return ParserEndedError("crashed", why, from_outside=number in _FROM_OUTSIDE)


def _way_out(knob: str) -> str:
    return f"split the file or raise limits.{knob}"


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the child was started without its pipes")
    return stream


def _environment() -> dict[str, str]:
    """Return what a child inherits: where to import from, nothing that could be secret, the same hash seed for all."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    kept["PYTHONPATH"] = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return kept | one_thread | {"PYTHONUTF8": "1", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
