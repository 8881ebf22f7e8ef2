"""Every request passes here first: size, key, rate, then the routes. What is not public needs a key, known or not.

An ASGI layer of its own, not a FastAPI dependency: nothing of a body is read before the key was looked at, and a route
that forgot to ask for a key is closed, not open. Roles are the routes' own affair.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.access import AuditLog, Event, Grant, KeyStore, RateLimit, is_loopback
from workbench.errors import AccessError, AuditLogError, KeyFileError, QueueFullError
from workbench.serving.admission import Admission
from workbench.serving.faults import RefusedError, answer
from workbench.serving.metrics import Metrics

PUBLIC = ("/", "/health", "/openapi.json")
PUBLIC_BELOW = "/page/"
CHAT, UPLOAD = "/v1/chat/completions", "/v1/process/document"
BODY_SECONDS = 60.0  # for a whole body to arrive

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Door:
    """Wraps the application. `scope["state"]["grant"]` tells the routes who asks; they leave `audited` there."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyStore,
        rates: RateLimit,
        admission: Admission,
        audit: AuditLog,
        metrics: Metrics,
        max_body_bytes: int,
        max_file_bytes: int,
        hosts: frozenset[str] | None,
    ) -> None:
        """Take the application.

        Args:
            keys: who is let in.
            rates: how often a key may ask.
            admission: how many chats are taken on.
            audit: where every request is recorded that is not public.
            metrics: where every request is counted.
            max_body_bytes: of a JSON body.
            max_file_bytes: of an uploaded form.
            hosts: the names this server answers to; None: any. Where no key is needed, a page of another site could
                otherwise reach a server on loopback by giving it a name of its own (DNS rebinding).
        """
        self._app, self._keys, self._rates, self._admission = app, keys, rates, admission
        self._audit, self._metrics = audit, metrics
        self._max_body_bytes, self._max_file_bytes, self._hosts = max_body_bytes, max_file_bytes, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here; record it either way."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, answering = time.monotonic(), _Answering(send)
        try:
            await self._pass(scope, receive, answering)
        finally:
            self._record(scope, answering.status, time.monotonic() - started)

    async def _pass(self, scope: Scope, receive: Receive, send: _Answering) -> None:
        path, headers = scope["path"], {name.lower(): value for name, value in scope["headers"]}
        state = scope.setdefault("state", {})
        state["grant"], state["audited"] = None, {}
        try:
            self._check_host(headers)
            limit = self._max_file_bytes if path == UPLOAD else self._max_body_bytes
            _check_length(headers, limit)
            if not is_public(path):
                state["grant"] = self._look_at(scope, headers)
                self._audit.check()
            place = self._admission.place() if path == CHAT and scope["method"] == "POST" else nullcontext()
            with place:
                await self._app(scope, _Capped(receive, limit), send)
        except (RefusedError, AccessError, AuditLogError, QueueFullError) as error:
            if send.status is not None:
                raise
            await answer(error)(scope, receive, send)

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0].strip("[]").lower()
        if self._hosts is not None and host not in self._hosts:
            raise RefusedError(421, f"this server does not answer to the host name {host[:80]!r}", code="wrong_host")

    def _look_at(self, scope: Scope, headers: dict[bytes, bytes]) -> Grant:
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise RefusedError(403, "a page of another site may not use this server", code="cross_site")
        sent, client = headers.get(b"authorization"), scope.get("client")
        from_here = client is not None and is_loopback(client[0])
        try:
            grant = self._keys.admit(None if sent is None else sent.decode("latin-1"), from_here=from_here)
        except KeyFileError:
            raise
        except AccessError as error:
            raise RefusedError(401, str(error), code="invalid_api_key") from error
        wait = self._rates.take(grant.key_id or "")
        if wait > 0:
            raise RefusedError(429, "this key asks too often", code="rate_limit_exceeded", retry_after=wait)
        return grant

    def _record(self, scope: Scope, status: int | None, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")  # as declared: bounded in number, and no words in it
        told = str(status or 499)  # nothing was sent: whoever asked went away
        self._metrics.requests.labels(scope["method"], route, told).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if is_public(scope["path"]):
            return
        grant: Grant | None = scope["state"]["grant"]
        audited = {"key_id": None, "key": None} if grant is None else {"key_id": grant.key_id, "key": grant.name}
        event = Event(
            route=f"{scope['method']} {route}",
            status=int(told),
            seconds=round(seconds, 4),
            **audited,
            **scope["state"]["audited"],
        )
        self._audit.record(event)


def is_public(path: str) -> bool:
    """Say whether a path is answered without a key; all others need one, whether there is such a route or not."""
    return path in PUBLIC or path.startswith(PUBLIC_BELOW)


class _Capped:
    """A body that may not grow over its cap, nor trickle for ever, whatever its headers promised."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._n_bytes, self._whole = 0, False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()  # waits for the client to go away
        try:
            message = await asyncio.wait_for(self._receive(), BODY_SECONDS)
        except TimeoutError as error:
            raise HTTPException(408, f"the body did not arrive within {BODY_SECONDS:.0f} s") from error
        self._n_bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._n_bytes > self._limit:  # FastAPI, which reads bodies, lets no other class through
            raise HTTPException(413, str(_too_large(self._n_bytes, self._limit)))
        return message


def _check_length(headers: dict[bytes, bytes], limit: int) -> None:
    told = headers.get(b"content-length")
    if told is not None and told.isdigit() and int(told) > limit:
        raise _too_large(int(told), limit)


def _too_large(n_bytes: int, limit: int) -> RefusedError:
    return RefusedError(413, f"the body has {n_bytes} bytes or more, but {limit} are taken at most", code="too_large")


class _Answering:
    """Sends, with the headers of every answer; knows the status once an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None  # None: nothing was sent yet

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = {name for name, _ in message.get("headers", [])}
            added = [pair for pair in HEADERS if pair[0] not in own]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await self._send(message)
