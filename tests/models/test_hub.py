"""Fetching from a hub, against a small one on this machine: the real client, the real child process."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from workbench.errors import ConfigError, FetchError, MissingModelError
from workbench.models import fetch_model, find_model, list_models
from workbench.models.catalogue import HubSource
from workbench.models.hub import parse_reference

COMMIT = "c0ffee" + "0" * 34
REPOSITORY = "someone/tiny"


class FakeHub(ThreadingHTTPServer):
    """One repository with one branch, `main`, at COMMIT: the three routes the client asks for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _HubRequest)
        self.files = files
        self.asked: list[str] = []


class _HubRequest(BaseHTTPRequestHandler):
    server: FakeHub

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append(path)
        files = self.server.files
        if path in {f"/api/models/{REPOSITORY}/revision/{name}" for name in ("main", COMMIT)}:
            self._answer_json({"id": REPOSITORY, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]})
        elif path == f"/api/models/{REPOSITORY}/tree/{COMMIT}":
            self._answer_json(
                [{"type": "file", "path": name, "size": len(body), "oid": _oid(body)} for name, body in files.items()]
            )
        elif path.removeprefix(f"/{REPOSITORY}/resolve/{COMMIT}/") in files:
            self._answer(files[path.removeprefix(f"/{REPOSITORY}/resolve/{COMMIT}/")])
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer_json(self, value: object) -> None:
        self._answer(json.dumps(value).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{_oid(body)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _oid(body: bytes) -> str:
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()


@pytest.fixture
def hub(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    folder = tiny_home / "models" / "tiny-random-bert"
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "workbench.json"
    }
    files |= {"pytorch_model.bin": b"pickle", "modeling.py": b"raise SystemExit", "onnx/model.onnx": b"x"}
    files["README.md"] = b"---\nlicense: apache-2.0\n---\n"
    server = FakeHub(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_branch_is_fetched_at_its_commit_and_only_safe_files_come(hub: FakeHub, empty_home: Path) -> None:
    model = fetch_model(f"hf:{REPOSITORY}@main")
    assert model.source == HubSource(repository=REPOSITORY, revision="main", commit=COMMIT)
    assert (model.name, model.kind, model.licence) == ("someone--tiny", "embedder", "apache-2.0")
    assert not [name for name in hub.asked if name.endswith((".bin", ".py", ".onnx"))]
    assert not [path for path in model.folder.rglob("*") if path.suffix in {".bin", ".py", ".onnx", ".metadata"}]
    assert find_model(f"hf:{REPOSITORY}@main") == find_model(f"hf:{REPOSITORY}@{COMMIT}") == model
    assert find_model("someone--tiny", kind="embedder") == model
    assert [row.description for row in list_models() if row.installed] == [
        f"hf:{REPOSITORY}@main (commit {COMMIT[:12]})"
    ]
    with pytest.raises(MissingModelError, match=f"@main .commit {COMMIT[:12]}. is; bring it: .* hf:{REPOSITORY}@v2"):
        find_model(f"hf:{REPOSITORY}@v2")


def test_a_missing_repository_is_one_line_that_names_the_hub(hub: FakeHub, empty_home: Path) -> None:
    with pytest.raises(
        FetchError, match=rf"no/such@main did not come from http://127\.0\.0\.1:{hub.server_port}"
    ) as caught:
        fetch_model("hf:no/such@main")
    assert "\n" not in str(caught.value)
    assert "workbench models add FOLDER" in str(caught.value)


@pytest.mark.parametrize(
    "reference", ["hf:owner/name", "hf:name@main", "hf:a/b/c@main", "hf:../x@main", "hf:a/b@ma in"]
)
def test_a_reference_without_revision_or_owner_is_refused(reference: str) -> None:
    with pytest.raises(ConfigError, match="hf:OWNER/NAME@REVISION"):
        parse_reference(reference)


def test_a_hub_model_that_is_not_here_names_the_command(empty_home: Path) -> None:
    with pytest.raises(MissingModelError, match="workbench models fetch hf:someone/tiny@main"):
        find_model("hf:someone/tiny@main")
