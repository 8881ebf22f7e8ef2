"""A server under more than it can take: full, left by its clients, told to stop; and what it leaves behind."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving.conftest import QUEUE, Running, start
from workbench.errors import BusyError, ConfigError, DeadlineError
from workbench.serving.opening import SEARCHES
from workbench.types import Failure, Generation

LONG = {"model": "tiny-random-llama", "messages": [{"role": "user", "content": "Tell."}], "max_tokens": 60}
PLACES = 4 + QUEUE


def chat(served: Running, **changes: Any) -> httpx.Response:
    with served.client() as client:
        return client.post("/v1/chat/completions", json=LONG | {"temperature": 1.0} | changes)


def wait_until_idle(served: Running) -> None:
    for _ in range(400):
        load = served.service.engine.load
        if load.running == load.waiting == served.service.admission.taken == 0:
            return
        time.sleep(0.02)
    raise AssertionError(f"{served.service.engine.load}, {served.service.admission.taken} taken")


def test_who_finds_the_server_full_is_told_when_to_come_again(served: Running) -> None:
    with ThreadPoolExecutor(4 * PLACES) as pool:
        with served.service.engine.exclusive():  # nothing is answered meanwhile, so the places fill
            waiting = [pool.submit(chat, served, stream=bool(n % 2)) for n in range(4 * PLACES)]
            for _ in range(400):
                if sum(one.done() for one in waiting) == 3 * PLACES:
                    break
                time.sleep(0.02)
        answers = [one.result() for one in waiting]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 3 * PLACES
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert refused[0].json()["error"]["code"] == "queue_full"
    taken = [answer for answer in answers if answer.status_code == 200]
    assert len(taken) == PLACES
    assert all("[DONE]" in answer.text or answer.json()["choices"] for answer in taken)
    wait_until_idle(served)


def test_clients_that_go_away_leave_nothing_behind(served: Running) -> None:
    draw = random.Random(0)

    def leave(seconds: float, stream: bool) -> None:
        with httpx.Client(base_url=served.url, timeout=httpx.Timeout(60, read=seconds), trust_env=False) as client:
            try:
                with client.stream("POST", "/v1/chat/completions", json=LONG | {"stream": stream}) as answer:
                    for _ in answer.iter_raw():
                        if draw.random() < 0.2:
                            return
            except httpx.TimeoutException:
                pass

    wait_until_idle(served)
    before = set(threading.enumerate())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: leave(draw.uniform(0.001, 0.05), bool(n % 2)), range(100)))
    wait_until_idle(served)
    assert chat(served).status_code == 200
    # The pool of searches starts its threads as they are wanted, and no more than it may have; so does tqdm its one.
    lasting = {f"search_{n}" for n in range(SEARCHES)} | {"tqdm_monitor"}
    assert {thread.name for thread in set(threading.enumerate()) - before} <= lasting


def test_an_answer_that_is_not_done_in_time_is_given_up(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    late = type(served.service).deadline
    monkeypatch.setattr(type(served.service), "deadline", lambda self: late(self) - 120 + 0.2)
    with ThreadPoolExecutor(1) as pool, served.service.engine.exclusive():
        answer = pool.submit(chat, served).result()
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "deadline_exceeded"
    wait_until_idle(served)


def test_a_fault_inside_is_told_without_its_words(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(served.service.answering, "plan", broken)
    answer = chat(served)
    assert answer.status_code == 500
    assert "secret" not in answer.text and "internal error" in answer.json()["error"]["message"]


def test_a_stream_that_fails_says_so_and_has_no_end(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    real = served.service.engine.submit

    def failing(*arguments: Any, on_event: Any, **options: Any) -> Any:
        def tell(event: Any) -> None:
            on_event(Failure(DeadlineError("too late")) if isinstance(event, Generation) else event)

        return real(*arguments, on_event=tell, **options)

    monkeypatch.setattr(served.service.engine, "submit", failing)
    text = chat(served, stream=True).text
    events = [json.loads(line.removeprefix("data: ")) for line in text.split("\n\n") if line.startswith("data: {")]
    assert events[-1]["error"]["code"] == "deadline_exceeded"
    assert "[DONE]" not in text


@pytest.fixture
def process(trained: Path, tiny_home: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`workbench serve` as a user starts it, and its address."""
    command = [sys.executable, "-m", "workbench", "serve", str(trained / "experiment.yaml")]
    command += ["--out", str(trained / "runs" / "tiny"), "--port", "0"]
    command += [
        "--set",
        f"serving.folder={tmp_path / 'serving'}",
        "--set",
        "serving.slots=4",
        "--set",
        "serving.queue=4",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stderr is not None
        told = next(line for line in process.stderr if line.startswith("serving on"))
        yield process, told.split()[2]
        process.kill()


def test_a_server_told_to_stop_under_load_ends_what_it_began(
    process: tuple[subprocess.Popen[str], str], trained: Path, tmp_path: Path
) -> None:
    server, url = process
    with pytest.raises(BusyError, match=f"process {server.pid}"):  # two servers over one folder
        next(start(trained, serving=tmp_path / "serving"))
    body = LONG | {"stream": True, "temperature": 1.0}
    outcomes: list[str] = []

    def ask_on() -> None:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while True:
                try:
                    answer = client.post("/v1/chat/completions", json=body)
                except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError) as error:
                    outcomes.append(type(error).__name__)
                    return
                outcomes.append("whole" if "[DONE]" in answer.text else str(answer.status_code))

    threads = [threading.Thread(target=ask_on) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    server.send_signal(signal.SIGTERM)
    assert server.wait(40) == 0
    for thread in threads:
        thread.join()
    assert outcomes.count("whole") > 6
    # A request that met a closing connection was never begun; none was cut in the middle of its answer.
    assert set(outcomes) <= {"whole", "ConnectError", "ReadError", "RemoteProtocolError"}


def test_others_get_in_only_with_keys(trained: Path, tiny_home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no key is good for it; make one: workbench keys create"):
        next(start(trained, serving=tmp_path, overrides=("serving.host=0.0.0.0",)))
