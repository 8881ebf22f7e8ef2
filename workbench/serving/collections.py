"""Collections over HTTP: list, make, drop, search, their documents. Who may what is asked before whether it exists."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from workbench.access import Grant, Role
from workbench.collection_shelf import CollectionFacts
from workbench.serving.service import Service, grant_of, scope_of, service_of
from workbench.serving.sources import list_sources
from workbench.serving.wire import Body

NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
router = APIRouter(prefix="/v1/collections", tags=["collections"])


class NewCollection(Body):
    """The name of a new collection: letters, digits, `.`, `_`, `-`."""

    name: str = Field(pattern=NAME, examples=["manuals"])


class SearchRequest(Body):
    """A question to a collection alone."""

    query: str = Field(min_length=1, max_length=20_000, examples=["How do I reset the gauge?"])
    depth: int = Field(5, ge=1, le=100)
    threshold: float | None = None
    filter: str | None = Field(None, max_length=2000, description="on metadata, such as year >= 2020")


@router.get("")
async def list_collections(request: Request) -> dict[str, Any]:
    """List the collections that the key may read."""
    service, grant = service_of(request), grant_of(request)
    names = grant.readable(service.shelf.names())
    return {"data": await service.search(lambda: [_describe(service, grant, name) for name in names])}


@router.post("")
async def make_collection(body: NewCollection, request: Request) -> dict[str, Any]:
    """Make an empty collection."""
    service, grant = service_of(request), grant_of(request)
    grant.require(Role.ADMIN, body.name)
    request.state.audited = {"collection": body.name}
    await service.fill(partial(service.shelf.create, body.name))
    return await service.search(partial(_describe, service, grant, body.name))


@router.get("/{name}")
async def show_collection(name: str, request: Request) -> dict[str, Any]:
    """Show one collection."""
    service, grant = _reading(request, name)
    return await service.search(partial(_describe, service, grant, name))


@router.delete("/{name}")
async def drop_collection(name: str, request: Request) -> dict[str, Any]:
    """Drop a collection with all it holds."""
    service = _asking(request, name, Role.ADMIN)
    await service.fill(partial(service.shelf.drop, name))
    return {"deleted": name}


@router.get("/{name}/documents")
async def list_documents(
    name: str,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: Annotated[str, Query(max_length=1000)] = "",
) -> dict[str, Any]:
    """List the documents that the key may see, in order of id, a page at a time."""
    service, grant = _reading(request, name)
    scope = scope_of(grant, None)
    page, following = await service.search(
        partial(service.shelf.documents, name, scope=scope, limit=limit, after=after)
    )
    data = [
        {
            "id": listed.facts.id,
            "title": listed.facts.title,
            "characters": listed.n_characters,
            "chunks": listed.n_chunks,
            "metadata": dict(listed.facts.metadata),
        }
        for listed in page
    ]
    return {"data": data, "next": following}


@router.get("/{name}/documents/{id_:path}")
async def show_document(name: str, id_: str, request: Request) -> dict[str, Any]:
    """Show one document with its whole text: the offsets of sources are characters of it."""
    service, grant = _reading(request, name)
    document = await service.search(partial(service.shelf.document, name, id_, scope=scope_of(grant, None)))
    return {
        "id": document.id,
        "title": document.title,
        "text": document.text,
        "metadata": dict(document.metadata),
    }


@router.delete("/{name}/documents/{id_:path}")
async def delete_document(name: str, id_: str, request: Request) -> dict[str, Any]:
    """Delete one document: no answer that begins after this reads it."""
    service = _asking(request, name, Role.WRITE)
    await service.fill(partial(service.shelf.delete, name, id_, scope=scope_of(grant_of(request), None)))
    return {"deleted": id_}


@router.post("/{name}/search")
async def search_collection(name: str, body: SearchRequest, request: Request) -> dict[str, Any]:
    """Find passages; nothing is generated."""
    service, grant = _reading(request, name)
    request.state.audited |= {"words": body.query}
    started = time.perf_counter()
    found = await service.search(
        partial(
            service.shelf.search,
            name,
            body.query,
            k=body.depth,
            scope=scope_of(grant, body.filter),
            threshold=body.threshold,
        )
    )
    request.state.audited |= {"n_passages": len(found.ranking)}
    return {
        "data": list_sources(found.ranking, name),
        "answerable": found.answerable,
        "seconds": round(time.perf_counter() - started, 4),
    }


def _reading(request: Request, name: str) -> tuple[Service, Grant]:
    return _asking(request, name, Role.READ), grant_of(request)


def _asking(request: Request, name: str, role: Role) -> Service:
    grant_of(request).require(role, name)
    request.state.audited = {"collection": name}
    return service_of(request)


def _describe(service: Service, grant: Grant, name: str) -> dict[str, Any]:
    facts: CollectionFacts = service.shelf.facts(name, scope=scope_of(grant, None))
    return {
        "name": facts.name,
        "documents": facts.documents,
        "chunks": facts.chunks,
        "embedder": facts.embedder,
        "generation": facts.generation,
        "role": grant.role(name),
        "origin": "run" if name == service.answering.own_collection else "server",
    }
