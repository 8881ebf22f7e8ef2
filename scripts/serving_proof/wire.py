"""HTTP/1.1 over bare asyncio streams: a thousand connections must not cost the measuring side what they measure."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any


class CutShortError(ConnectionError):
    """An answer that had begun was not ended."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: its status, whole body, and seconds until its head and until its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    head_seconds: float
    seconds: float


class Connection:
    """One kept-alive connection to the server; it is opened again when the server closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, path: str, body: dict[str, Any]) -> Reply:
        """Post JSON and read the whole answer. Raises OSError, asyncio.IncompleteReadError: it was cut."""
        await self.send(path, body)
        return await self.read()

    async def send(self, path: str, body: dict[str, Any]) -> None:
        """Post JSON; the answer is left to be read."""
        if self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        self._started = time.perf_counter()
        await self._writer.drain()

    async def read(self) -> Reply:
        """Read one whole answer."""
        assert self._reader is not None
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        until_head = time.perf_counter() - self._started
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        try:
            if "content-length" in headers:
                body = await self._reader.readexactly(int(headers["content-length"]))
            else:
                body = await self._read_chunks()
        except (OSError, asyncio.IncompleteReadError) as error:
            raise CutShortError(f"an answer with status {first.split()[1]} ended before its end") from error
        if headers.get("connection") == "close":
            self.close()
        return Reply(int(first.split()[1]), headers, body, until_head, time.perf_counter() - self._started)

    async def _read_chunks(self) -> bytes:
        assert self._reader is not None
        parts = []
        while size := int((await self._reader.readuntil(b"\r\n")).strip(), 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(parts)

    def close(self) -> None:
        """Hang up, whatever is under way."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = self._reader = None
