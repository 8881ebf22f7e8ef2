"""An answer under way, from the engine's thread to the event loop: pieces as they come, or the whole of it.

Whoever waits gives the answer up by leaving, so that nothing is generated for nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.requests import Request

from workbench.contracts import Engine, Ticket
from workbench.errors import GivenUpError
from workbench.types import Event, Failure, Generation, Piece, Prompt, Sampling


class Pending:
    """One answer. Iterate it once: pieces, then the generation; a failure is raised."""

    def __init__(self, submit: Callable[[Callable[[Event], None]], Ticket]) -> None:
        """Begin an answer by `submit`, which gets the function to call with each event, from any thread."""
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()  # bounded by the answer's own length
        self._started = time.monotonic()
        self.first_seconds: float | None = None
        self._ticket = submit(self._put)

    def _put(self, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def events(self) -> AsyncGenerator[Piece | Generation, None]:
        """Yield pieces, then the generation. Raises what the answer failed with; left early, the answer is given up."""
        try:
            while True:
                event = await self._events.get()
                if isinstance(event, Failure):
                    raise event.error
                if self.first_seconds is None and (isinstance(event, Generation) or event.text):
                    self.first_seconds = time.monotonic() - self._started
                yield event
                if isinstance(event, Generation):
                    return
        finally:
            self._ticket.cancel()

    async def whole(self) -> Generation:
        """Wait for the generation. Raises what the answer failed with."""
        async with aclosing(self.events()) as events:
            async for event in events:
                if isinstance(event, Generation):
                    return event
        raise AssertionError("an answer ended without a generation")


def begin(engine: Engine, prompt: Prompt, *, adapter: str | None, sampling: Sampling, deadline: float) -> Pending:
    """Submit a prompt and return its answer, pending. Raises as `Engine.submit`."""
    return Pending(
        lambda tell: engine.submit(prompt, adapter=adapter, sampling=sampling, deadline=deadline, on_event=tell)
    )


async def whole_or_gone(pending: Pending, request: Request) -> Generation:
    """Wait for the generation, and give it up when the client goes away.

    Raises:
        GivenUpError: the client went away.
    """
    answer, gone = asyncio.create_task(pending.whole()), asyncio.create_task(wait_until_gone(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise GivenUpError("the client went away")
    finally:
        for task in (answer, gone):
            task.cancel()
        await asyncio.gather(answer, gone, return_exceptions=True)


async def wait_until_gone(request: Request) -> None:
    """Return when the client has closed its connection. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
