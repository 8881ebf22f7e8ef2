"""Readers that do what hostile files make parsers do, for parsing children: "tests.corpus.unruly:READERS".

Each is named by its suffix; `.txt` is the honest one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from workbench.contracts import Reader
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
    time.sleep(3)
    return say("paused")


def fault(path: Path) -> Parsed:
    ctypes.string_at(0)
    return say("read address 0")


def die(path: Path) -> Parsed:
    signal.raise_signal(signal.SIGKILL)
    return say("survived")


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
    }
    done = []
    for name, attempt in tries.items():
        try:
            attempt()
        except PermissionError:
            continue
        done.append(name)
    return say(f"done: {' '.join(done)}.")


READERS: dict[str, Reader] = {
    ".allocate": allocate,
    ".chatter": chatter,
    ".die": die,
    ".exit": exit_politely,
    ".fault": fault,
    ".flood": flood,
    ".leave": leave,
    ".lie": lie,
    ".loop": loop,
    ".pause": pause,
    ".place": tell_place,
    ".recurse": recurse,
    ".sleep": sleep,
    ".surrogate": surrogate,
    ".trespass": trespass,
    ".txt": read_words,
    ".wrapped": allocate_and_wrap,
}
