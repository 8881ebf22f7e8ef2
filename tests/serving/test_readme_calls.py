"""The README's calls of the server, as a shell runs them."""

import json
import subprocess

from tests.serving.conftest import Running
from tests.test_readme import ROOT, fenced, section


def test_the_calls_run_as_they_stand(served: Running) -> None:
    (block,) = fenced(section("Serve it"), "bash")
    answers = []
    for line in block.splitlines():
        assert "localhost:8000" in line
        command = line.replace("http://", "").replace("localhost:8000", served.url)
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=ROOT)
        answers.append(json.loads(done.stdout))
    text, file, chat = answers
    assert (text["collection"], text["document_id"], text["chunks"]) == ("manuals", "user_manual", 1)
    assert file["chunks"] >= 1
    assert {source["collection"] for source in chat["sources"]} == {"manuals"}
    assert any("Hold the knob for five seconds" in source["text"] for source in chat["sources"])
