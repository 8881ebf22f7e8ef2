"""The application: routes behind the door. Everything that answers is put together here, and nothing is decided."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

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


def build_app(service: Service, *, hosts: frozenset[str] | None) -> FastAPI:
    """Return the application over a service. `hosts`: the names it answers to; None: any."""
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
    for kind in (WorkbenchError, OSError, HTTPException, Exception):
        app.add_exception_handler(kind, answer_fault)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_middleware(
        Door,
        keys=service.keys,
        rates=service.rates,
        admission=service.admission,
        audit=service.audit,
        metrics=service.metrics,
        max_body_bytes=service.config.max_body_bytes,
        max_file_bytes=service.config.max_file_bytes,
        hosts=hosts,
    )
    return app
