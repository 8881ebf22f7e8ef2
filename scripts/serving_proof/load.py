"""More than a server takes on: many connections ask and ask again; some hang up. Counts what came of it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from serving_proof.wire import Connection, Reply

CHAT = "/v1/chat/completions"


@dataclass(slots=True)
class Outcome:
    """What the clients saw. Seconds of refusals run until their head."""

    statuses: Counter[str] = field(default_factory=Counter)
    refusal_seconds: list[float] = field(default_factory=list)
    answer_seconds: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float | None:
        """Seconds below which that share of the refusals came."""
        ordered = sorted(self.refusal_seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


async def press(
    host: str,
    port: int,
    bodies: Callable[[random.Random], dict[str, Any]],
    outcome: Outcome,
    *,
    connections: int,
    seconds: float,
    seed: int,
) -> None:
    """Ask over `connections` at once for `seconds`; who is refused comes again a little later than he was told to.

    What came of it is counted in `outcome` while it goes on.
    """
    until = time.monotonic() + seconds

    async def one(number: int) -> None:
        draw = random.Random(seed * 100_003 + number)
        connection = Connection(host, port)
        await asyncio.sleep(draw.random() * min(10.0, seconds / 4))  # people do not come all in one millisecond
        while time.monotonic() < until:
            try:
                reply = await connection.ask(CHAT, bodies(draw))
            except (OSError, asyncio.IncompleteReadError) as error:
                outcome.statuses[type(error).__name__] += 1
                connection.close()
                await asyncio.sleep(1.0)
                continue
            _count(outcome, reply)
            if reply.status == 429:
                await asyncio.sleep(float(reply.headers["retry-after"]) * (1 + draw.random()))
        connection.close()

    await asyncio.gather(*(one(number) for number in range(connections)))


async def hang_up(
    host: str, port: int, bodies: Callable[[random.Random], dict[str, Any]], *, times: int, at_once: int, seed: int
) -> int:
    """Ask `times`, and hang up at a moment drawn at random, before, in or after the answer; return how many hung up."""
    left = 0

    async def one(number: int) -> None:
        nonlocal left
        draw = random.Random(seed * 100_003 + number)
        connection = Connection(host, port)
        async with turns:
            try:
                await connection.send(CHAT, bodies(draw))
                await asyncio.wait_for(connection.read(), draw.expovariate(1.0))
            except TimeoutError:
                left += 1
            except (OSError, asyncio.IncompleteReadError):
                pass
            connection.close()

    turns = asyncio.Semaphore(at_once)
    await asyncio.gather(*(one(number) for number in range(times)))
    return left


def _count(outcome: Outcome, reply: Reply) -> None:
    if reply.status == 429:
        outcome.statuses["429"] += 1
        outcome.refusal_seconds.append(reply.head_seconds)
        return
    if reply.status != 200:
        outcome.statuses[str(reply.status)] += 1
        return
    whole = _is_whole(reply)
    outcome.statuses["whole" if whole else "cut"] += 1
    outcome.answer_seconds.append(reply.seconds)


def _is_whole(reply: Reply) -> bool:
    """Whether an answer has its end."""
    if reply.headers["content-type"].startswith("text/event-stream"):
        return reply.body.endswith(b"data: [DONE]\n\n")
    return "choices" in json.loads(reply.body)
