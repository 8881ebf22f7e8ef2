"""The server's process: a socket, a thread for uvicorn, signals in the main thread; drained before it ends.

uvicorn runs in a thread, because in the main one it would take the signals and end the process by them: a server that
was told to stop and did so exits with 0.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

import uvicorn

from workbench.bench import Bench
from workbench.errors import ConfigError
from workbench.serving.app import build_app
from workbench.serving.opening import open_service

BACKLOG = 2048
SWITCH_SECONDS = 0.0005  # how long the engine's Python may keep the interpreter from the event loop
LOOK_SECONDS = 0.5


def serve(bench: Bench, *, tell: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; then take nothing new, end what runs within `drain_seconds`, and return.

    Raises:
        ConfigError: the address cannot be listened on; and as `open_service`.
    """
    config = bench.config.serving
    listening = _bind(config.host, config.port)
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with listening, open_service(bench) as service:
            app = build_app(service, hosts=_host_names(config.host))
            settings = uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,  # the audit log has it, and no words
                server_header=False,
                date_header=False,
                lifespan="off",
                ws="none",
                proxy_headers=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=max(1, round(config.drain_seconds)),
                backlog=BACKLOG,
            )
            server = uvicorn.Server(settings)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="http")
            thread.start()
            tell(_greeting(listening, keys=service.keys.any_made))
            while not stop.wait(LOOK_SECONDS) and thread.is_alive():
                pass
            app.state.draining = True
            tell(f"stopping: {service.admission.taken} answers under way may take {config.drain_seconds:g} s")
            server.should_exit = True
            started = time.monotonic()
            thread.join()
            service.engine.close(drain_seconds=max(0.0, config.drain_seconds - (time.monotonic() - started)))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _bind(host: str, port: int) -> socket.socket:
    """Return a bound socket, not listening yet: a port that is taken shows before the model is loaded."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(found[0], found[1], found[2])
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(found[4])
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"cannot listen on serving.host {host!r}, serving.port {port}: {error}; take others: "
            f"--set serving.port=0 (any free port)"
        ) from error
    return bound


def _host_names(host: str) -> frozenset[str] | None:
    """Return the names under which a server on loopback may be asked; None: any, where others reach it with keys."""
    names = {"127.0.0.1", "localhost", "::1"}
    return frozenset(names | {host.lower()}) if host in names or host.startswith("127.") else None


def _greeting(listening: socket.socket, *, keys: bool) -> str:
    host, port = listening.getsockname()[:2]
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"serving on http://{place} ({'with keys' if keys else 'no key needed'}); stop with Ctrl-C"
