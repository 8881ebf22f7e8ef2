"""A server that answers as docs/API.md says, from memory, with the page's files beside it: for tests of the page.

It can be told to fail: `api.fail(...)`, and to be slow: `api.piece_seconds`. Not the server: nothing is generated,
indexed or trained here.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.serving.fake_content import (
    FakeCollection,
    FakeDocument,
    make_collections,
    make_models,
    make_questions,
    make_run,
)

PAGE = Path(__file__).parents[2] / "workbench" / "serving" / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
OPEN = ("/page/", "/health")
CLOSED_BOOK = "I am not sure. Pumps of this kind are often serviced **once a year**, but I cannot check that here."
WITH_PASSAGES = (
    "Change the seal every 900 hours [1].\n\n- Use the *blue* gasket 🟦, **never the grey one** [1]\n"
    "- Tighten the cover bolts to `24 Nm`, crosswise [2]\n\nSee [the manual](https://example.invalid/x) too [9]."
)


def error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    body = {"error": {"message": message, "type": "invalid_request_error", "code": None, "param": None}}
    return JSONResponse(body, status_code=status, headers=headers)


class FakeApi:
    """The state behind the routes; tests read and change it while the page runs."""

    def __init__(self) -> None:
        self.key: str | None = None
        self.roles = {"*": "admin"}
        self.collections = make_collections()
        self.models = make_models()
        self.runs: dict[str, dict[str, Any]] = {"quickstart": make_run()}
        self.questions = make_questions()
        self.keys: list[dict[str, Any]] = [
            {"id": "k1", "name": "ilse", "roles": {"*": "admin"}, "created": 1_780_000_000}
        ]
        self.training: dict[str, Any] = {
            "state": "idle",
            "adapter": None,
            "step": 0,
            "steps": 0,
            "seconds": 0.0,
            "loss": [],
            "held_out": [],
            "message": None,
        }
        self.answers = {False: CLOSED_BOOK, True: WITH_PASSAGES}
        self.piece_seconds = 0.002
        self.index_seconds = 0.0
        self.failures: list[tuple[str, str, Callable[[], Response]]] = []
        self.feedback: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.hung_up = 0  # answers that the page stopped

    def fail(self, method: str, path: str, status: int, message: str, **headers: str) -> None:
        """Answer each `method` on paths that begin with `path` with an error, until `failures` is cleared."""
        dashed = {name.replace("_", "-"): value for name, value in headers.items()}
        self.failures.append((method, path, lambda: error(status, message, dashed)))

    def refusal(self, request: Request) -> Response | None:
        """The error this request gets, if any."""
        path = request.url.path
        for method, prefix, failure in self.failures:
            if request.method == method and path.startswith(prefix):
                return failure()
        is_open = path == "/" or path.startswith(OPEN)
        if self.key is not None and not is_open and request.headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "this server asks for a key")
        return None


def make_app(api: FakeApi) -> ASGIApp:
    """Every route of docs/API.md that the page uses."""

    def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        path = PAGE / name
        if not path.is_file() or path.parent != PAGE:
            return error(404, f"no file {name}")
        headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        return FileResponse(path, media_type=TYPES[path.suffix], headers=headers)

    def health(request: Request) -> Response:
        numbers = {"running": 0, "waiting": 0, "slots": 16}
        return JSONResponse({"status": "ok", "version": "0.1.0", "model": "smollm2-135m-instruct"} | numbers)

    def me(request: Request) -> Response:
        return JSONResponse({"key": "ilse" if api.key else None, "roles": api.roles})

    def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": api.models})

    async def chat(request: Request) -> Response:
        body = await request.json()
        api.asked.append(body)
        model = next(one for one in api.models if one["id"] == body["model"])
        name = body.get("rag_collection") if body.get("rag") else model["collection"]
        collection = api.collections.get(name or "")
        return StreamingResponse(stream_answer(api, body, collection), media_type="text/event-stream")

    def collections(request: Request) -> Response:
        return JSONResponse({"data": [one.row() for one in api.collections.values()]})

    async def create(request: Request) -> Response:
        name = (await request.json())["name"]
        if name in api.collections:
            return error(409, f"there is a collection {name!r} already; drop it first, or take another name")
        api.collections[name] = FakeCollection(name)
        return JSONResponse(api.collections[name].row(), status_code=201)

    def collection(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in api.collections:
            return error(404, f"there is no collection {name!r}")
        if request.method == "DELETE":
            del api.collections[name]
            return JSONResponse({"deleted": name})
        return JSONResponse(api.collections[name].row())

    def documents(request: Request) -> Response:
        held = api.collections[request.path_params["name"]].documents
        ids = [id_ for id_ in sorted(held) if id_ > request.query_params.get("after", "")]
        limit = int(request.query_params.get("limit", 50))
        following = ids[limit - 1] if len(ids) > limit else None
        return JSONResponse({"data": [held[id_].row() for id_ in ids[:limit]], "next": following})

    def document(request: Request) -> Response:
        held = api.collections[request.path_params["name"]].documents
        id_ = request.path_params["id"]
        if id_ not in held:
            return error(404, f"there is no document {id_!r} in the collection; it may have been deleted")
        if request.method == "DELETE":
            del held[id_]
            return JSONResponse({"deleted": id_})
        found = held[id_]
        return JSONResponse({"id": id_, "title": found.title, "text": found.text, "metadata": found.metadata})

    async def search(request: Request) -> Response:
        body = await request.json()
        found = api.collections[request.path_params["name"]].search(body["query"], body.get("depth", 5))
        return JSONResponse({"data": found, "seconds": 0.013})

    async def process(request: Request) -> Response:
        began = time.monotonic()
        if request.headers["content-type"].startswith("application/json"):
            body = await request.json()
            text, title, metadata = body["text"], body.get("title", ""), body.get("metadata", {})
            id_ = title or "pasted-1"
        else:
            async with request.form() as form:
                file: Any = form["file"]
                body = {"collection": form["collection"]}
                id_, metadata = str(file.filename), json.loads(str(form["metadata"]))
                text = (await file.read()).decode("utf-8", "replace")
            title = id_
        while time.monotonic() < began + api.index_seconds:  # read again each time: a test may end the waiting
            await asyncio.sleep(0.01)
        if id_.endswith(".exe"):
            return error(415, f"{id_}: no reader for .exe; there are readers for .md, .txt, .pdf and others")
        held = api.collections[body["collection"]].documents
        replaced = id_ in held
        held[id_] = FakeDocument(id_, title, text, metadata)
        facts = {"collection": body["collection"], "document_id": id_, "characters": len(text), "replaced": replaced}
        return JSONResponse(facts | {"chunks": held[id_].row()["chunks"], "seconds": time.monotonic() - began})

    async def feedback(request: Request) -> Response:
        api.feedback.append(await request.json())
        return JSONResponse({"stored": True})

    def runs(request: Request) -> Response:
        rows = [
            {
                "name": name,
                "modified": 1_780_000_000.0,
                "arms": list(run["summary"]["settings"]),
                "questions": 120,
                "sentence": run["decision"]["recommendation"]["sentence"] if run["decision"] else None,
            }
            for name, run in api.runs.items()
        ]
        return JSONResponse({"data": rows})

    def run(request: Request) -> Response:
        name = request.path_params["name"]
        return JSONResponse(api.runs[name]) if name in api.runs else error(404, f"there is no run {name!r}")

    def questions(request: Request) -> Response:
        offset, limit = int(request.query_params.get("offset", 0)), int(request.query_params.get("limit", 50))
        return JSONResponse({"data": api.questions[offset : offset + limit], "total": len(api.questions)})

    def report(request: Request) -> Response:
        return HTMLResponse("<title>report</title><p>The report.", headers={"Content-Security-Policy": "sandbox"})

    async def training(request: Request) -> Response:
        if request.method == "POST":
            adapter = (await request.json())["adapter"]
            api.training = api.training | {"state": "running", "adapter": adapter, "steps": 120, "seconds": 0.4}
        elif request.method == "DELETE":
            api.training = api.training | {"state": "stopped"}
        return JSONResponse(api.training)

    async def keys(request: Request) -> Response:
        if request.method == "POST":
            made = {"id": f"k{len(api.keys) + 1}", "created": 1_780_000_000} | await request.json()
            api.keys.append(made)
            return JSONResponse(made | {"secret": "wbk_7Qm2x9"}, status_code=201)
        return JSONResponse({"data": api.keys})

    def revoke(request: Request) -> Response:
        api.keys = [key for key in api.keys if key["id"] != request.path_params["id"]]
        return JSONResponse({"deleted": request.path_params["id"]})

    routes = [
        Route("/", page),
        Route("/page/{name}", page),
        Route("/health", health),
        Route("/v1/me", me),
        Route("/v1/models", models),
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/collections", collections),
        Route("/v1/collections", create, methods=["POST"]),
        Route("/v1/collections/{name}", collection, methods=["GET", "DELETE"]),
        Route("/v1/collections/{name}/search", search, methods=["POST"]),
        Route("/v1/collections/{name}/documents", documents),
        Route("/v1/collections/{name}/documents/{id:path}", document, methods=["GET", "DELETE"]),
        Route("/v1/process/document", process, methods=["POST"]),
        Route("/v1/feedback", feedback, methods=["POST"]),
        Route("/v1/runs", runs),
        Route("/v1/runs/{name}", run),
        Route("/v1/runs/{name}/questions", questions),
        Route("/v1/runs/{name}/report", report),
        Route("/v1/training", training, methods=["GET", "POST", "DELETE"]),
        Route("/v1/keys", keys, methods=["GET", "POST"]),
        Route("/v1/keys/{id}", revoke, methods=["DELETE"]),
    ]
    app = Starlette(routes=routes)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        await (api.refusal(Request(scope)) or app)(scope, receive, send)

    return guarded


async def stream_answer(api: FakeApi, body: dict[str, Any], collection: FakeCollection | None) -> AsyncIterator[str]:
    """OpenAI's chunks, and the last one with what the API adds; counts who hangs up before the end."""
    began = time.monotonic()
    head = {"id": f"chatcmpl-{len(api.asked)}", "object": "chat.completion.chunk", "created": 0, "model": body["model"]}
    sources = collection.search("seal gasket bolts torque flute gauge", body.get("rag_depth", 3)) if collection else []
    answer = api.answers[collection is not None]
    done = False
    try:
        yield ": a comment, which is no event\r\n\r\n"
        for word in answer.split(" "):
            await asyncio.sleep(api.piece_seconds)
            piece = {"index": 0, "delta": {"content": word if word is answer else f"{word} "}, "finish_reason": None}
            yield f"data: {json.dumps(head | {'choices': [piece]})}\n\n"
        usage = {
            "prompt_tokens": 412 if sources else 31,
            "completion_tokens": len(answer.split(" ")),
            "total_tokens": 0,
        }
        timing = {"retrieval_seconds": 0.012 if sources else 0.0, "first_token_seconds": 0.02}
        for source in sources:
            source["cited"] = f"[{source['number']}]" in answer
        extra = {"sources": sources, "timing": timing | {"seconds": time.monotonic() - began}}
        if body["model"] == "routed":
            extra["route"] = {"arm": "rag", "why": "the passages found are near the question"}
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        yield f"data: {json.dumps(head | {'choices': [end]} | extra)}\r\n\r\n"
        yield f"data: {json.dumps(head | {'choices': [], 'usage': usage})}\n\n"
        yield "data: [DONE]\n\n"
        done = True
    finally:
        api.hung_up += not done


@contextmanager
def serve(api: FakeApi) -> Iterator[str]:
    """Run the fake on a free port of this machine; yield its origin."""
    config = uvicorn.Config(make_app(api), host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(timeout=10)
