"""Parsing in children: whatever a file does, it has one typed outcome, and the files beside it have theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.hostile import HOSTILE, KILLERS
from tests.corpus.samples import WRITERS
from tests.corpus.test_hostile import DOCUMENT, EXPECTED
from tests.corpus.unruly import unreported
from workbench.config import Limits
from workbench.corpus import SourceFile, cleaning, isolation, read_document, read_files, scan_folder
from workbench.corpus.confinement import JUDGED, REFUSED
from workbench.corpus.parser_process import ParserProcess
from workbench.corpus.wire import Reply, decode_reply, encode_reply
from workbench.types import Block, BlockKind, Document, ReadFailure

UNRULY = "tests.corpus.unruly:READERS"
TIGHT = Limits(memory_bytes=2**28, cpu_seconds=1, wall_seconds=20, output_bytes=2**20)

OUTCOMES = {  # suffix -> kind of failure and a word of its reason; None: read
    "abort": ("crashed", "SIGABRT"),
    "allocate": ("memory", "limits.memory_bytes"),
    "chatter": None,
    "deep": ("crashed", "RecursionError"),
    "die": ("crashed", "SIGKILL"),
    "exit": ("damaged", "SystemExit"),
    "fault": ("crashed", "SIGSEGV"),
    "flood": ("too_large", "limits.output_bytes"),
    "leave": ("crashed", "exit code 0"),
    "lie": ("crashed", "outside its text"),
    "loop": ("timeout", "limits.cpu_seconds"),
    "nest": ("damaged", "RecursionError"),
    "recurse": ("damaged", "RecursionError"),
    "surrogate": ("damaged", "surrogates"),
    "surrogate-fact": ("damaged", "surrogates"),
    "wrapped": ("memory", "limits.memory_bytes"),
}


def make_files(folder: Path, *names: str) -> list[SourceFile]:
    for name in names:
        (folder / name).write_text(f"words of {name}")
    return [SourceFile(folder / name, folder, name, size=10) for name in names]


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No process and no open file of the test outlives it."""
    before = len(os.listdir("/proc/self/fd")), psutil.Process().children(recursive=True)  # noqa: PTH208
    yield
    assert (len(os.listdir("/proc/self/fd")), psutil.Process().children(recursive=True)) == before  # noqa: PTH208


def test_every_unruly_file_is_one_typed_failure_and_its_neighbours_are_read(tmp_path: Path, nothing_left: None) -> None:
    names = [name for suffix in OUTCOMES for name in (f"before-{suffix}.txt", f"a.{suffix}")]
    outcomes = list(read_files(make_files(tmp_path, *names), limits=TIGHT, n_workers=2, readers=UNRULY))
    assert [one.id if isinstance(one, Document) else one.source for one in outcomes] == names
    for outcome in outcomes:
        expected = OUTCOMES.get(outcome.source.rpartition(".")[2])
        if expected is None:
            assert isinstance(outcome, Document), outcome
        else:
            assert isinstance(outcome, ReadFailure), outcome.id
            kind, word = expected
            assert (outcome.kind, word in outcome.reason) == (kind, True), outcome
            assert outcome.source in outcome.reason
            assert "\n" not in outcome.reason


def test_a_file_that_hangs_without_using_the_processor_is_stopped_by_the_clock(
    tmp_path: Path, nothing_left: None
) -> None:
    limits = Limits(wall_seconds=0.5)
    outcomes = list(read_files(make_files(tmp_path, "a.sleep", "b.txt"), limits=limits, n_workers=1, readers=UNRULY))
    assert outcomes[0] == ReadFailure(
        "a.sleep", "timeout", "a.sleep took more than 0.5 s to parse; split the file or raise limits.wall_seconds"
    )
    assert isinstance(outcomes[1], Document)


def test_a_child_killed_from_outside_costs_no_file(tmp_path: Path, nothing_left: None) -> None:
    files = make_files(tmp_path, "a.txt", "b.pause", "c.txt")
    killed: list[int] = []

    def kill_first_child() -> None:
        deadline = time.monotonic() + 20
        while not killed and time.monotonic() < deadline:
            for child in psutil.Process().children():
                if child.name() == "pausing":
                    child.kill()
                    killed.append(child.pid)
            time.sleep(0.02)

    killer = threading.Thread(target=kill_first_child)
    killer.start()
    outcomes = list(read_files(files, n_workers=1, readers=UNRULY))
    killer.join()
    assert killed
    assert [one.text for one in outcomes if isinstance(one, Document)] == ["words of a.txt", "paused", "words of c.txt"]


def test_a_parser_cannot_write_connect_or_start_anything_and_sees_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left: None
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    make_files(tmp_path, "own.txt")
    outcomes = list(read_files(make_files(tmp_path, "a.trespass", "b.defy", "c.place"), n_workers=1, readers=UNRULY))
    texts = [outcome.text for outcome in outcomes if isinstance(outcome, Document)]
    assert texts[:2] == ["done: .", "done: ."]
    assert (tmp_path / "own.txt").read_text() == "words of own.txt"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.trespass", "b.defy", "c.place", "own.txt"]
    pid, session, *variables = texts[2].split()
    assert pid == session != str(os.getsid(0))  # Ctrl-C at the terminal does not reach it
    assert "HF_TOKEN" not in variables


HEADERS = {  # of Linux, where they are installed: its own table for x86-64, the one ARM64 uses
    Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"): 0,
    Path("/usr/include/asm-generic/unistd.h"): 1,
}


@pytest.mark.parametrize("header", [path for path in HEADERS if path.exists()])
def test_the_numbers_of_the_calls_are_the_kernels(header: Path) -> None:
    known = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE)
    }
    ours = {name: numbers[HEADERS[header]] for name, numbers in (REFUSED | JUDGED).items()}
    newer = {name for name, number in ours.items() if number is not None and number > 450}  # than the header may be
    for name in ours.keys() - newer:
        assert ours[name] == known.get(name) or (ours[name] is None and known[name] > 1000), name


def test_a_kernel_that_takes_no_filter_is_an_error_of_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], nothing_left: None
) -> None:
    script = "from workbench.corpus import confinement\nconfinement._SECCOMP = (9999, 9999)\nREADERS = {}\n"
    (tmp_path / "unfiltered.py").write_text(script)  # no such call: what an old kernel or a strict container answers
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="cannot start"):
        list(read_files(make_files(tmp_path, "a.txt"), readers="unfiltered:READERS"))
    assert "this installation cannot parse safely" in capfd.readouterr().err


def test_the_knob_is_the_only_limit_of_a_files_size(tmp_path: Path, nothing_left: None) -> None:
    files = make_files(tmp_path, "a.limit", "b.txt")
    large, small = Limits(input_bytes=2**30), Limits(input_bytes=8)
    (told, _), (refused, _) = (list(read_files(files, limits=one, readers=UNRULY)) for one in (large, small))
    assert isinstance(told, Document) and told.text == str(2**30)
    assert refused == ReadFailure(
        "a.limit", "too_large", "a.limit has 16 bytes, the limit is 8 (limits.input_bytes); split the file"
    )
    assert Limits().input_bytes == cleaning.MAX_FILE_BYTES


def test_where_the_kernel_has_no_filter_python_refuses_what_it_is_told_of(tmp_path: Path) -> None:
    make_files(tmp_path, "own.txt", "a.trespass")
    script = (
        "from pathlib import Path; from tests.corpus.unruly import trespass; from workbench.corpus import confinement;"
        "from workbench.config import Limits; confinement._refuse_by_kernel = lambda: False;"
        f"confinement.confine(Limits()); print(trespass(Path({str(tmp_path / 'a.trespass')!r})).text)"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=False)
    known_gaps = " ".join(unreported(tmp_path))
    assert (result.stdout, result.returncode) == (f"done: {known_gaps}.\n", 0), result.stderr
    assert (tmp_path / "own.txt").read_text() == "words of own.txt"


def test_children_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    make_files(tmp_path, "a.sleep")
    script = (
        "import psutil, threading, time; from pathlib import Path\n"
        "from workbench.corpus import SourceFile, read_files\n"
        f"file = SourceFile(Path({str(tmp_path / 'a.sleep')!r}), Path({str(tmp_path)!r}), 'a.sleep')\n"
        f"threading.Thread(target=lambda: list(read_files([file], readers={UNRULY!r}))).start()\n"
        "while not psutil.Process().children(): time.sleep(0.01)\n"
        "time.sleep(1); print(psutil.Process().children()[0].pid, flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    _, alive = psutil.wait_procs([child], timeout=5)
    assert not alive


def test_closing_early_ends_the_children_and_files_are_taken_only_so_far_ahead(
    tmp_path: Path, nothing_left: None
) -> None:
    taken: list[int] = []

    def endless() -> Iterator[SourceFile]:
        file = make_files(tmp_path, "a.txt")[0]
        while True:
            taken.append(1)
            yield file

    with closing(read_files(endless(), n_workers=2, readers=UNRULY)) as outcomes:
        for _ in range(100):
            assert isinstance(next(outcomes), Document)
    assert 100 <= len(taken) <= 100 + 256 + 2 * 16


def test_a_parent_with_much_memory_does_not_wear_its_children_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left: None
) -> None:
    started: list[int] = []

    def start_counted(limits: Limits) -> ParserProcess:
        started.append(1)
        return ParserProcess(limits)

    monkeypatch.setattr(isolation, "ParserProcess", start_counted)
    held = b"1" * 2**29
    limits = Limits(memory_bytes=2**29)  # a child that needed half of it is replaced
    outcomes = list(read_files(make_files(tmp_path, *[f"{n}.txt" for n in range(9)]), limits=limits, n_workers=1))
    assert (len(held), len(outcomes), len(started)) == (2**29, 9, 1)


def test_children_that_cannot_start_are_an_error_of_the_installation(tmp_path: Path, nothing_left: None) -> None:
    with pytest.raises(RuntimeError, match=r"cannot start \(exit code 1\)"):
        list(read_files(make_files(tmp_path, "a.txt"), readers="tests.corpus.unruly:NO_SUCH_TABLE"))


def test_a_child_gives_the_same_document_as_this_process(tmp_path: Path, nothing_left: None) -> None:
    for suffix, write in WRITERS.items():
        write(tmp_path / f"sample{suffix}")
    paths = sorted(tmp_path.iterdir())
    outcomes = list(read_files((SourceFile(path, tmp_path, path.name) for path in paths), n_workers=1))
    assert outcomes == [read_document(path, tmp_path) for path in paths]


def test_hostile_files_have_their_typed_outcomes_in_a_child_too(tmp_path: Path, nothing_left: None) -> None:
    for name, (make, _) in HOSTILE.items():
        (tmp_path / name).write_bytes(make())
    outcomes = list(read_files(scan_folder([tmp_path], ["**/*"])))
    assert sorted(outcome.source for outcome in outcomes) == sorted(HOSTILE)
    for outcome in outcomes:
        kind = outcome.kind if isinstance(outcome, ReadFailure) else DOCUMENT
        assert kind == EXPECTED[outcome.source], outcome


@pytest.mark.slow
def test_files_that_take_gigabytes_or_minutes_cost_themselves_alone(tmp_path: Path, nothing_left: None) -> None:
    for name, make in KILLERS.items():
        (tmp_path / name).write_bytes(make())
    (tmp_path / "own.txt").write_text("own words")
    outcomes = {one.source: one for one in read_files(scan_folder([tmp_path], ["**/*"]), n_workers=2)}
    assert outcomes.keys() == {*KILLERS, "own.txt"}
    assert isinstance(outcomes.pop("own.txt"), Document)
    kinds = {one.kind for one in outcomes.values() if isinstance(one, ReadFailure)}
    assert kinds <= {"crashed", "memory", "timeout", "too_large", "damaged"}
    assert kinds & {"crashed", "memory", "timeout"}


def test_no_files_start_no_children() -> None:
    assert list(read_files([])) == []


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FACTS = st.one_of(TEXTS, st.integers(), st.floats(allow_nan=False), st.booleans(), st.lists(TEXTS).map(tuple))


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, FACTS), st.none() | st.lists(TEXTS).map(tuple), st.booleans())
def test_what_crosses_the_pipe_comes_back_equal(
    text: str, title: str, metadata: dict[str, str], readers: tuple[str, ...] | None, spent: bool
) -> None:
    blocks = (Block(0, len(text), BlockKind.HEADING, 2, None), Block(len(text), len(text), BlockKind.TABLE, 0, 3))
    document = Document("a/b.md", "a/b.md", title, text, blocks, "0" * 64, metadata, readers)
    for reply in (Reply(document, spent), Reply(ReadFailure("a/b.md", "damaged", title), spent)):
        again = decode_reply(encode_reply(reply), "a/b.md")
        assert again == reply
        assert not isinstance(again.outcome, Document) or list(map(type, again.outcome.metadata.values())) == list(
            map(type, metadata.values())
        )


GOOD = (
    '{"outcome":{"id":"a","title":"t","text":"four","blocks":[[0,4,"paragraph",0,null]],"fingerprint":"0",'
    '"metadata":{},"readers":null},"spent":false}'
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"id":"a"', '"id":"b"'),
        ("[0,4,", "[0,5,"),
        ("[0,4,", "[-1,4,"),
        ("[0,4,", "[3,2,"),
        ("[0,4,", "[0.0,4,"),
        ("[0,4,", "[false,4,"),
        ("[0,4,", '["0",4,'),
        ("[0,4,", "[0,1e400,"),
        ("[0,4,", "[0,NaN,"),
        ("0,null]", "-1,null]"),
        ("0,null]", "0.5,null]"),
        ("0,null]", f"{10**30},null]"),
        ("0,null]", "0,0]"),
        ("0,null]", f"0,{10**30}]"),
        ("0,null]", "0]"),
        ('"four"', '"fou\\udc80"'),
        ('"four"', '"\\ud83d..."'),
        ('"four"', "4444"),
        ('"t"', '"\\ud83d"'),
        ('"metadata":{}', '"metadata":{"a":"\\ud83d"}'),
        ('"metadata":{}', '"metadata":{"\\ud83d":1}'),
        ('"metadata":{}', '"metadata":{"a":["\\ud83d"]}'),
        ('"metadata":{}', '"metadata":{"a":[[]]}'),
        ('"readers":null', '"readers":["\\ud83d"]'),
        ('"id":"a"', '"source":"a","kind":"damaged","reason":"\\ud83d"'),
        (GOOD, "[" * 100_000),
        (GOOD, '{"outcome":' * 100_000),
        ('[[0,4,"paragraph",0,null]]', '[[0,3,"list",0,null],[2,4,"list",0,null]]'),
        ('"paragraph"', '"program"'),
        ('"metadata":{}', '"metadata":{"a":{}}'),
        ('"text":"four",', ""),
        (GOOD, "[]"),
        (GOOD, '{"outcome":'),
        (GOOD, "\ufffd"),
    ],
)
def test_an_answer_that_is_none_is_refused(old: str, new: str) -> None:
    assert isinstance(decode_reply(GOOD.encode(), "a").outcome, Document)
    with pytest.raises(ValueError):
        decode_reply(GOOD.replace(old, new).encode(), "a")
