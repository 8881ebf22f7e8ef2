"""`POST /v1/chat/completions`: a plan, an answer, where it comes from; whole or piece by piece."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from workbench.access import Role
from workbench.answering import ChatQuestion, Plan
from workbench.errors import ConfigError
from workbench.prompting import read_citations
from workbench.serving.faults import tell
from workbench.serving.pending import Pending, begin, whole_or_gone
from workbench.serving.recording import Told, record_chat
from workbench.serving.service import Service, grant_of, scope_of, service_of
from workbench.serving.sources import list_sources, write_sources
from workbench.serving.wire import AnswerMessage, ChatAnswer, ChatRequest, Choice, ChosenRoute, Source, Timing, Usage
from workbench.types import Generation, Message, Sampling, StopReason

router = APIRouter()
DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class _Chat:
    """One request on its way."""

    service: Service
    body: ChatRequest
    plan: Plan
    pending: Pending | None  # None: the answer is known without the engine
    started: float  # time.monotonic()
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def timing(self) -> Timing:
        first = None if self.pending is None else self.pending.first_seconds
        waited = self.plan.retrieval_seconds
        return Timing(
            retrieval_seconds=round(waited, 4),
            first_token_seconds=None if first is None else round(first + waited, 4),
            seconds=round(time.monotonic() - self.started, 4),
        )

    def sources(self, text: str) -> list[Source]:
        if self.plan.collection is None:
            return []
        cited = {citation.number for citation in read_citations(text, self.plan.prompt.hits)}
        return list_sources(self.plan.prompt.hits, self.plan.collection, cited=cited)

    def closing(self, text: str) -> dict[str, Any]:
        """Return what an answer has beside its words."""
        route = self.plan.route
        told: dict[str, Any] = {
            "sources": [source.model_dump() for source in self.sources(text)],
            "timing": self.timing().model_dump(),
        }
        return told if route is None else told | {"route": {"arm": route.arm, "why": route.why}}


@router.post("/v1/chat/completions", response_model=ChatAnswer, tags=["chat"])
async def complete_chat(body: ChatRequest, request: Request) -> Response:
    """Answer a conversation with the base, an adapter or an arm, from passages of a collection where that is asked."""
    service, grant = service_of(request), grant_of(request)
    started, deadline = time.monotonic(), service.deadline()
    asked = ChatQuestion(
        model=body.model,
        messages=tuple(Message(_role(message.role), message.text) for message in body.messages),
        rag=body.rag,
        collection=body.rag_collection,
        depth=body.rag_depth,
        threshold=body.rag_threshold,
        scope=scope_of(grant, body.rag_filter),
        as_measured=not body.temperature and body.max_tokens is None and body.max_completion_tokens is None,
    )
    collection = service.answering.collection_of(asked)
    if collection is not None:
        grant.require(Role.READ, collection)
    request.state.audited = {"collection": collection, "words": asked.messages[-1].content}
    plan = await service.search(partial(service.answering.plan, asked), deadline=deadline)
    request.state.audited |= {"n_passages": len(plan.prompt.hits)}
    pending = None
    if plan.done is None:
        pending = begin(
            service.engine,
            plan.prompt,
            adapter=plan.adapter,
            sampling=_sampling(body, plan, most=service.config.max_new_tokens),
            deadline=deadline,
        )
    chat = _Chat(service, body, plan, pending, started)
    told = Told(service, chat.id, grant.name, asked, plan, chat.timing)
    if body.stream:
        return StreamingResponse(_stream(chat, told), media_type="text/event-stream")
    return await _whole(chat, told, request)


async def _whole(chat: _Chat, told: Told, request: Request) -> Response:
    try:
        generation = chat.plan.done or await whole_or_gone(_some(chat.pending), request)
    except Exception as error:
        record_chat(told, None, error)
        raise
    record_chat(told, generation, None)
    text = generation.text
    if chat.body.rag_sources_in_text:
        text += write_sources(chat.sources(text))
    closing = chat.closing(generation.text)
    answer = ChatAnswer(
        id=chat.id,
        created=chat.created,
        model=chat.body.model,
        choices=[Choice(message=AnswerMessage(content=text), finish_reason=_finish(generation))],
        usage=_usage(generation, chat.plan),
        system_fingerprint=chat.service.bench.parts.generator_files.fingerprint[:12],
        sources=closing["sources"],
        route=ChosenRoute(**closing["route"]) if "route" in closing else None,
        timing=closing["timing"],
    )
    return JSONResponse(answer.model_dump(exclude_none=False))


async def _stream(chat: _Chat, told: Told) -> AsyncIterator[bytes]:
    generation: Generation | None = None
    fault: Exception | None = None
    try:
        yield _chunk(chat, {"role": "assistant", "content": ""})
        if chat.plan.done is not None:
            generation = chat.plan.done
            yield _chunk(chat, {"content": generation.text})
        else:
            async with aclosing(_some(chat.pending).events()) as events:
                async for event in events:
                    if isinstance(event, Generation):
                        generation = event
                    else:
                        yield _chunk(chat, {"content": event.text})
            assert generation is not None
        if chat.body.rag_sources_in_text:
            yield _chunk(chat, {"content": write_sources(chat.sources(generation.text))})
        closing = chat.closing(generation.text)
        yield _chunk(chat, {}, finish=_finish(generation), **closing)
        options = chat.body.stream_options
        if options is not None and options.include_sources:
            yield _event(_head(chat) | {"choices": []} | closing)
        if options is not None and options.include_usage:
            yield _event(_head(chat) | {"choices": [], "usage": _usage(generation, chat.plan).model_dump()})
        yield DONE
    except Exception as error:
        fault = error
        yield _event(tell(error)[1])  # and no [DONE]: a client sees that this is not the end
    finally:
        record_chat(told, generation, fault)


def _chunk(chat: _Chat, delta: dict[str, str], *, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return _event(_head(chat) | {"choices": [choice]} | more)


def _head(chat: _Chat) -> dict[str, Any]:
    return {
        "id": chat.id,
        "object": "chat.completion.chunk",
        "created": chat.created,
        "model": chat.body.model,
        "system_fingerprint": chat.service.bench.parts.generator_files.fingerprint[:12],
    }


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


def _sampling(body: ChatRequest, plan: Plan, *, most: int) -> Sampling:
    wanted = body.max_completion_tokens or body.max_tokens or plan.max_new_tokens
    if wanted > most:
        raise ConfigError(f"max_tokens is {wanted}, but this server gives {most} at most (serving.max_new_tokens)")
    return Sampling(
        max_new_tokens=wanted,
        temperature=body.temperature or 0.0,
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=body.seed,
        stop=tuple(body.stop or ()),
        one_line=plan.one_line,
    )


def _usage(generation: Generation, plan: Plan) -> Usage:
    n_prompt = generation.prompt_tokens or plan.prompt.token_count
    return Usage(
        prompt_tokens=n_prompt,
        completion_tokens=generation.new_tokens,
        total_tokens=n_prompt + generation.new_tokens,
    )


def _finish(generation: Generation) -> Any:
    return "length" if generation.stop_reason is StopReason.LENGTH else "stop"


def _role(role: str) -> str:
    return "system" if role == "developer" else role


def _some(pending: Pending | None) -> Pending:
    assert pending is not None
    return pending
