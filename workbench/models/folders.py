"""What a model folder says about itself: its kind, its licence, the files a library reads in it.

Not a store: nothing here knows where models lie.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from workbench.errors import ModelIntegrityError
from workbench.intake import admit_model, is_document, read_json
from workbench.models.catalogue import ModelKind

GENERATOR_ENDINGS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
UNKNOWN_LICENCE = "not stated"


def copy_folder(source: Path, target: Path) -> None:
    """Copy the files of `source` that the gate admits, and the README and licence beside them, into `target`.

    Raises:
        ModelIntegrityError: see `admit_model`.
    """
    documents = [
        path.name
        for path in source.iterdir()
        if path.is_file() and is_document(path.name) and not path.name.startswith(".")
    ]
    for name in [*admit_model(source).files, *documents]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


def detect_kind(folder: Path, *, weights: bool = True) -> ModelKind:
    """Return what a model folder is for, by its own config files.

    Args:
        weights: whether it must hold them.

    Raises:
        ModelIntegrityError: it is none of the kinds, or lacks config or weights.
    """
    if weights and not any(folder.rglob("*.safetensors")):
        raise ModelIntegrityError(f"{folder}: no *.safetensors file; other weight formats are not loaded")
    if (folder / "modules.json").exists():
        return _detect_modules(folder)
    if not (folder / "config.json").exists():
        raise ModelIntegrityError(f"{folder}: no config.json, so this is not a model folder")
    architectures = read_json(folder / "config.json").get("architectures") or ["none"]
    if str(architectures[0]).endswith(GENERATOR_ENDINGS):
        return "generator"
    if str(architectures[0]).endswith("ForSequenceClassification"):
        return "reranker"
    raise ModelIntegrityError(
        f"{folder}: architecture {architectures[0]!r} is no generator or reranker, and an embedder needs modules.json "
        "(how to pool is part of the model, it is not guessed)"
    )


def _detect_modules(folder: Path) -> ModelKind:
    """Return what a sentence-transformers folder is for; where it does not say, it is an embedder, as it ever was."""
    path = folder / "config_sentence_transformers.json"
    config = read_json(path) if path.exists() else {}
    match config.get("model_type", "SentenceTransformer") if isinstance(config, dict) else None:
        case "SentenceTransformer":
            return "embedder"
        case "CrossEncoder":
            return "reranker"
        case other:
            raise ModelIntegrityError(
                f"{path}: model_type is {other!r}; known are SentenceTransformer (an embedder) and CrossEncoder "
                "(a reranker)"
            )


def read_licence(folder: Path) -> str:
    """Return the `license:` of the README's front matter, or "not stated"."""
    readme = folder / "README.md"
    if readme.exists():
        match = re.search(r"^license:\s*[\"']?([\w.+-]+)", readme.read_text(encoding="utf-8", errors="replace"), re.M)
        if match:
            return match[1]
    return UNKNOWN_LICENCE
