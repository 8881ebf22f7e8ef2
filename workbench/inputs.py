"""What each stage depends on, as one fingerprint. Too wide costs a rerun of hours; too narrow reuses something stale.

Left out on purpose: memory caps (they change no number) and which arms are controls (it changes no answer).
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.hardware import describe_versions
from workbench.parts import Parts
from workbench.runs import fingerprint
from workbench.types import Split

CAPS = {"prefix_cache_gib"}


def index_inputs(parts: Parts) -> str:
    """Documents, chunking, embedder."""
    return fingerprint(parts.corpus.fingerprint, parts.config.chunking, parts.embedder_files.fingerprint)


def train_inputs(parts: Parts, name: str, *, collection: str) -> str:
    """The questions learned from, the recipe, the base model; for a reader also what retrieval would show it."""
    config = parts.config
    adapter = config.training.adapters[name]
    reads = (collection, config.retrieval, sorted(parts.questions.forbidden)) if adapter.examples == "reader" else ()
    return fingerprint(
        [parts.questions.of(split) for split in (Split.TRAIN, Split.DEV)],
        reads,
        adapter,
        config.training.recipe(name).model_dump(exclude=CAPS),
        config.prompt,
        config.seed,
        parts.generator_files.fingerprint,
        [str(part) for part in parts.device_and_dtype],
    )


def answer_inputs(parts: Parts, *, collection: str, adapters: Mapping[str, str]) -> str:
    """The test questions, the collection, the arms, the adapters' weights (SHA-256), engine settings and versions."""
    config = parts.config
    return fingerprint(
        parts.questions.test,
        collection,
        adapters,
        [(name, arm.model_dump(exclude={"control"})) for name, arm in config.arms.items()],
        config.generation.model_dump(exclude=CAPS),
        config.prompt,
        config.retrieval,
        parts.generator_files.fingerprint,
        parts.embedder_files.fingerprint,
        [str(part) for part in parts.device_and_dtype],
        describe_versions(),
    )
