"""Who gets in, and how far: every route with every kind of key; closed by default; sizes, rates, hosts, other sites."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from tests.serving.conftest import Running, start
from workbench.access import KeyStore
from workbench.errors import KeyFileError
from workbench.serving.app import build_app
from workbench.serving.door import is_public

CHAT = {"model": "base", "messages": [{"role": "user", "content": "Who?"}], "max_tokens": 1}
# Route → a request of it, the least that a key must have, and what it is answered then.
# `mine` is a collection of the tenant's own; `admin *` may do everything.
REQUESTS: dict[str, tuple[str, str, Any, str, int]] = {
    "chat": ("POST", "/v1/chat/completions", CHAT, "key", 200),
    "chat from passages": ("POST", "/v1/chat/completions", CHAT | {"rag": 1, "rag_collection": "mine"}, "read", 200),
    "models": ("GET", "/v1/models", None, "key", 200),
    "one model": ("GET", "/v1/models/base", None, "key", 200),
    "me": ("GET", "/v1/me", None, "key", 200),
    "metrics": ("GET", "/metrics", None, "key", 200),
    "embeddings": ("POST", "/v1/embeddings", {"model": "tiny-random-bert", "input": "a"}, "key", 200),
    "feedback": ("POST", "/v1/feedback", {"response_id": "chatcmpl-" + "0" * 32, "rating": 1}, "key", 200),
    "collections": ("GET", "/v1/collections", None, "key", 200),
    "collection": ("GET", "/v1/collections/mine", None, "read", 200),
    "documents": ("GET", "/v1/collections/mine/documents", None, "read", 200),
    "document": ("GET", "/v1/collections/mine/documents/one", None, "read", 200),
    "search": ("POST", "/v1/collections/mine/search", {"query": "valve"}, "read", 200),
    "add": ("POST", "/v1/process/document", {"collection": "mine", "text": "t", "id": "two"}, "write", 200),
    "delete": ("DELETE", "/v1/collections/mine/documents/none", None, "write", 404),
    "make": ("POST", "/v1/collections", {"name": "mine"}, "admin", 409),
    "drop": ("DELETE", "/v1/collections/missing", None, "admin *", 404),
    "runs": ("GET", "/v1/runs", None, "admin *", 200),
    "run": ("GET", "/v1/runs/tiny", None, "admin *", 200),
    "cases": ("GET", "/v1/runs/tiny/questions", None, "admin *", 200),
    "report": ("GET", "/v1/runs/tiny/report", None, "admin *", 200),
    "training": ("GET", "/v1/training", None, "admin *", 200),
    "start": ("POST", "/v1/training", {"adapter": "none"}, "admin *", 404),
    "stop": ("DELETE", "/v1/training", None, "admin *", 400),
    "keys": ("GET", "/v1/keys", None, "admin *", 200),
    "make key": ("POST", "/v1/keys", {"name": "k", "roles": {"mine": "read"}}, "admin *", 200),
    "revoke": ("DELETE", "/v1/keys/none", None, "admin *", 400),
}
NEEDS = ("key", "read", "write", "admin", "admin *")
CALLERS = {"other tenant": "key", "reader": "read", "writer": "write", "owner of mine": "admin", "all": "admin *"}
ROLES = {
    "other tenant": {"theirs": "admin"},
    "reader": {"mine": "read"},
    "writer": {"mine": "write"},
    "owner of mine": {"mine": "admin"},
    "all": {"*": "admin"},
}


@pytest.fixture(scope="module")
def guarded(
    trained: Path, built_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, dict[str, str]]]:
    """A server with keys, and their secrets by caller."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        for served in start(trained, serving=tmp_path_factory.mktemp("guarded")):
            keys = served.service.keys
            secrets = {name: keys.create(name, roles)[1] for name, roles in ROLES.items()}
            revoked, secrets["revoked"] = keys.create("revoked", {"*": "admin"})
            keys.revoke(revoked.id)
            secrets["wrong"] = "wbk_" + "x" * 32
            with served.client(secrets["all"]) as client:
                text = {"collection": "mine", "text": "The Zebu valve opens at 7 bar.", "id": "one"}
                assert client.post("/v1/process/document", json=text).status_code == 200
            yield served, secrets


def send(client: httpx.Client, name: str) -> httpx.Response:
    method, path, body, *_ = REQUESTS[name]
    return client.request(method, path, json=body)


@pytest.mark.parametrize("name", REQUESTS)
def test_every_route_with_every_kind_of_key(guarded: tuple[Running, dict[str, str]], name: str) -> None:
    served, secrets = guarded
    *_, needs, answered = REQUESTS[name]
    for caller in (None, "wrong", "revoked"):
        with served.client(None if caller is None else secrets[caller]) as client:
            response = send(client, name)
            assert (caller, response.status_code) == (caller, 401)
            assert response.json()["error"]["code"] == "invalid_api_key"
    for caller, has in CALLERS.items():
        with served.client(secrets[caller]) as client:
            enough = NEEDS.index(has) >= NEEDS.index(needs)
            assert (caller, send(client, name).status_code) == (caller, answered if enough else 403)


def test_the_table_above_names_every_route(guarded: tuple[Running, dict[str, str]]) -> None:
    served, _ = guarded
    app = build_app(served.service, hosts=None)
    known = [(method, path) for method, path, *_ in REQUESTS.values()]
    for route in app.routes:
        if isinstance(route, APIRoute) and not is_public(route.path):
            for method in route.methods or ():
                assert any(one == method and route.path_regex.match(path) for one, path in known), (method, route.path)


@pytest.mark.parametrize("path", ["/", "/health", "/openapi.json", "/page/app.js"])
def test_what_needs_no_key(guarded: tuple[Running, dict[str, str]], path: str) -> None:
    with guarded[0].client() as client:
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/v1/nothing", "/page", "/health/", "//health", "/pages/x"])
def test_what_is_not_there_needs_a_key_too(guarded: tuple[Running, dict[str, str]], path: str) -> None:
    with guarded[0].client() as client:
        assert client.request("GET", httpx.URL(guarded[0].url, raw_path=path.encode())).status_code == 401


def test_collections_of_others_are_not_listed(guarded: tuple[Running, dict[str, str]]) -> None:
    served, secrets = guarded
    with served.client(secrets["reader"]) as client:
        assert [one["name"] for one in client.get("/v1/collections").json()["data"]] == ["mine"]
    with served.client(secrets["other tenant"]) as client:
        assert client.get("/v1/collections").json() == {"data": []}
        there, missing = client.get("/v1/collections/mine"), client.get("/v1/collections/gone")
        assert (there.status_code, missing.status_code) == (403, 403)  # what is there is nobody else's to know


def test_a_revoked_key_is_refused_at_once(guarded: tuple[Running, dict[str, str]]) -> None:
    served, secrets = guarded
    with served.client(secrets["all"]) as admin:
        made = admin.post("/v1/keys", json={"name": "guest", "roles": {"mine": "read"}}).json()
        with served.client(made["secret"]) as guest:
            assert guest.get("/v1/me").json() == {"key": "guest", "roles": {"mine": "read"}}
            assert admin.delete(f"/v1/keys/{made['id']}").status_code == 200
            assert guest.get("/v1/me").status_code == 401
        assert all("secret" not in key and "sha256" not in key for key in admin.get("/v1/keys").json()["data"])


def test_a_key_sees_only_documents_of_its_principals(guarded: tuple[Running, dict[str, str]]) -> None:
    served, secrets = guarded
    service = served.service
    _, secret = service.keys.create("ann", {"mine": "read"}, principals=("staff",))
    with served.client(secrets["all"]) as admin, served.client(secret) as ann:
        for name, readers in (("open", None), ("staff", ["staff"]), ("board", ["board"])):
            text = "---\n" + (f"readers: {json.dumps(readers)}\n" if readers else "") + f"---\nYak {name} report."
            added = admin.post("/v1/process/document", json={"collection": "mine", "text": text, "id": name})
            assert added.status_code == 200, added.text
        found = ann.post("/v1/collections/mine/search", json={"query": "Yak report", "depth": 50}).json()["data"]
        seen = {source["document_id"] for source in found}
        assert {"open", "staff"} <= seen and "board" not in seen
        assert ann.get("/v1/collections/mine/documents/board").status_code == 404
        chat = ann.post("/v1/chat/completions", json=CHAT | {"rag": 1, "rag_collection": "mine", "rag_depth": 50})
        assert "board" not in {source["document_id"] for source in chat.json()["sources"]}


def test_a_body_is_not_read_beyond_its_cap_and_not_before_the_key(guarded: tuple[Running, dict[str, str]]) -> None:
    served, secrets = guarded
    big = b"x" * 300_000

    def pieces() -> Iterator[bytes]:
        yield from (big[start : start + 1000] for start in range(0, len(big), 1000))

    with served.client(secrets["all"]) as client:
        assert client.post("/v1/chat/completions", content=big).status_code == 413
        assert client.post("/v1/chat/completions", content=pieces()).status_code == 413  # no length was told
        assert client.post("/v1/process/document", content=big).status_code == 413
    with served.client() as client:
        assert client.post("/v1/chat/completions", content=big[:50_000]).status_code == 401


def test_every_request_is_in_the_audit_log_without_its_words(guarded: tuple[Running, dict[str, str]]) -> None:
    served, secrets = guarded
    with served.client(secrets["reader"]) as client:
        client.post("/v1/collections/mine/search", json={"query": "a very secret question"})
        client.get("/v1/runs")
    path = served.service.folder / "audit" / "audit.jsonl"
    for _ in range(100):  # a line is written behind its answer
        lines = path.read_text(encoding="utf-8").splitlines()
        if "GET /v1/runs" in lines[-1]:
            break
        time.sleep(0.02)
    last = [json.loads(line) for line in lines][-2:]
    assert [(one["key"], one["route"], one["status"], one["collection"]) for one in last] == [
        ("reader", "POST /v1/collections/{name}/search", 200, "mine"),
        ("reader", "GET /v1/runs", 403, None),
    ]
    assert "secret question" not in "".join(lines)


def test_a_key_that_asks_too_often_is_told_when_to_come_again(trained: Path, tiny_home: Path, tmp_path: Path) -> None:
    for served in start(trained, serving=tmp_path, overrides=("serving.requests_per_minute=3",)):
        with served.client() as client:
            answers = [client.get("/v1/me") for _ in range(5)]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
            assert int(answers[-1].headers["retry-after"]) >= 1
            assert client.get("/health").status_code == 200


def test_other_names_and_other_sites_are_refused(served: Running) -> None:
    with served.client() as client:
        assert client.get("/v1/me", headers={"Host": "evil.example"}).status_code == 421  # DNS rebinding
        assert client.get("/v1/me", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200  # a link to the page


def test_the_page_lets_nothing_in(served: Running) -> None:
    with served.client() as client:
        page = client.get("/")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert client.get("/page/app.js").headers["content-security-policy"] == page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert client.get("/page/../app.py").status_code == 404
        assert client.get("/page/%2e%2e/app.py").status_code == 404


def test_a_damaged_key_file_shuts_the_server_and_says_nothing_of_it(
    trained: Path, tiny_home: Path, tmp_path: Path
) -> None:
    for served in start(trained, serving=tmp_path):
        _, secret = served.service.keys.create("ann", {"*": "admin"})
        (tmp_path / "keys.json").write_text("{}", encoding="utf-8")
        with served.client(secret) as client:
            answer = client.get("/v1/me")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shut")
        assert str(tmp_path) not in answer.text


@pytest.mark.parametrize("content", [None, '{"version": 1, "keys": []}', ""], ids=["lost", "no keys", "empty"])
def test_a_server_that_had_keys_does_not_start_without_them(
    trained: Path, tiny_home: Path, tmp_path: Path, content: str | None
) -> None:
    KeyStore(tmp_path).create("ann", {"*": "admin"})
    if content is None:
        (tmp_path / "keys.json").unlink()
    else:
        (tmp_path / "keys.json").write_text(content, encoding="utf-8")
    with pytest.raises(KeyFileError, match=r"keys\.json .* workbench keys forget"):
        next(start(trained, serving=tmp_path))
    KeyStore(tmp_path).forget()
    for served in start(trained, serving=tmp_path):
        with served.client() as client:
            assert client.get("/v1/me").status_code == 200
