"""Logs lose nothing but a torn last line, hold no word that was not allowed, and are for their owner alone."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.monitoring.logged import START, query, said
from workbench.monitoring import FeedbackLog, QueryLog, pack_embedding, read_feedback, read_queries
from workbench.monitoring.records import unpack_embedding


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    records = [query(number) for number in range(5)]
    with QueryLog(tmp_path / "log", mode="content") as log:
        for record in records:
            log.append(record)
    found = read_queries(tmp_path / "log")
    assert found.records == tuple(records)
    assert found.events == ()
    assert read_queries(tmp_path / "log", since=START + timedelta(hours=3)).records == tuple(records[3:])
    assert read_queries(tmp_path / "nothing").records == ()


@pytest.mark.parametrize("mode", ["off", "measures", "content"])
def test_a_mode_decides_what_reaches_the_disk(tmp_path: Path, mode: str) -> None:
    spans = ({"document_id": "secret.md", "start": 0, "end": 4},)
    record = query(
        question="a secret", answer="hush", passages=spans, embedding=pack_embedding(np.ones(4, dtype=np.float32))
    )
    with QueryLog(tmp_path / "log", mode=mode) as log:  # type: ignore[arg-type]
        log.append(record)
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*.jsonl"))
    assert (b"a secret" in content, b"hush" in content, b"secret.md" in content) == ((mode == "content",) * 3)
    assert (b"embedding" in content) == (mode != "off")
    assert (tmp_path / "log").exists() == (mode != "off")


def test_files_are_for_their_owner_alone_even_where_they_were_not(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").touch(mode=0o644)
    with QueryLog(tmp_path, mode="measures") as queries, FeedbackLog(tmp_path) as feedback:
        queries.append(query())
        feedback.append(said())
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.jsonl")} == {0o600}


def test_full_files_are_moved_away_and_read_in_order(tmp_path: Path) -> None:
    size = len(query(0).model_dump_json(exclude_none=True)) + 1
    with QueryLog(tmp_path, mode="content", file_bytes=3 * size + 5) as log:
        for number in range(10):
            log.append(query(number))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "queries-000001.jsonl",
        "queries-000002.jsonl",
        "queries-000003.jsonl",
        "queries.jsonl",
    ]
    assert [record.response_id for record in read_queries(tmp_path).records] == [f"r{n}" for n in range(10)]
    with QueryLog(tmp_path, mode="content", file_bytes=3 * size + 5) as log:  # another start goes on counting
        for number in range(10, 13):
            log.append(query(number))
    assert (tmp_path / "queries-000004.jsonl").exists()
    assert len(read_queries(tmp_path).records) == 13


def test_a_torn_line_is_skipped_and_told_and_harms_no_later_one(tmp_path: Path) -> None:
    with QueryLog(tmp_path, mode="content") as log:
        log.append(query(0))
        log.append(query(1))
    path = tmp_path / "queries.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    found = read_queries(tmp_path)
    assert [record.response_id for record in found.records] == ["r0"]
    assert found.events == ("queries.jsonl:2: no QueryRecord, skipped: torn",)
    with QueryLog(tmp_path, mode="content") as log:
        log.append(query(2))
    found = read_queries(tmp_path)
    assert [record.response_id for record in found.records] == ["r0", "r2"]
    assert len(found.events) == 1


def test_a_disk_that_takes_a_part_of_a_line_tears_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, left = os.write, [40]

    def nearly_full(descriptor: int, content: bytes) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        written = write(descriptor, content[: left[0]])
        left[0] -= written
        return written

    with QueryLog(tmp_path, mode="content") as log:
        monkeypatch.setattr(os, "write", nearly_full)
        with pytest.raises(OSError, match=r"No space left on device: .*queries\.jsonl"):
            log.append(query(0))
        monkeypatch.setattr(os, "write", write)
        log.append(query(1))
    found = read_queries(tmp_path)
    assert [record.response_id for record in found.records] == ["r1"]
    assert len(found.events) == 1


def test_threads_share_a_log(tmp_path: Path) -> None:
    with QueryLog(tmp_path, mode="content", file_bytes=4000) as log:

        def write(first: int) -> None:
            for number in range(first, first + 25):
                log.append(query(number))

        threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200, 300)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = read_queries(tmp_path)
    assert found.events == ()
    assert len({record.response_id for record in found.records}) == 100


def test_a_killed_writer_leaves_whole_lines(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\nfrom tests.monitoring.logged import query\n"
        "from workbench.monitoring import QueryLog\n"
        f"log = QueryLog(Path({str(tmp_path)!r}), mode='content', file_bytes=20000)\n"
        "for number in range(10**6):\n"
        "    log.append(query(number))\n"
        "    print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        last = [process.stdout.readline() for _ in range(300)][-1]
        process.send_signal(signal.SIGKILL)
        last = (process.stdout.read().split() or [last])[-1]
    found = read_queries(tmp_path)
    assert len(found.events) <= 1
    ids = [record.response_id for record in found.records]
    assert ids == [f"r{number}" for number in range(len(ids))]
    assert len(ids) >= int(last)  # every line that was acknowledged, but perhaps one whose print was torn


def test_the_last_word_of_a_reader_counts(tmp_path: Path) -> None:
    with FeedbackLog(tmp_path) as log:
        for record in (said(0, 1), said(1, -1, correction="amber"), said(0, -1, comment="no")):
            log.append(record)
    found = {record.response_id: record for record in read_feedback(tmp_path).records}
    assert (found["r0"].rating, found["r0"].comment) == (-1, "no")
    assert found["r1"].correction == "amber"


def test_a_record_of_another_format_is_told_and_a_rating_is_one_of_two(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"format": 2, "response_id": "x"}\nno json\n', encoding="utf-8")
    found = read_queries(tmp_path)
    assert not found.records
    assert len(found.events) == 2
    with pytest.raises(ValueError, match="rating"):
        said(rating=0)
    with pytest.raises(ValueError, match="timezone"):
        query(time="2026-03-02T09:00:00")


def test_an_embedding_survives_its_packing() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(50, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for one, other in itertools.pairwise(vectors):
        a, b = (unpack_embedding(pack_embedding(vector), 384) for vector in (one, other))
        assert a is not None and b is not None
        assert abs(float(a @ b) - float(one @ other)) < 1e-3
    packed = pack_embedding(vectors[0])
    assert len(packed) == 1024
    assert unpack_embedding(packed, 128) is None
    assert unpack_embedding("no base64!", 384) is None
    assert unpack_embedding(pack_embedding(np.full(4, np.nan, dtype=np.float32)), 4) is None
