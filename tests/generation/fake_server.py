"""A server on loopback that speaks as much of OpenAI's API as answers need, and misbehaves where a test says so."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from workbench.generation import LocalGenerator
from workbench.models import HfChatTokenizer
from workbench.prompting import QUESTION_MARK
from workbench.types import Message, Prompt, StopReason

Body = Mapping[str, Any]
FINISH = {StopReason.LENGTH: "length"}


class Wire(BaseHTTPRequestHandler):
    """One request; what a script answers it with."""

    server: "FakeServer"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {}, dict(self.headers)))
        if self.server.models is None:
            self.send(500, {"error": "no list"})
        else:
            self.send(200, {"data": [{"id": name} for name in self.server.models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, body, dict(self.headers)))
        script = self.server.scripts.get(self.path.removeprefix("/v1/"))
        try:
            if script is None:
                self.send(404, {"detail": "Not Found"})
            else:
                script(self, body)
        except (BrokenPipeError, ConnectionResetError):
            self.server.dropped.set()

    def send(self, status: int, body: object, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def stream(self, *events: object) -> None:
        """Send events, each a JSON value or raw bytes; the first call opens the stream."""
        if not getattr(self, "streaming", False):
            self.streaming = True
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
        for event in events:
            self.wfile.write(event if isinstance(event, bytes) else b"data: " + json.dumps(event).encode() + b"\n\n")
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class FakeServer(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them

    def __init__(self, scripts: Mapping[str, Callable[[Wire, Body], None]], models: tuple[str, ...] | None) -> None:
        super().__init__(("127.0.0.1", 0), Wire)
        self.scripts, self.models = scripts, models
        self.seen: list[tuple[str, Body, Mapping[str, str]]] = []
        self.dropped = threading.Event()  # a client went away while it was written to

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def asked(self, path: str = "/v1/chat/completions") -> list[Body]:
        return [body for where, body, _ in self.seen if where == path]


@contextmanager
def serving(
    *, models: tuple[str, ...] | None = ("big",), **scripts: Callable[[Wire, Body], None]
) -> Iterator[FakeServer]:
    """Run a fake server; `chat` answers /chat/completions, `completions` answers /completions."""
    paths = {"chat": "chat/completions"}
    server = FakeServer({paths.get(name, name): script for name, script in scripts.items()}, models)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def piece(text: str, finish: str | None = None, **more: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish, **more}]}


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, object]:
    return {"choices": [], "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}}


def say(text: str) -> Callable[[Wire, Body], None]:
    """A script that answers every question with `text`, a word an event."""

    def script(wire: Wire, body: Body) -> None:
        words = text.split(" ")
        pieces = [piece(word + (" " if place < len(words) - 1 else "")) for place, word in enumerate(words)]
        wire.stream(*pieces, piece("", "stop"), usage(7, len(words)), b"data: [DONE]\n\n")

    return script


def wrap(generator: LocalGenerator, tokenizer: HfChatTokenizer, names: Mapping[str, str | None]) -> Any:
    """A script behind which a local generator answers; `names`: model asked → its adapter."""
    lock = threading.Lock()  # one model, many threads

    def script(wire: Wire, body: Body) -> None:
        rendered = tokenizer.render([Message(**turn) for turn in body["messages"]])
        asked = body["messages"][-1]["content"]
        cut = rendered.rfind(asked[asked.rfind(QUESTION_MARK) :])
        prompt = Prompt((), tuple(tokenizer.encode(rendered[:cut])), tuple(tokenizer.encode(rendered[cut:])))
        with lock:
            (answer,) = generator.generate([prompt], adapter=names[body["model"]], max_new_tokens=body["max_tokens"])
        wire.stream(
            piece(answer.text), piece("", FINISH.get(answer.stop_reason, "stop")),
            usage(answer.prompt_tokens, answer.new_tokens), b"data: [DONE]\n\n",
        )  # fmt: skip

    return script
