"""The API's own description: whole, and true under whatever schemathesis makes up of it."""

import subprocess
import sys
from pathlib import Path

import httpx

from tests.serving.conftest import Running


def test_every_route_is_described_with_what_it_takes(client: httpx.Client) -> None:
    schema = client.get("/openapi.json").json()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), (method, path)
            assert "4XX" in operation["responses"], (method, path)
    chat = schema["paths"]["/v1/chat/completions"]["post"]
    assert schema["components"]["schemas"]["ChatRequest"]["examples"][0]["rag_collection"] == "manuals"
    assert set(chat["requestBody"]["content"]) == {"application/json"}
    upload = schema["paths"]["/v1/process/document"]["post"]["requestBody"]["content"]
    assert set(upload) == {"application/json", "multipart/form-data"}
    assert upload["application/json"]["example"]["metadata"] == {"source": "user_manual", "version": "2.1"}


def test_nothing_made_up_from_the_description_breaks_the_server(served: Running, tmp_path: Path) -> None:
    """A short run of what found two faults in its long form: schemathesis run … --max-examples 200."""
    with served.client() as client:
        client.post("/v1/process/document", json={"collection": "manuals", "text": "Turn it.", "id": "one"})
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"]
    command += ["--checks", "not_a_server_error,content_type_conformance,response_schema_conformance"]
    # Left out: what starts trainings, and what makes the first key, after which nothing else would be let in.
    command += ["--exclude-path-regex", "/v1/(training|keys)", "--max-examples", "5", "--seed", "1", "--workers", "1"]
    command += ["--phases", "examples,fuzzing", "--no-color"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
