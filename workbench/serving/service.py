"""What the routes share: the parts of one server, and the few steps that several of them take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from starlette.requests import Request

from workbench.access import AuditLog, Grant, KeyStore, RateLimit
from workbench.answering import Answering
from workbench.bench import Bench
from workbench.collection_shelf import CollectionShelf
from workbench.config import ServingConfig
from workbench.contracts import Engine
from workbench.errors import DeadlineError
from workbench.filters import parse_filter
from workbench.monitoring.logs import FeedbackLog, QueryLog
from workbench.serving.admission import Admission
from workbench.serving.metrics import Metrics
from workbench.serving.trainings import Trainings
from workbench.types import EVERYTHING, Scope

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Service:
    """One server's parts. `searching` and `filling` are the threads in which blocking work is done."""

    bench: Bench
    answering: Answering
    engine: Engine
    shelf: CollectionShelf
    keys: KeyStore
    rates: RateLimit
    admission: Admission
    audit: AuditLog
    queries: QueryLog
    feedback: FeedbackLog
    metrics: Metrics
    trainings: Trainings
    searching: Executor
    filling: Executor
    folder: Path

    @property
    def config(self) -> ServingConfig:
        """The server's own knobs."""
        return self.bench.config.serving

    async def search(self, work: Callable[[], T], *, deadline: float | None = None) -> T:
        """Run blocking `work` that reads. Raises DeadlineError when it is not done by `deadline` (time.monotonic())."""
        return await _within(asyncio.get_running_loop().run_in_executor(self.searching, work), deadline, self.config)

    async def fill(self, work: Callable[[], T]) -> T:
        """Run blocking `work` that writes; it is never abandoned half-way."""
        return await asyncio.get_running_loop().run_in_executor(self.filling, work)

    def state_of(self, collection: str | None) -> str | None:
        """Return the fingerprint of a collection as it is now; None: there is none."""
        if collection is None:
            return None
        return self.shelf.facts(collection, scope=EVERYTHING).generation

    def deadline(self) -> float:
        """Return when a request that begins now has to be done, on `time.monotonic()`'s clock."""
        return time.monotonic() + self.config.deadline_seconds


async def _within(future: asyncio.Future[T], deadline: float | None, config: ServingConfig) -> T:
    left = config.deadline_seconds if deadline is None else deadline - time.monotonic()
    try:
        return await asyncio.wait_for(future, max(left, 0.001))
    except TimeoutError as error:
        raise DeadlineError(f"not done within {config.deadline_seconds:g} s (serving.deadline_seconds)") from error


def service_of(request: Request) -> Service:
    """Return the server's parts."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def grant_of(request: Request) -> Grant:
    """Return who asks; the door has looked at the key."""
    grant = request.state.grant
    assert isinstance(grant, Grant)
    return grant


def scope_of(grant: Grant, filter_: str | None) -> Scope:
    """Return what a search may see. Raises ConfigError: a malformed filter."""
    return Scope(None if filter_ is None else parse_filter(filter_), grant.principals)
