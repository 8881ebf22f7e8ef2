"""A server elsewhere: what is sent, what is read, what is tried again, and what each misbehaviour is called."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.generation.fake_server import Body, FakeServer, Wire, piece, say, serving, usage
from tests.tiny import load_tiny, make_prompts, train_tiny
from workbench.config import OpenAIEngineConfig
from workbench.errors import AdapterMismatchError, ConfigError, MergeError, RemoteEngineError
from workbench.generation import OpenAIGenerator
from workbench.generation import remote as remote_module
from workbench.generation.replies import Chunk, Reply
from workbench.types import StopReason

pytestmark = pytest.mark.usefixtures("tiny_home")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "FIRST_PAUSE", 0.01)


def connect(server: FakeServer | str, *, newline: bool = False, **settings: object) -> OpenAIGenerator:
    url = server if isinstance(server, str) else server.url
    config = OpenAIEngineConfig.model_validate({"url": url, "model": "big", "timeout_seconds": 5} | settings)
    return OpenAIGenerator(config, load_tiny()[1], base_fingerprint="base", stop_at_newline=newline)


def ask(generator: OpenAIGenerator, n: int = 1, adapter: str | None = None) -> list[str]:
    prompts = make_prompts(load_tiny()[1])[:n]
    return [one.text for one in generator.generate(prompts, adapter=adapter, max_new_tokens=9)]


def test_a_prompt_travels_as_messages_greedy_and_the_counts_are_the_servers() -> None:
    with serving(chat=say("it is teal")) as server:
        generator = connect(server, newline=True, request={"chat_template_kwargs": {"enable_thinking": False}})
        (answer,) = generator.generate(make_prompts(load_tiny()[1])[:1], adapter=None, max_new_tokens=9)
    (body,) = server.asked()
    assert [turn["role"] for turn in body["messages"]] == ["system", "user"]
    assert "Question: What colour is the Arvo?" in body["messages"][1]["content"]
    assert (body["model"], body["temperature"], body["max_tokens"], body["stop"]) == ("big", 0.0, 9, ["\n"])
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert (answer.text, answer.prompt_tokens, answer.new_tokens) == ("it is teal", 7, 3)
    assert (answer.stop_reason, answer.entropy) == (StopReason.END, None)
    assert answer.seconds > 0


def test_answers_come_in_order_with_so_many_requests_in_flight() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def slow_for_the_first(wire: Wire, body: Body) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        first = "What colour" in body["messages"][-1]["content"]
        time.sleep(0.3 if first else 0.05)
        with lock:
            now[0] -= 1
        say("first" if first else "other")(wire, body)

    with serving(chat=slow_for_the_first) as server:
        prompts = make_prompts(load_tiny()[1])
        asked = [prompts[0], prompts[1], prompts[2], prompts[1], prompts[2]]
        answers = connect(server, concurrent=2).generate(asked, adapter=None, max_new_tokens=9)
    assert [one.text for one in answers] == ["first", "other", "other", "other", "other"]
    assert most[0] == 2
    assert len({one.seconds for one in answers}) == 1  # each an equal share of the batch


@pytest.mark.parametrize(
    ("finish", "met", "expected"),
    [
        ("stop", None, StopReason.END),
        ("stop", "\n", StopReason.NEWLINE),
        ("stop", 42, StopReason.END),
        ("length", None, StopReason.LENGTH),
    ],
)
def test_why_an_answer_ended_is_read(finish: str, met: object, expected: StopReason) -> None:
    def script(wire: Wire, body: Body) -> None:
        wire.stream(piece("  teal "), piece(" blue "), piece("", finish, stop_reason=met), b"data: [DONE]\n\n")

    with serving(chat=script) as server:
        (answer,) = connect(server, newline=True).generate(
            make_prompts(load_tiny()[1])[:1], adapter=None, max_new_tokens=9
        )
    assert (answer.text, answer.stop_reason) == ("teal  blue", expected)
    assert answer.new_tokens == len("teal  blue")  # no usage came, so the local tokenizer of bytes counts
    assert answer.prompt_tokens == make_prompts(load_tiny()[1])[0].token_count


def always(status: int, body: object, **headers: str) -> Callable[[Wire, Body], None]:
    return lambda wire, _: wire.send(status, body, **headers)


def in_turn(*scripts: Callable[[Wire, Body], None]) -> Callable[[Wire, Body], None]:
    rest = iter(scripts)

    def script(wire: Wire, body: Body) -> None:
        next(rest)(wire, body)

    return script


def stream(*events: object) -> Callable[[Wire, Body], None]:
    return lambda wire, _: wire.stream(*events)


@pytest.mark.parametrize(
    ("script", "says", "asked"),
    [
        (always(500, {"error": {"message": "CUDA out of memory"}}), "500 .*: CUDA out of memory", 1),
        (always(400, {"error": "model not loaded"}), "400 Bad Request: model not loaded", 1),
        (always(422, {"detail": [{"loc": ["body"]}]}), r'422 .*: \[\{"loc": \["body"\]\}\]', 1),
        (always(502, b"<html>bad\ngateway</html>"), "502 Bad Gateway: <html>bad gateway</html>", 1),
        (always(429, {"error": {"message": "full"}}, retry_after="0"), "429 Too Many Requests: full", 3),
        (always(503, b""), "503 Service Unavailable: nothing", 3),
        (always(307, b"", location="http://elsewhere/v1"), "'http://elsewhere/v1', which is not followed", 1),
        (stream(b"data: {not json\n\n"), "sent a malformed event: '{not json'", 1),
        (stream(b"data: \xff\n\n"), "is not UTF-8", 1),
        (stream(b"data: [1]\n\n"), "sent a malformed event", 1),
        (stream(piece("te"), {"error": {"message": "engine died"}}), "gave an answer up: engine died", 1),
        (stream(piece("teal")), "ended its stream within an answer, after 4 characters", 1),
        (stream(piece("x", "content_filter")), "finish_reason 'content_filter', which gives no answer", 1),
        (stream(b"data: " + b"x" * 2**21), "longer than 1048576 bytes", 1),
    ],
)
def test_what_a_server_does_wrong_is_told_with_its_words(
    script: Callable[[Wire, Body], None], says: str, asked: int
) -> None:
    with serving(chat=script) as server, pytest.raises(RemoteEngineError, match=says) as caught:
        ask(connect(server, retries=2))
    assert server.url in str(caught.value)
    assert len(server.asked()) == asked


def test_a_busy_server_is_asked_again_until_it_answers() -> None:
    with serving(chat=in_turn(always(503, b""), always(429, b"", retry_after="0"), say("teal"))) as server:
        assert ask(connect(server, retries=2)) == ["teal"]
    assert len(server.asked()) == 3


def test_a_connection_closed_before_the_first_word_is_tried_again_and_later_never() -> None:
    def close(wire: Wire, body: Body) -> None:
        raise ConnectionResetError

    with serving(chat=in_turn(close, say("teal"))) as server:
        assert ask(connect(server, retries=1)) == ["teal"]

    def half(wire: Wire, body: Body) -> None:
        wire.send_response(200)
        wire.send_header("content-length", "1000")
        wire.end_headers()
        wire.wfile.write(b"data: " + json.dumps(piece("te")).encode() + b"\n\n")

    with serving(chat=half) as server, pytest.raises(RemoteEngineError, match="broke off after 2 characters"):
        ask(connect(server, retries=3))
    assert len(server.asked()) == 1


def test_no_server_is_told_with_its_address() -> None:
    with serving() as server:
        url = server.url
    with pytest.raises(RemoteEngineError, match=f"{url} cannot be reached: .*generation.engine.url"):
        ask(connect(url, retries=1))


def test_a_slow_server_is_given_up_and_the_connection_with_it() -> None:
    def trickle(wire: Wire, body: Body) -> None:
        for _ in range(200):
            wire.stream(piece("x"))
            time.sleep(0.02)

    with serving(chat=trickle) as server:
        with pytest.raises(RemoteEngineError, match=r"not done within 0\.3 s"):
            ask(connect(server, timeout_seconds=0.3))
        assert server.dropped.wait(2)


def test_the_first_error_of_a_batch_ends_the_others() -> None:
    def script(wire: Wire, body: Body) -> None:
        if "What colour" in body["messages"][-1]["content"]:
            time.sleep(0.1)
            wire.send(500, {"error": {"message": "no"}})
            return
        for _ in range(200):
            wire.stream(piece("x"))
            time.sleep(0.02)

    with serving(chat=script) as server:
        started = time.perf_counter()
        with pytest.raises(RemoteEngineError, match="500"):
            ask(connect(server), n=3)
        assert time.perf_counter() - started < 2
        assert server.dropped.wait(2)


def test_a_model_that_is_not_served_is_told_before_the_first_question() -> None:
    with serving(models=("small", "tiny"), chat=say("teal")) as server:
        with pytest.raises(RemoteEngineError, match="does not serve 'big'; it serves: small, tiny"):
            ask(connect(server))
        assert not server.asked()


def test_a_server_that_lists_no_models_is_asked_all_the_same() -> None:
    with serving(models=None, chat=say("teal")) as server:
        assert ask(connect(server)) == ["teal"]


def test_a_stop_text_that_the_server_passes_over_ends_the_answer_here() -> None:
    def rambling(wire: Wire, body: Body) -> None:
        for _ in range(200):
            wire.stream(piece("teal \n"), piece("and more"))
            time.sleep(0.01)

    with serving(chat=rambling) as server:
        (answer,) = connect(server, newline=True).generate(
            make_prompts(load_tiny()[1])[:1], adapter=None, max_new_tokens=9
        )
        assert (answer.text, answer.stop_reason, answer.new_tokens) == ("teal", StopReason.NEWLINE, 4)
        assert server.dropped.wait(2)


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_no_part_of_a_stop_text_is_shown_however_it_is_split(size: int) -> None:
    text, stop = "  one EN two\n END three", ("END", "\n END")
    reply, shown = Reply(stop=stop), []
    for start in range(0, len(text), size):
        shown += list(reply.take(Chunk.model_validate(piece(text[start : start + size]))))
        assert not "".join(shown).endswith(("E", "EN two\n"))
    assert "".join(shown) == reply.text == "one EN two"
    assert reply.cut
    whole = Reply(stop=stop)
    assert list(whole.take(Chunk.model_validate(piece("ends on EN", "stop")))) == ["ends on EN"]


def test_an_adapter_is_asked_by_its_name_there(tmp_path: Path) -> None:
    folder = train_tiny(tmp_path, acts_from="prompt")
    with serving(models=("big", "big-reader"), chat=say("teal")) as server:
        generator = connect(server, adapters={"reader": "big-reader", "gone": "big-gone"})
        generator.load_adapter("reader", folder)
        ask(generator, adapter="reader")
        assert server.asked()[0]["model"] == "big-reader"
        with pytest.raises(RemoteEngineError, match="does not serve 'big-gone'"):
            generator.load_adapter("gone", folder)
        with pytest.raises(AdapterMismatchError, match=r"'other' is not loaded; .* has: reader, gone"):
            ask(generator, adapter="other")
        with pytest.raises(MergeError):
            generator.load_adapter("reader", folder, merge=True)
        generator._base_fingerprint = "another"
        with pytest.raises(AdapterMismatchError, match="trained for base model base"):
            generator.load_adapter("reader", folder)


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(chat=say("teal")) as server:
        generator = connect(server, api_key_env="BOX_KEY")
        with pytest.raises(ConfigError, match="BOX_KEY, which is not set"):
            ask(generator)
        monkeypatch.setenv("BOX_KEY", "s3cret")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # a proxy of the environment is not used
        ask(generator)
    assert {headers["Authorization"] for _, _, headers in server.seen} == {"Bearer s3cret"}


def test_scores_are_those_of_the_tokens_sent() -> None:
    def echo(wire: Wire, body: Body) -> None:
        n = len(body["prompt"])
        scores = [None, *[-1.0] * (n - 3), -0.25, -0.75, -9.0]  # two of the answer, one of the token asked for
        wire.send(200, {"choices": [{"logprobs": {"token_logprobs": scores}}], "usage": {"prompt_tokens": n}})

    prompt = make_prompts(load_tiny()[1])[0]
    with serving(completions=echo) as server:
        assert connect(server).score([prompt], ["ab"], adapter=None) == [-0.5]
        assert connect(server).score([], [], adapter=None) == []
    (body,) = server.asked("/v1/completions")
    assert body["prompt"] == [*prompt.prefix_ids, *prompt.suffix_ids, *load_tiny()[1].encode("ab")]


@pytest.mark.parametrize(
    "response",
    [
        {"choices": [{"text": "x", "logprobs": None}]},
        {"choices": [{"logprobs": {"token_logprobs": [None, -1.0]}}]},
        {"content": "llama"},
    ],
    ids=["none", "fewer", "another form"],
)
def test_a_server_without_log_probabilities_scores_nothing(response: object) -> None:
    with (
        serving(completions=always(200, response)) as server,
        pytest.raises(RemoteEngineError, match=r"cannot score answers; .*scores: false"),
    ):
        connect(server).score(make_prompts(load_tiny()[1])[:1], ["teal"], adapter=None)


def test_an_empty_batch_asks_nobody() -> None:
    assert connect("http://127.0.0.1:9/v1").generate([], adapter=None, max_new_tokens=4) == []


def test_usage_is_read_wherever_it_stands() -> None:
    last = piece("", "stop") | {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    with serving(chat=stream(piece("teal"), last, b": a comment\n\n", b"data: [DONE]\n\n")) as server:
        (answer,) = connect(server).generate(make_prompts(load_tiny()[1])[:1], adapter=None, max_new_tokens=9)
    assert (answer.prompt_tokens, answer.new_tokens) == (3, 4)
    assert usage(3, 4)["choices"] == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://box/v1", "http or https, not 'ftp'"),
        ("box:8000/v1", "http or https"),
        ("http://me:pw@box/v1", "api_key_env"),
        ("http:///v1", "SCHEME://HOST"),
        ("http://box/v1?key=1", "SCHEME://HOST"),
        ("http://box:99999/v1", "Port out of range"),
    ],
)
def test_an_address_is_plain_or_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        OpenAIEngineConfig(url=url, model="m")
    assert OpenAIEngineConfig(url="http://box:8000/v1/", model="m").url == "http://box:8000/v1"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [("api_key_env", "sk-123", "not the key itself"), ("request", {"stream": False}, "sets stream")],
)
def test_settings_that_would_leak_or_contradict_are_refused(field: str, value: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        OpenAIEngineConfig.model_validate({"url": "http://box/v1", "model": "m", field: value})
