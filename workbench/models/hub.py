"""Fetch a repository of a Hugging Face hub at one commit: `hf:OWNER/NAME@REVISION`. Only safetensors, JSON and text.

The libraries read their offline flags at import, and this process imported them offline. So a child process fetches,
with `WORKBENCH_ONLINE=1` for itself alone; the hub is the one in HF_ENDPOINT.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from workbench.errors import ConfigError, FetchError
from workbench.offline import online_environment

ALLOWED = ["*.safetensors", "*.json", "*.txt", "*.jinja", "*.model", "README.md", "LICENSE*"]
IGNORED = [".*", "original/*", "onnx/*", "openvino/*", "consolidated*.safetensors"]  # the same weights once more
REFERENCE = re.compile(r"hf:(?P<repository>\w[\w.-]*/\w[\w.-]*)@(?P<revision>\w[\w./-]*)", re.ASCII)


class HubReference(NamedTuple):
    """A repository and which of its states: a branch, a tag or a commit."""

    repository: str
    revision: str

    @property
    def name(self) -> str:
        """The model's name on this machine."""
        return self.repository.replace("/", "--")


def parse_reference(text: str) -> HubReference:
    """Read `hf:OWNER/NAME@REVISION`. Raises ConfigError: the revision must be named, so that a run can be repeated."""
    match = REFERENCE.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is not of the form hf:OWNER/NAME@REVISION; without one in mind, take @main")
    return HubReference(match["repository"], match["revision"])


def download_repository(reference: HubReference, folder: Path) -> str:
    """Download the repository's loadable files into `folder`; return the commit they belong to.

    Raises:
        FetchError: no hub in reach, no such repository or revision, or access refused.
    """
    done = subprocess.run(
        [sys.executable, "-c", "from workbench.models.hub import main; main()", *reference, str(folder)],
        env=online_environment() | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        raise FetchError(
            f"{reference.repository}@{reference.revision} did not come from {endpoint}: {lines[-1]}; "
            "where there is no hub, copy the folder here and: workbench models add FOLDER"
        )
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own notes
    return str(json.loads(done.stdout.strip().splitlines()[-1])["commit"])


def main() -> None:
    """Run in the child: resolve the revision, download, print the commit. Every failure is one line on stderr."""
    from huggingface_hub import HfApi, snapshot_download

    repository, revision, folder = sys.argv[1:]
    try:
        commit = HfApi().model_info(repository, revision=revision).sha
        if commit is None:
            raise ValueError("the hub named no commit")
        snapshot_download(
            repository, revision=commit, local_dir=folder, allow_patterns=ALLOWED, ignore_patterns=IGNORED
        )
    except Exception as error:  # whatever it is, the parent turns it into a FetchError
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
    sys.stdout.write(json.dumps({"commit": commit}) + "\n")
