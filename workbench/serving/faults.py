"""What goes wrong, as OpenAI's clients read it: a status, a type, a code, one sentence; nothing of our insides.

Only what the project raises on purpose is told. Anything else is logged with its traceback under the id that is told.
"""

from __future__ import annotations

import errno
import logging
import math
import uuid
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from workbench.errors import (
    AccessError,
    AdapterMismatchError,
    AuditLogError,
    BusyError,
    CollectionExistsError,
    DeadlineError,
    GivenUpError,
    KeyFileError,
    MissingCollectionError,
    MissingDocumentError,
    MissingModelError,
    PromptBudgetError,
    QueueFullError,
    ReadOnlyError,
    RemoteEngineError,
    TakenDocumentError,
    UnknownModelError,
    UnreadableDocumentError,
    WorkbenchError,
)

log = logging.getLogger(__name__)
Fault = tuple[int, str, str | None]  # status, type, code

# The first that fits counts.
TOLD: tuple[tuple[type[Exception], Fault], ...] = (
    (AccessError, (403, "permission_error", "not_allowed")),
    (UnknownModelError, (404, "invalid_request_error", "model_not_found")),
    (MissingCollectionError, (404, "invalid_request_error", "collection_not_found")),
    (MissingDocumentError, (404, "invalid_request_error", "document_not_found")),
    (CollectionExistsError, (409, "invalid_request_error", "collection_exists")),
    (ReadOnlyError, (409, "invalid_request_error", "read_only")),
    (TakenDocumentError, (409, "invalid_request_error", "document_taken")),
    (MissingModelError, (409, "invalid_request_error", "model_not_ready")),
    (PromptBudgetError, (400, "invalid_request_error", "context_length_exceeded")),
    (QueueFullError, (429, "rate_limit_error", "queue_full")),
    (DeadlineError, (504, "server_error", "deadline_exceeded")),
    (GivenUpError, (503, "server_error", "given_up")),
    (RemoteEngineError, (502, "server_error", "engine_unreachable")),
    (UnreadableDocumentError, (422, "invalid_request_error", "unreadable_document")),
    (BusyError, (409, "invalid_request_error", "busy")),
    (AdapterMismatchError, (409, "invalid_request_error", "adapter_mismatch")),
    (WorkbenchError, (400, "invalid_request_error", None)),
)
FULL = (507, "server_error", "disk_full")
STATUS_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class RefusedError(WorkbenchError):
    """A request refused by the server itself, with its status."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.retry_after = status, code, param, retry_after


def tell(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return the status, body and headers that answer an error."""
    headers: dict[str, str] = {}
    param = None
    match error:
        case RefusedError():
            fallback = "server_error" if error.status >= 500 else "invalid_request_error"
            fault: Fault = (error.status, STATUS_TYPES.get(error.status, fallback), error.code)
            param = error.param
        case HTTPException():
            fault = (error.status_code, STATUS_TYPES.get(error.status_code, "invalid_request_error"), None)
            headers |= dict(error.headers or {})
            return fault[0], _body(str(error.detail), fault, None), headers
        case KeyFileError() | AuditLogError():  # what they say names files of ours
            log.error("refused everybody: %s", error)
            shut = "this server cannot let anybody in now; its log says why"
            return 503, _body(shut, (503, "server_error", "shut"), None), {}
        case WorkbenchError():
            fault = next(known for kind, known in TOLD if isinstance(error, kind))
        case OSError(errno=errno.ENOSPC):
            fault = FULL
        case _:
            number = uuid.uuid4().hex[:12]
            log.error("fault %s", number, exc_info=error)
            return (
                500,
                _body(f"internal error {number}; the server's log says more", (500, "server_error", None), None),
                {},
            )
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    if fault[0] == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return fault[0], _body(str(error), fault, param), headers


def answer(error: Exception) -> JSONResponse:
    """Return the response that answers an error."""
    status, body, headers = tell(error)
    return JSONResponse(body, status_code=status, headers=headers)


async def answer_fault(_: Request, error: Exception) -> JSONResponse:
    """Answer what a route raised."""
    return answer(error)


async def answer_invalid(_: Request, error: Exception) -> JSONResponse:
    """Answer a body or parameter of the wrong form, with the place of each fault, the first named as `param`."""
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [(".".join(str(part) for part in fault["loc"][1:]) or "body", fault["msg"]) for fault in error.errors()]
    message = "; ".join(f"{place}: {what}" for place, what in faults[:8])
    return answer(RefusedError(400, message, code="invalid_value", param=faults[0][0] if faults else None))


def _body(message: str, fault: Fault, param: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": fault[1], "code": fault[2], "param": param}}
