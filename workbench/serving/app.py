"""The application: routes behind the door. Everything that answers is put together here, and nothing is decided."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from workbench.access import Grant
from workbench.errors import WorkbenchError
from workbench.serving import chat, collections, documents, feedback, keys, models, pages, runs, training
from workbench.serving.door import Door
from workbench.serving.faults import answer_fault, answer_invalid
from workbench.serving.service import Service

ABOUT = "Base model, RAG, LoRA or both, from your own collections. OpenAI's clients work; see docs/API.md for the rest."
FAULT: dict[str, Any] = {
    "description": "what is wrong",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {
                    "error": {
                        "type": "object",
                        "required": ["message", "type", "code", "param"],
                        "properties": {
                            "message": {"type": "string"},
                            "type": {"type": "string"},
                            "code": {"type": ["string", "null"]},
                            "param": {"type": ["string", "null"]},
                        },
                    }
                },
            }
        }
    },
}
FAULTS: dict[int | str, dict[str, Any]] = {"4XX": FAULT, "5XX": FAULT}


def build_app(service: Service, *, find: Callable[[str | None], Grant], hosts: frozenset[str] | None) -> FastAPI:
    """Return the routes over a service; `guard` puts the door before them.

    Args:
        find: the key as sent (None: none was) → whose it is. Raises AccessError.
        hosts: the names this server answers to; None: any.
    """
    app = FastAPI(
        title="workbench",
        summary=ABOUT,
        version=version("workbench"),
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        responses=FAULTS,
        redirect_slashes=False,
    )
    app.state.service, app.state.draining = service, False
    for part in (chat, collections, documents, feedback, keys, models, pages, runs, training):
        app.include_router(part.router)
    app.mount("/page", pages.PageFiles())
    for kind in (WorkbenchError, OSError, HTTPException):
        app.add_exception_handler(kind, answer_fault)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(Exception, answer_fault)
    app.add_middleware(_door, service=service, find=find, hosts=hosts)
    return app


def _door(
    app: ASGIApp, *, service: Service, find: Callable[[str | None], Grant], hosts: frozenset[str] | None
) -> Door:
    return Door(
        app,
        find=find,
        rates=service.rates,
        admission=service.admission,
        told=service,
        max_body_bytes=service.config.max_body_bytes,
        max_file_bytes=service.config.max_file_bytes,
        hosts=hosts,
    )
