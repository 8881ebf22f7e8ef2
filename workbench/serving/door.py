"""Every request passes here first: size, key, rate, then the routes. What is not public needs a key, known or not.

An ASGI layer of its own, not a FastAPI dependency: nothing of a body is read before the key was looked at, and a route
that forgot to ask for a key is closed, not open. Roles are the routes' own affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from workbench.access import Grant, RateLimiter

from workbench.errors import AccessError
from workbench.serving.admission import Admission
from workbench.serving.faults import RefusedError, answer

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
    """Wraps the application. `scope["state"]["grant"]` tells the routes who asks."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        find: Callable[[str | None], Grant],
        rates: RateLimiter,
        admission: Admission,
        max_body_bytes: int,
        max_file_bytes: int,
        hosts: frozenset[str] | None,
    ) -> None:
        """Take the application.

        Args:
            find: the key as sent (None: none was) → whose it is. Raises AccessError.
            rates: how often a key may ask.
            admission: how many chats are taken on.
            max_body_bytes: of a JSON body.
            max_file_bytes: of an uploaded form.
            hosts: the names this server answers to; None: any. Where no key is needed, a page of another site could
                otherwise reach a server on loopback by giving it a name of its own (DNS rebinding).
        """
        self._app = app
        self._find, self._rates, self._admission = find, rates, admission
        self._max_body_bytes, self._max_file_bytes, self._hosts = max_body_bytes, max_file_bytes, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, headers = scope["path"], {name.lower(): value for name, value in scope["headers"]}
        send = _with_headers(send)
        try:
            self._check_host(headers)
            limit = self._max_file_bytes if path == UPLOAD else self._max_body_bytes
            _check_length(headers, limit)
            if path not in PUBLIC and not path.startswith(PUBLIC_BELOW):
                grant = self._look_at(headers)
                scope.setdefault("state", {})["grant"] = grant
            place = self._admission.place() if path == CHAT and scope["method"] == "POST" else nullcontext()
            with place:
                await self._app(scope, _Capped(receive, limit), send)
        except (RefusedError, AccessError) as error:
            await answer(error)(scope, receive, send)
        except Exception as error:  # from `place`: a full queue; the application answers its own
            if _has_started(send):
                raise
            await answer(error)(scope, receive, send)

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0].strip("[]").lower()
        if self._hosts is not None and host not in self._hosts:
            raise RefusedError(421, f"this server does not answer to the host name {host[:80]!r}", code="wrong_host")

    def _look_at(self, headers: dict[bytes, bytes]) -> Grant:
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise RefusedError(403, "a page of another site may not use this server", code="cross_site")
        sent = headers.get(b"authorization", b"").decode("latin-1")
        scheme, _, secret = sent.partition(" ")
        if sent and scheme.lower() != "bearer":
            raise RefusedError(401, "send the key as `Authorization: Bearer KEY`", code="invalid_api_key")
        try:
            grant = self._find(secret.strip() or None)
        except AccessError as error:
            raise RefusedError(401, str(error), code="invalid_api_key") from error
        wait = self._rates.take(grant.name)
        if wait > 0:
            raise RefusedError(429, "this key asks too often", code="rate_limit_exceeded", retry_after=wait)
        return grant


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
            raise RefusedError(408, f"the body did not arrive within {BODY_SECONDS:.0f} s") from error
        self._n_bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._n_bytes > self._limit:
            raise _too_large(self._n_bytes, self._limit)
        return message


def _check_length(headers: dict[bytes, bytes], limit: int) -> None:
    told = headers.get(b"content-length")
    if told is not None and told.isdigit() and int(told) > limit:
        raise _too_large(int(told), limit)


def _too_large(n_bytes: int, limit: int) -> RefusedError:
    return RefusedError(413, f"the body has {n_bytes} bytes or more, but {limit} are taken at most", code="too_large")


class _Sender:
    """Sends, with the headers of every answer; knows whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            own = {name for name, _ in message.get("headers", [])}
            added = [pair for pair in HEADERS if pair[0] not in own]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await self._send(message)


def _with_headers(send: Send) -> _Sender:
    return _Sender(send)


def _has_started(send: Send) -> bool:
    return isinstance(send, _Sender) and send.started
