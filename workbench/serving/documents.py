"""`POST /v1/process/document`: a text or a file becomes searchable: parsed, cut, embedded, stored, in one answer."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from workbench.access import Role
from workbench.collection_shelf import Added
from workbench.errors import CollectionExistsError
from workbench.serving.faults import RefusedError
from workbench.serving.service import Service, grant_of, scope_of, service_of
from workbench.serving.wire import Body

Given = TypeVar("Given", bound=Body)
router = APIRouter(tags=["collections"])
MAX_FIELDS, MAX_PART_BYTES = 10, 262_144  # of a form, beside its file
EXAMPLE = {
    "collection": "manuals",
    "text": "Hold the knob for five seconds to reset the gauge.",
    "metadata": {"source": "user_manual", "version": "2.1"},
}


class DocumentRequest(Body):
    """A text with what is known of it. The same id, or the same source without an id, replaces what was there."""

    collection: str = Field(max_length=64)
    text: str = Field(min_length=1)
    metadata: dict[str, Any] = Field({}, description="text, numbers, booleans, lists of texts")
    title: str | None = Field(None, max_length=500)
    id: str | None = Field(None, max_length=500)


class _FormFields(Body):
    """A form's fields beside its file."""

    collection: str = Field(max_length=64)
    metadata: dict[str, Any] = Field({})
    title: str | None = Field(None, max_length=500)
    id: str | None = Field(None, max_length=500)


FORM = {
    "type": "object",
    "required": ["collection", "file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "collection": {"type": "string"},
        "metadata": {"type": "string", "description": "a JSON object"},
        "title": {"type": "string"},
        "id": {"type": "string"},
    },
}


@router.post(
    "/v1/process/document",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": DocumentRequest.model_json_schema(), "example": EXAMPLE},
                "multipart/form-data": {"schema": FORM},
            },
        }
    },
)
async def process_document(request: Request) -> dict[str, Any]:
    """Take in a text (JSON) or a file (form); the next request is answered from it."""
    service = service_of(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        added, name = await _take_file(request, service)
    elif kind == "application/json":
        added, name = await _take_text(request, service)
    else:
        raise RefusedError(
            415, f"the body is {kind or 'of no stated type'!r}; send application/json or a form with a file"
        )
    return {"collection": name} | asdict(added)


async def _take_text(request: Request, service: Service) -> tuple[Added, str]:
    body = _validated(DocumentRequest, _json(await request.body(), "body"))
    await _ready(request, service, body.collection)
    return (
        await service.fill(
            partial(
                service.shelf.add_text,
                body.collection,
                body.text,
                scope=scope_of(grant_of(request), None),
                id_=body.id,
                title=body.title,
                metadata=body.metadata,
            )
        ),
        body.collection,
    )


async def _take_file(request: Request, service: Service) -> tuple[Added, str]:
    try:
        form = await request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_PART_BYTES)
    except HTTPException as error:
        raise RefusedError(400, f"the form cannot be read: {error.detail}", code="invalid_form") from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RefusedError(400, "the form has no part `file` with a file name", param="file", code="invalid_form")
        texts = {name: value for name, value in form.multi_items() if name != "file" and isinstance(value, str)}
        given: dict[str, Any] = dict(texts)
        if "metadata" in texts:
            given["metadata"] = _json(texts["metadata"].encode(), "metadata")
        fields = _validated(_FormFields, given)
        await _ready(request, service, fields.collection)
        data = await file.read()
        add = partial(
            service.shelf.add_file,
            fields.collection,
            file.filename or "",
            data,
            scope=scope_of(grant_of(request), None),
            id_=fields.id,
            title=fields.title,
            metadata=fields.metadata,
        )
        return await service.fill(add), fields.collection
    finally:
        await form.close()  # removes what was spooled to disk


async def _ready(request: Request, service: Service, name: str) -> None:
    """See that the caller may write into a collection; make it where it is missing and the caller may do that too."""
    grant = grant_of(request)
    grant.require(Role.WRITE, name)
    request.state.audited = {"collection": name}
    if not service.shelf.exists(name) and grant.allows(Role.ADMIN, name):
        try:
            await service.fill(partial(service.shelf.create, name))
        except CollectionExistsError:
            if not service.shelf.exists(name):  # another spelling, not another request that was faster
                raise


def _json(content: bytes, place: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"{place}: not JSON: {error}", param=place, code="invalid_json") from error


def _validated(kind: type[Given], given: Any) -> Given:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        faults = [(".".join(map(str, fault["loc"])) or "body", fault["msg"]) for fault in error.errors()[:8]]
        message = "; ".join(f"{place}: {what}" for place, what in faults)
        raise RefusedError(400, message, param=faults[0][0], code="invalid_value") from error
