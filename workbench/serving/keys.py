"""Keys over HTTP: list, make, revoke. A secret is told once, in the answer that makes it."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, Field

from workbench.access import KeyFacts, Role
from workbench.access.grants import EVERY
from workbench.serving.service import Service, grant_of, service_of
from workbench.serving.wire import Body

router = APIRouter(prefix="/v1/keys", tags=["keys"])


class NewKey(Body):
    """Who it is for and what it may do; `*` stands for all collections."""

    name: str = Field(min_length=1, max_length=100, examples=["anna"])
    roles: dict[str, Role] = Field(min_length=1, max_length=1000, examples=[{"manuals": "read"}])
    principals: list[str] | None = Field([], max_length=100, description="whose documents it sees; none: every one")
    expires: AwareDatetime | None = None


@router.get("")
async def list_keys(request: Request) -> dict[str, Any]:
    """List the keys, revoked ones too; no secret is kept anywhere."""
    service = _allowed(request)
    return {"data": [_describe(key) for key in await service.search(service.keys.list)]}


@router.post("")
async def make_key(body: NewKey, request: Request) -> dict[str, Any]:
    """Make a key; from the first one on, every request needs one."""
    service = _allowed(request)
    make = partial(service.keys.create, body.name, body.roles, principals=body.principals, expires=body.expires)
    key, secret = await service.fill(make)
    return _describe(key) | {"secret": secret}


@router.delete("/{id_}")
async def revoke_key(id_: str, request: Request) -> dict[str, Any]:
    """Revoke a key: the next request with it is refused."""
    service = _allowed(request)
    await service.fill(partial(service.keys.revoke, id_))
    return {"revoked": id_}


def _allowed(request: Request) -> Service:
    grant_of(request).require(Role.ADMIN, EVERY)
    return service_of(request)


def _describe(key: KeyFacts) -> dict[str, Any]:
    moments = {name: getattr(key, name) for name in ("created", "expires", "revoked")}
    told = key.model_dump(mode="json", exclude={"sha256", *moments})
    return told | {name: None if moment is None else moment.timestamp() for name, moment in moments.items()}
