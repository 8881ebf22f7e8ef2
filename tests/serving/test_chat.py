"""Chats as OpenAI's own client and as curl send them: base, adapters, arms, passages, streams, mistakes."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from tests.serving.conftest import Running

QUESTION = "What colour is the Arvo gauge?"


@pytest.fixture
def openai(served: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def ask(client: httpx.Client, **body: Any) -> httpx.Response:
    body = {"model": "rag", "messages": [{"role": "user", "content": QUESTION}]} | body
    return client.post("/v1/chat/completions", json=body)


@pytest.mark.parametrize("model", ["tiny-random-llama", "closed_book", "base", "rag", "lora", "rag_lora", "rag_reader"])
def test_openais_client_is_answered_whole_and_streamed_alike(openai: OpenAI, model: str) -> None:
    messages: Any = [{"role": "user", "content": QUESTION}]
    whole = openai.chat.completions.create(model=model, messages=messages, max_tokens=6)
    assert whole.usage is not None and whole.usage.completion_tokens <= 6
    with openai.chat.completions.create(
        model=model, messages=messages, max_tokens=6, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage


@pytest.mark.parametrize("arm", ["base", "rag", "lora", "rag_lora", "rag_reader"])
def test_an_arm_answers_as_the_bench_does(client: httpx.Client, served: Running, arm: str) -> None:
    with served.service.engine.exclusive():  # the bench generates with the same model
        expected = served.bench.ask(QUESTION, arm=arm)
    found = ask(client, model=arm).json()
    assert found["choices"][0]["message"]["content"] == expected.generation.text
    assert found["usage"]["prompt_tokens"] == expected.prompt.token_count
    places = [(source["document_id"], source["start"], source["end"]) for source in found["sources"]]
    assert places == [(hit.chunk.document_id, hit.chunk.start, hit.chunk.end) for hit in expected.prompt.hits]


def test_sources_are_where_the_document_says(client: httpx.Client) -> None:
    answer = ask(client, rag_depth=2).json()
    assert [source["number"] for source in answer["sources"]] == [1, 2]
    for source in answer["sources"]:
        document = client.get(f"/v1/collections/small/documents/{source['document_id']}").json()
        assert document["text"][source["start"] : source["end"]] == source["text"]


def test_sources_come_in_the_text_and_as_an_event_where_that_is_asked(client: httpx.Client) -> None:
    body = {
        "model": "rag",
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
        "stream_options": {"include_sources": True},
        "rag_sources_in_text": True,
    }
    lines = client.post("/v1/chat/completions", json=body).text.split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    assert "data: [DONE]" in lines
    assert events[-1]["choices"] == [] and events[-1]["sources"] == events[-2]["sources"] != []
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events if event["choices"])
    first = events[-1]["sources"][0]
    assert f"\n\nSources:\n[1] small/{first['document_id']}, characters {first['start']}-{first['end']}" in text


def test_a_document_is_answered_from_in_the_next_request_and_never_after_its_deletion(client: httpx.Client) -> None:
    text = {"collection": "fresh", "text": "The Zebu valve opens at 7 bar.", "metadata": {"source": "zebu"}}
    added = client.post("/v1/process/document", json=text)
    assert added.status_code == 200, added.text
    answer = ask(client, model="base", rag=1, rag_collection="fresh").json()
    assert [source["text"] for source in answer["sources"]] == ["The Zebu valve opens at 7 bar."]
    assert client.delete("/v1/collections/fresh/documents/zebu").json() == {"deleted": "zebu"}
    assert ask(client, model="base", rag=1, rag_collection="fresh").json()["sources"] == []


def test_what_scores_too_low_is_refused_without_being_generated(client: httpx.Client) -> None:
    answer = ask(client, rag_threshold=1000.0).json()
    assert answer["choices"][0]["message"]["content"] == "not in the documents"
    assert answer["usage"]["completion_tokens"] == 0
    assert answer["timing"]["first_token_seconds"] is None


def test_earlier_turns_and_instructions_are_part_of_the_prompt(client: httpx.Client) -> None:
    turns = [
        {"role": "system", "content": "Say it in one word."},
        {"role": "user", "content": "What does it cost?"},
        {"role": "assistant", "content": "Ten crowns."},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
    ]
    alone, together = ask(client).json(), ask(client, messages=turns).json()
    assert together["usage"]["prompt_tokens"] > alone["usage"]["prompt_tokens"]
    assert together["sources"] == alone["sources"]


def test_the_same_seed_gives_the_same_answer(client: httpx.Client) -> None:
    sampled = {"model": "tiny-random-llama", "temperature": 1.0, "max_tokens": 16}
    texts = [ask(client, seed=seed, **sampled).json()["choices"][0]["message"]["content"] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


MISTAKES: dict[str, tuple[dict[str, Any], int, str]] = {
    "no such model": ({"model": "gpt-9"}, 404, "there are: tiny-random-llama"),
    "two answers": ({"n": 2}, 400, "n: "),
    "tools": ({"tools": [{"type": "function"}]}, 400, "tools is not supported"),
    "a penalty": ({"presence_penalty": 1}, 400, "presence_penalty is not supported"),
    "an unknown field": ({"rag_dept": 3}, 400, "rag_dept"),
    "an image": ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages"),
    "nobody asks": ({"messages": [{"role": "assistant", "content": "Hello"}]}, 400, "must be user and assistant"),
    "an empty question": ({"messages": [{"role": "user", "content": " "}]}, 400, "the last message is empty"),
    "too many tokens": ({"max_tokens": 1000}, 400, "max_tokens is 1000, but this server gives 64 at most"),
    "a collection without rag": ({"model": "base", "rag_collection": "small"}, 400, "set rag: 1"),
    "an arm that reads told not to": ({"rag": 0}, 400, "rag is 0"),
    "a collection that is not there": ({"rag_collection": "nowhere"}, 404, "there is no collection 'nowhere'"),
    "a filter that is none": ({"rag_filter": "year >"}, 400, "year >"),
    "too long a question": ({"messages": [{"role": "user", "content": "word " * 9000}]}, 400, "tokens"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_openais_form(client: httpx.Client, name: str) -> None:
    body, status, told = MISTAKES[name]
    response = ask(client, **body)
    assert response.status_code == status, response.text
    assert told in response.json()["error"]["message"]
    assert set(response.json()["error"]) == {"message", "type", "code", "param"}


def test_openais_client_raises_its_own_errors(openai: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="no model 'gpt-9' is served"):
        openai.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "?"}])
    with pytest.raises(BadRequestError, match="rag is 0"):
        openai.chat.completions.create(model="rag", messages=[{"role": "user", "content": "?"}], extra_body={"rag": 0})


def test_what_changes_nothing_may_be_sent(client: httpx.Client) -> None:
    harmless = {"n": 1, "user": "u", "presence_penalty": 0, "frequency_penalty": 0.0, "logprobs": False, "tools": []}
    harmless |= {
        "response_format": {"type": "text"},
        "store": False,
        "metadata": {},
        "top_p": 1,
        "temperature": 0,
        "stop": None,
    }
    assert ask(client, **harmless).status_code == 200


def test_embeddings_come_as_numbers_and_as_openais_client_asks_for_them(openai: OpenAI, client: httpx.Client) -> None:
    found = openai.embeddings.create(model="tiny-random-bert", input=["one", "two"])  # asks for base64
    plain = client.post("/v1/embeddings", json={"model": "tiny-random-bert", "input": "one"}).json()
    assert found.data[0].embedding == pytest.approx(plain["data"][0]["embedding"], abs=1e-5)
    assert sum(value**2 for value in found.data[1].embedding) == pytest.approx(1.0, abs=1e-4)


def test_questions_and_feedback_are_logged(client: httpx.Client, served: Running) -> None:
    id_ = ask(client, model="rag_reader").json()["id"]
    said = {"response_id": id_, "rating": -1, "correction": "teal"}
    assert client.post("/v1/feedback", json=said).json() == {"stored": True}
    served.service.searching.submit(lambda: None).result()
    lines = (served.service.folder / "log" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    logged = next(json.loads(line) for line in lines if id_ in line)
    assert (logged["model"], logged["arm"], logged["collection"], logged["question"]) == (
        "rag_reader",
        "rag_reader",
        "small",
        QUESTION,
    )
    assert id_ in (served.service.folder / "log" / "feedback.jsonl").read_text(encoding="utf-8")
