"""Kills at every step of a write, and many processes at once: each sees a committed state, whole, or none."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from workbench.errors import BusyError
from workbench.knowledge import Change, Collection
from workbench.knowledge.database import Database
from workbench.types import Document

STEPS = ("fsync", "mkdir", "rename", "replace", "unlink", "rmdir")  # of os; open files are written between them
SQL = ("write", "write_many", "checkpoint")  # of Database; each commit ends in a write or the end of the process


def build(prefix: str, n: int) -> list[Document]:
    return [
        make_document(f"{prefix}{place}", f"{prefix} {place} lamp\ncommon line\n{place} brass") for place in range(n)
    ]


OLD = build("old", 6)
CHANGED = [make_document("old0", "old 0 lamp\ncommon line\nnew words"), make_document("old1", "tin")]
MOVED = [replace(OLD[2], id="new-place", source="new-place")]
NEW = [*build("new", 3), *CHANGED]
GONE = [OLD[3].id]


def write_all(collection: Collection) -> None:
    """One update that adds, changes, moves and removes, in groups of two documents."""
    changes = [Change(document) for document in (*NEW, *MOVED)]
    collection.apply(changes, cut_paragraphs, HashEmbedder().embed_documents, removed=[OLD[2].id, *GONE])


def run_apart(work: Callable[[], None]) -> int:
    """Run `work` in a forked process and return its pid; it exits with 0, or 1 after an error."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def kill_before(step: int) -> None:
    """Make this process die by SIGKILL just before its `step`-th call of a listed function."""
    left = [step]

    def count(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        return counted

    for owner, names in ((os, STEPS), (Database, SQL)):
        for name in names:
            setattr(owner, name, count(getattr(owner, name)))


def describe(collection: Collection) -> tuple[object, ...]:
    """All that a state answers."""
    chunks = collection.all_chunks()
    vectors = [collection.search_vectors(embed_text(text), k=99) for text in ("brass lamp", "common tin")]
    words = [collection.search_words(text, k=99) for text in ("brass lamp", "common tin")]
    assert {id_ for id_, _ in vectors[0]} == {chunk.id for chunk in chunks}
    return collection.fingerprint, chunks, vectors, words


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.knowledge.sync.GROUP_DOCUMENTS", 2)


@pytest.fixture
def original(tmp_path: Path) -> Iterator[Path]:
    with Collection.create(tmp_path / "original", IDENTITY) as collection:
        collection.update(OLD, cut_paragraphs, HashEmbedder().embed_documents)
    yield tmp_path / "original"


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 11], ids=["every step", "every 11th step"])
def test_a_kill_leaves_a_committed_state_and_the_same_call_ends_it(original: Path, tmp_path: Path, stride: int) -> None:
    legal: dict[object, int] = {}

    def note(collection: Collection) -> None:
        legal.setdefault(collection.fingerprint, len(legal))

    with Collection.open(shutil.copytree(original, tmp_path / "whole")) as collection:
        note(collection)
        for start in (2, 4):  # what is committed when the first groups are
            part = [Change(document) for document in NEW[:start]]
            collection.apply(part, cut_paragraphs, HashEmbedder().embed_documents)
            note(collection)
        write_all(collection)
        note(collection)
        done = describe(collection)
    assert len(legal) == 4
    step, seen = 1 - stride, set()
    while True:
        step += stride
        folder = shutil.copytree(original, tmp_path / "c")

        def work(folder: Path = folder, step: int = step) -> None:
            with Collection.open(folder) as collection:
                kill_before(step)
                write_all(collection)

        _, status = os.waitpid(run_apart(work), 0)
        with Collection.open(folder) as collection:
            assert collection.events == []
            seen.add(legal[describe(collection)[0]])
            write_all(collection)
            assert describe(collection) == done
            assert len(list((folder / "segments").iterdir())) == len(collection.describe_index())
        shutil.rmtree(folder)
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    assert seen == {0, 1, 2, 3}
    assert step > 60


def test_readers_see_whole_states_while_two_write(original: Path) -> None:
    states = {}
    wanted = (OLD, [*OLD[1:], *build("more", 4)])
    with Collection.open(original) as collection:
        for documents in wanted:
            collection.update(documents, cut_paragraphs, HashEmbedder().embed_documents)
            states[collection.fingerprint] = describe(collection)
    deadline = time.monotonic() + 3

    def write() -> None:
        with Collection.open(original) as collection:
            while time.monotonic() < deadline:
                for documents in wanted:
                    collection.update(documents, cut_paragraphs, HashEmbedder().embed_documents)

    def read() -> None:
        seen = 0
        while time.monotonic() < deadline:
            with Collection.open(original, IDENTITY) as collection:
                for _ in range(3):
                    assert describe(collection) == states[collection.fingerprint]
                    collection.refresh()
                    seen += 1
                assert collection.events == []
        assert seen > 5

    pids = [run_apart(read) for _ in range(3)]
    writer = run_apart(write)
    while time.monotonic() < deadline - 1:
        begun = time.monotonic()
        with suppress(BusyError), Collection.open(original) as rival:
            rival.delete([])
        assert time.monotonic() - begun < 2
    exits = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in (*pids, writer)]
    assert exits == [0, 0, 0, 0]
