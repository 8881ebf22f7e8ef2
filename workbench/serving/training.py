"""The trainings of the page: start one, watch its losses, stop it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from workbench.access import Role
from workbench.access.grants import EVERY
from workbench.errors import UnknownModelError
from workbench.serving.service import Service, grant_of, service_of
from workbench.serving.wire import Body

router = APIRouter(prefix="/v1/training", tags=["training"])


class StartTraining(Body):
    """Which adapter of `training.adapters`."""

    adapter: str = Field(min_length=1, max_length=100)


@router.get("")
async def show_training(request: Request) -> dict[str, Any]:
    """Show the training that runs, or ran last, and its losses."""
    return _allowed(request).trainings.status()


@router.post("")
async def start_training(body: StartTraining, request: Request) -> dict[str, Any]:
    """Start an adapter's training, or go on with it."""
    service = _allowed(request)
    adapters = service.bench.config.training.adapters
    if body.adapter not in adapters:
        raise UnknownModelError(f"no adapter {body.adapter!r} in training.adapters; there are: {', '.join(adapters)}")
    service.trainings.start(body.adapter)
    return service.trainings.status()


@router.delete("")
async def stop_training(request: Request) -> dict[str, Any]:
    """Stop the training; what it did is kept."""
    service = _allowed(request)
    service.trainings.stop()
    return service.trainings.status()


def _allowed(request: Request) -> Service:
    grant_of(request).require(Role.ADMIN, EVERY)
    return service_of(request)
