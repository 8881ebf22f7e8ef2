"""One server over the tiny experiment, on a real socket: routes, engine, keys and page as users meet them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser

from tests.conftest import write_experiment
from tests.serving.browsing import open_browser
from tests.serving.fake_api import FakeApi, serve
from workbench.bench import Bench
from workbench.config import load_config
from workbench.serving.app import build_app
from workbench.serving.opening import open_service
from workbench.serving.service import Service

QUEUE = 4
OVERRIDES = (
    "serving.slots=4",
    f"serving.queue={QUEUE}",
    "serving.max_new_tokens=64",
    "serving.query_log=content",
    "serving.requests_per_minute=0",
    "serving.max_body_bytes=100000",
    "serving.max_file_bytes=200000",
)


@dataclass(frozen=True)
class Running:
    """A server on loopback and its insides."""

    service: Service
    url: str
    bench: Bench

    def client(self, key: str | None = None, **options: Any) -> httpx.Client:
        """A client of it, with a key or without."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False, **options)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, built_home: Path) -> Path:
    """The folder of the tiny experiment, evaluated once; `experiment.yaml` and `run` lie in it. Only read it."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        Bench(load_config(write_experiment(folder)), out=folder / "runs" / "tiny").run()
    return folder


def start(folder: Path, *, serving: Path, overrides: tuple[str, ...] = ()) -> Iterator[Running]:
    """Serve the experiment of `folder`, with what the server keeps in `serving`."""
    config = load_config(folder / "experiment.yaml", overrides=[*OVERRIDES, f"serving.folder={serving}", *overrides])
    bench = Bench(config, out=folder / "runs" / "tiny")
    with open_service(bench) as service:
        app = build_app(service, hosts=frozenset({"127.0.0.1", "localhost"}))
        server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield Running(service, f"http://127.0.0.1:{port}", bench)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def served(trained: Path, built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server without keys; the tests of one file share it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        yield from start(trained, serving=tmp_path_factory.mktemp("serving"))


@pytest.fixture
def client(served: Running) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of one file; they are skipped where there is none."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def api() -> FakeApi:
    """The state behind the fake server."""
    return FakeApi()


@pytest.fixture
def origin(api: FakeApi) -> Iterator[str]:
    """The address of the fake server, for tests of the page alone."""
    with serve(api) as address:
        yield address
