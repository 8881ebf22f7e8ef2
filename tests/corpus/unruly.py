"""Readers that do what hostile files make parsers do, for parsing children: "tests.corpus.unruly:READERS".

Each is named by its suffix; `.txt` is the honest one.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from workbench.contracts import Reader
from workbench.corpus import child, cleaning
from workbench.corpus.confinement import JUDGED, REFUSED
from workbench.errors import UnreadableDocumentError
from workbench.types import Block, BlockKind, Parsed


def say(text: str) -> Parsed:
    return Parsed("unruly", text, (Block(0, len(text), BlockKind.PARAGRAPH),))


def read_words(path: Path) -> Parsed:
    return say(path.read_text())


def loop(path: Path) -> Parsed:
    while True:
        pass


def sleep(path: Path) -> Parsed:
    time.sleep(60)
    return say("slept")


def pause(path: Path) -> Parsed:
    """Be seen at it from outside, by the process's name, for three seconds."""
    ctypes.CDLL(None).prctl(15, b"pausing")  # PR_SET_NAME
    time.sleep(3)
    return say("paused")


def fault(path: Path) -> Parsed:
    ctypes.string_at(0)
    return say("read address 0")


def die(path: Path) -> Parsed:
    signal.raise_signal(signal.SIGKILL)
    return say("survived")


def abort(path: Path) -> Parsed:
    os.abort()


def leave(path: Path) -> Parsed:
    os._exit(0)


def exit_politely(path: Path) -> Parsed:
    sys.exit(0)


def recurse(path: Path) -> Parsed:
    return recurse(path)


def allocate(path: Path) -> Parsed:
    parts = [bytearray(2**20) for _ in range(2**14)]  # 16 GiB
    return say(str(len(parts)))


def allocate_and_wrap(path: Path) -> Parsed:
    try:
        return allocate(path)
    except Exception as error:
        raise UnreadableDocumentError(f"{path.name} is damaged: {error}", "damaged") from error


def flood(path: Path) -> Parsed:
    return say("x" * 2**21)


def chatter(path: Path) -> Parsed:
    for descriptor in (1, 2):
        os.write(descriptor, b"\xff" * 2**20)
    return say("said much")


def lie(path: Path) -> Parsed:
    return Parsed("lie", "short", (Block(0, 500, BlockKind.PARAGRAPH),))


def surrogate(path: Path) -> Parsed:
    return say("half a pair: \ud83d")


def surrogate_fact(path: Path) -> Parsed:
    return Parsed("t", "words", (Block(0, 5, BlockKind.PARAGRAPH),), {"author": "half a pair: \ud83d"})


def nest(path: Path) -> Parsed:
    """Metadata nested deeper than JSON is written."""
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    return Parsed("t", "words", (Block(0, 5, BlockKind.PARAGRAPH),), {"author": nested})  # type: ignore[dict-item]


def answer_deeply(path: Path) -> Parsed:
    """What a parser gone wild might write into the pipe itself; this child is not used again."""
    child.encode_reply = lambda reply: b'{"outcome":' + b"[" * 100_000  # type: ignore[attr-defined]
    return say("words")


def tell_limit(path: Path) -> Parsed:
    return say(str(cleaning.MAX_FILE_BYTES))


def tell_place(path: Path) -> Parsed:
    return say(f"{os.getpid()} {os.getsid(0)} {' '.join(sorted(os.environ))}")


def trespass(path: Path) -> Parsed:
    """Try what a parser may not do; say what was not refused."""
    target = path.parent / "own.txt"
    tries: dict[str, Callable[[], object]] = {
        "socket": lambda: socket.socket().close(),
        "program": lambda: subprocess.run(["true"], check=True),
        "write": lambda: target.write_text("overwritten"),
        "append": lambda: target.open("a").close(),
        "create": (path.parent / "new.txt").touch,
        "truncate": lambda: os.truncate(target, 0),
        "remove": target.unlink,
        "rename": lambda: target.rename(path.parent / "moved.txt"),
        "folder": (path.parent / "folder").mkdir,
        "link": lambda: (path.parent / "link").symlink_to(target),
        "signal": lambda: os.kill(os.getppid(), 0),
        "fork": fork,
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "chmod": lambda: target.chmod(0o600),
        "fchmod": lambda: os.fchmod(own, 0o600),
        "chown": lambda: os.chown(target, -1, -1),
        "fchown": lambda: os.fchown(own, -1, -1),
        "lchown": lambda: os.lchown(target, -1, -1),
        "utime": lambda: os.utime(target, (0, 0)),
        "futime": lambda: os.utime(own, (0, 0)),
        "attribute": lambda: os.setxattr(target, "user.word", b"bytes"),
        "no-attribute": lambda: os.removexattr(target, "user.word"),
        **unreported(path.parent),
    }
    own = os.open(target, os.O_RDONLY)
    done = []
    for name, attempt in tries.items():
        try:
            attempt()
        except PermissionError:
            continue
        done.append(name)
    os.close(own)
    return say(f"done: {' '.join(done)}.")


def unreported(folder: Path) -> dict[str, Callable[[], object]]:
    """Return what Python's audit hook is not told of: only a kernel can refuse it."""
    return {
        "mknod": lambda: os.mknod(folder / "node"),
        "fifo": lambda: os.mkfifo(folder / "fifo"),
        "shared": lambda: mmap.mmap(-1, 3 * 2**30).close(),
        "memfd": lambda: os.close(os.memfd_create("words")),
        "pidfd": lambda: signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0),
    }


def fork() -> None:
    if (process := os.fork()) == 0:
        os._exit(0)
    os.waitpid(process, 0)


def defy(path: Path) -> Parsed:
    """Make each refused call itself, with arguments that harm nobody; say which did not fail as the filter fails it."""
    started = threading.Thread(target=time.sleep, args=(0,))  # still allowed
    started.start()
    started.join()
    nowhere, parent = 2**31 - 1, os.getppid()
    tries = dict.fromkeys(REFUSED, (nowhere,)) | {
        "tgkill": (parent, parent, 0),
        "prlimit64": (parent, 0, 0, 0),
        "ioctl": (-1, 0x40086602, 0),  # FS_IOC_SETFLAGS
        "mmap": (0, 4096, 3, 0x122, -1, 0),  # private, anonymous, growing down
        "clone": (signal.SIGCHLD, 0, 0, 0, 0),
        "clone3": (nowhere, 88),
    }
    column = ("x86_64", "aarch64").index(platform.machine())
    libc = ctypes.CDLL(None, use_errno=True)
    done = []
    for name, arguments in tries.items():
        if (number := (REFUSED | JUDGED)[name][column]) is None:
            continue
        answer = libc.syscall(*map(ctypes.c_long, (number, *arguments, *[0] * (6 - len(arguments)))))
        if answer == 0 and name in {"clone", "fork", "vfork"}:
            os._exit(0)
        refusal = errno.ENOSYS if name == "clone3" else errno.EPERM
        if (answer, ctypes.get_errno()) != (-1, refusal):
            done.append(name)
    return say(f"done: {' '.join(done)}.")


READERS: dict[str, Reader] = {
    ".abort": abort,
    ".allocate": allocate,
    ".chatter": chatter,
    ".deep": answer_deeply,
    ".defy": defy,
    ".die": die,
    ".exit": exit_politely,
    ".fault": fault,
    ".flood": flood,
    ".leave": leave,
    ".lie": lie,
    ".limit": tell_limit,
    ".loop": loop,
    ".nest": nest,
    ".pause": pause,
    ".place": tell_place,
    ".recurse": recurse,
    ".sleep": sleep,
    ".surrogate": surrogate,
    ".surrogate-fact": surrogate_fact,
    ".trespass": trespass,
    ".txt": read_words,
    ".wrapped": allocate_and_wrap,
}
