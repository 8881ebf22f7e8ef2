"""What is served and to whom: the models, the caller's own roles, embeddings, the server's health and its metrics."""

from __future__ import annotations

import base64
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BeforeValidator, Field
from starlette.responses import JSONResponse, PlainTextResponse, Response

from workbench.errors import UnknownModelError
from workbench.serving.service import grant_of, service_of
from workbench.serving.wire import Body

router = APIRouter()
MAX_INPUTS = 256


@router.get("/health", tags=["server"])
async def tell_health(request: Request) -> dict[str, Any]:
    """Say that the server is there, and how busy it is."""
    service = service_of(request)
    load = service.engine.load
    return {
        "status": "draining" if request.app.state.draining else "ok",
        "version": version("workbench"),
        "model": service.bench.config.models.generator,
        "running": load.running,
        "waiting": load.waiting,
        "slots": load.slots,
    }


@router.get("/metrics", tags=["server"], response_class=PlainTextResponse)
async def tell_metrics(request: Request) -> Response:
    """Return Prometheus' text format."""
    return PlainTextResponse(service_of(request).metrics.text(), media_type="text/plain; version=0.0.4")


@router.get("/v1/me", tags=["server"])
async def tell_me(request: Request) -> dict[str, Any]:
    """Say whose key this is and what it may do."""
    grant = grant_of(request)
    return {"key": grant.name or None, "roles": dict(grant.roles)}


@router.get("/v1/models", tags=["models"])
async def list_models(request: Request) -> dict[str, Any]:
    """List the base, the adapters and the arms of the experiment."""
    service = service_of(request)
    return {
        "object": "list",
        "data": [
            {
                "id": model.name,
                "object": "model",
                "created": 0,
                "owned_by": "workbench",
                "kind": model.kind,
                "strategy": model.strategy,
                "adapter": model.adapter,
                "ready": model.ready,
                "collection": model.collection,
            }
            for model in service.answering.models
        ],
    }


@router.get("/v1/models/{name}", tags=["models"])
async def show_model(name: str, request: Request) -> dict[str, Any]:
    """Show one model."""
    models: list[dict[str, Any]] = (await list_models(request))["data"]
    for model in models:
        if model["id"] == name:
            return model
    raise UnknownModelError(f"no model {name[:80]!r} is served")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class EmbeddingsRequest(Body):
    """OpenAI's request."""

    model: str = Field(max_length=200)
    input: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=50_000)]],
        BeforeValidator(_as_list),
        Field(min_length=1, max_length=MAX_INPUTS),
    ]
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: None = None
    user: str | None = None


@router.post("/v1/embeddings", tags=["models"])
async def embed(body: EmbeddingsRequest, request: Request) -> Response:
    """Embed texts as questions are: unit vectors of the experiment's embedder."""
    service = service_of(request)
    embedder, name = service.bench.parts.embedder, service.bench.config.models.embedder
    if body.model != name:
        raise UnknownModelError(f"no embedder {body.model[:80]!r} is served; there is: {name}")
    vectors = await service.search(partial(embedder.embed_questions, body.input))
    n_tokens = sum(len(offsets) for offsets in embedder.token_offsets(body.input))
    as_text = body.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(row.tobytes()).decode() if as_text else row.tolist(),
        }
        for index, row in enumerate(vectors.astype("<f4"))
    ]
    usage = {"prompt_tokens": n_tokens, "total_tokens": n_tokens}
    return JSONResponse({"object": "list", "model": name, "data": data, "usage": usage})
