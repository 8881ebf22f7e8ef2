"""Many users behind one engine: pieces as they come, a bounded queue, deadlines, and connections given up."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.generation.fake_server import Body, FakeServer, Wire, piece, say, serving
from tests.tiny import load_tiny, make_prompts
from workbench.config import OpenAIEngineConfig
from workbench.contracts import Engine, Ticket
from workbench.errors import AdapterMismatchError, DeadlineError, GivenUpError, QueueFullError, RemoteEngineError
from workbench.generation import OpenAIEngine
from workbench.types import Event, Failure, Generation, Piece, Sampling, StopReason

pytestmark = pytest.mark.usefixtures("tiny_home")


@contextmanager
def engine_on(server: FakeServer, *, queue: int = 4, **settings: object) -> Iterator[Engine]:
    config = OpenAIEngineConfig.model_validate({"url": server.url, "model": "big", "concurrent": 2} | settings)
    engine = OpenAIEngine(config, count_tokens=len, queue=queue)
    try:
        yield engine
    finally:
        engine.close(drain_seconds=0)


class Listener:
    """Keeps the events of one answer."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.begun, self.done = threading.Event(), threading.Event()

    def __call__(self, event: Event) -> None:
        assert not self.done.is_set(), "an event after the last"
        self.events.append(event)
        self.begun.set()
        if not isinstance(event, Piece):
            self.done.set()

    def last(self) -> Event:
        assert self.done.wait(5)
        return self.events[-1]

    def error(self) -> Exception:
        failure = self.last()
        assert isinstance(failure, Failure)
        return failure.error


def submit(engine: Engine, listener: Listener, *, seconds: float = math.inf, adapter: str | None = None) -> Ticket:
    prompt = make_prompts(load_tiny()[1])[0]
    return engine.submit(
        prompt,
        adapter=adapter,
        sampling=Sampling(8, temperature=0.5, top_p=0.9, seed=3, stop=("END",)),
        deadline=time.monotonic() + seconds,
        on_event=listener,
    )


def endless(wire: Wire, body: Body) -> None:
    for _ in range(500):
        wire.stream(piece("x"))
        time.sleep(0.01)


def wait_for_load(engine: Engine, **wanted: int) -> None:
    for _ in range(500):
        if all(getattr(engine.load, name) == value for name, value in wanted.items()):
            return
        time.sleep(0.01)
    raise AssertionError(f"{engine.load} is not {wanted}")


def test_the_pieces_joined_are_the_answer_and_blanks_around_it_are_not_shown() -> None:
    def script(wire: Wire, body: Body) -> None:
        wire.stream(piece(" \n"), piece("it "), piece("is"), piece(" "), piece("\n"))
        wire.stream(piece("teal "), piece("\n", "stop", stop_reason="END"), b"data: [DONE]\n\n")

    with serving(chat=script) as server, engine_on(server) as engine:
        listener = Listener()
        submit(engine, listener)
        generation = listener.last()
        assert isinstance(generation, Generation)
        assert generation.text == "it is \nteal"
        assert "".join(one.text for one in listener.events if isinstance(one, Piece)) == generation.text
        assert generation.stop_reason is StopReason.STOP
        assert generation.seconds > 0
        wait_for_load(engine, running=0, waiting=0, new_tokens=len("it is \nteal"))
    (body,) = server.asked()
    assert [body[name] for name in ("temperature", "top_p", "seed", "stop")] == [0.5, 0.9, 3, ["END"]]


def test_a_piece_comes_before_the_answer_is_whole() -> None:
    go_on = threading.Event()

    def script(wire: Wire, body: Body) -> None:
        wire.stream(piece("first"))
        assert go_on.wait(5)
        wire.stream(piece(" second", "stop"), b"data: [DONE]\n\n")

    with serving(chat=script) as server, engine_on(server) as engine:
        listener = Listener()
        submit(engine, listener)
        assert listener.begun.wait(5)
        assert listener.events == [Piece("first")]
        go_on.set()
        assert isinstance(listener.last(), Generation)


def test_an_answer_given_up_closes_its_connection_and_frees_its_place() -> None:
    with serving(chat=endless) as server, engine_on(server) as engine:
        listener = Listener()
        ticket = submit(engine, listener)
        assert listener.begun.wait(5)
        ticket.cancel()
        assert isinstance(listener.error(), GivenUpError)
        assert server.dropped.wait(2)
        wait_for_load(engine, running=0, waiting=0)
        ticket.cancel()  # done already: nothing


def test_an_answer_given_up_before_it_began_still_ends_with_a_failure() -> None:
    with serving(chat=endless) as server, engine_on(server, concurrent=1) as engine:
        first, second = Listener(), Listener()
        submit(engine, first)
        submit(engine, second).cancel()
        assert isinstance(second.error(), GivenUpError)
        assert second.events == [second.last()]
        wait_for_load(engine, running=1, waiting=0)


def test_the_queue_is_bounded_and_says_when_to_come_again() -> None:
    with serving(chat=endless) as server, engine_on(server, queue=1) as engine:
        listeners = [Listener() for _ in range(3)]
        for listener in listeners:
            submit(engine, listener)
        wait_for_load(engine, running=2, waiting=1, slots=2)
        with pytest.raises(QueueFullError, match="1 answers wait already, and at most 1 may") as caught:
            submit(engine, Listener())
        assert caught.value.retry_after >= 1


@pytest.mark.parametrize("waiting", [False, True], ids=["running", "waiting"])
def test_a_deadline_ends_an_answer(waiting: bool) -> None:
    with serving(chat=endless) as server, engine_on(server, concurrent=1) as engine:
        if waiting:
            submit(engine, Listener())
        listener = Listener()
        submit(engine, listener, seconds=0.2)
        assert isinstance(listener.error(), DeadlineError)


def test_a_servers_error_is_the_last_event() -> None:
    def script(wire: Wire, body: Body) -> None:
        wire.send(500, {"error": {"message": "out of memory"}})

    with serving(chat=script) as server, engine_on(server) as engine:
        listener = Listener()
        submit(engine, listener)
        error = listener.error()
        assert isinstance(error, RemoteEngineError)
        assert "out of memory" in str(error)


def test_an_unknown_adapter_is_refused_at_once_and_a_known_one_has_its_name_there() -> None:
    with serving(chat=say("teal")) as server, engine_on(server, adapters={"reader": "big-reader"}) as engine:
        with pytest.raises(AdapterMismatchError, match="'ghost'"):
            submit(engine, Listener(), adapter="ghost")
        listener = Listener()
        submit(engine, listener, adapter="reader")
        assert isinstance(listener.last(), Generation)
    assert server.asked()[0]["model"] == "big-reader"


def test_closing_lets_answers_end_for_a_while_and_gives_up_the_rest() -> None:
    def half_a_second(wire: Wire, body: Body) -> None:
        time.sleep(0.2)
        say("teal")(wire, body)

    with serving(chat=half_a_second) as server, engine_on(server) as engine:
        done = Listener()
        submit(engine, done)
        engine.close(drain_seconds=5)
        assert isinstance(done.events[-1], Generation)
        with pytest.raises(GivenUpError):
            submit(engine, Listener())
    with serving(chat=endless) as server, engine_on(server) as engine:
        late = Listener()
        ticket = submit(engine, late)
        assert late.begun.wait(5)
        engine.close(drain_seconds=0.1)
        assert isinstance(late.events[-1], Failure)
        ticket.cancel()  # the engine is gone: nothing
    assert "openai-engine" not in {thread.name for thread in threading.enumerate()}


def test_a_listener_that_fails_harms_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise ValueError("no")

    with serving(chat=say("teal")) as server, engine_on(server) as engine:
        prompt = make_prompts(load_tiny()[1])[0]
        engine.submit(prompt, adapter=None, sampling=Sampling(8), deadline=math.inf, on_event=broken)
        listener = Listener()
        submit(engine, listener)
        assert isinstance(listener.last(), Generation)
        wait_for_load(engine, running=0, waiting=0)
    assert "whoever waited for an answer failed" in caplog.text
