"""What each stage depends on, as one fingerprint. Too wide costs a rerun of hours; too narrow reuses something stale.

Left out on purpose: memory caps (they change no number) and which arms are controls (it changes no answer).
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.corpus import cutter_version
from workbench.hardware import describe_versions
from workbench.parts import Parts, RetrievalFit
from workbench.runs import fingerprint
from workbench.types import Split

CAPS = {"prefix_cache_gib"}


def index_inputs(parts: Parts) -> str:
    """Documents, chunking, index, embedder and what computes it."""
    return fingerprint(
        parts.corpus.fingerprint,
        parts.config.chunking,
        cutter_version(),
        parts.config.index,
        parts.embedder_files.fingerprint,
        parts.config.models.embedder_backend,
    )


def fit_inputs(parts: Parts, *, collection: str) -> str:
    """The dev questions, the collection, how passages are found."""
    return fingerprint(parts.questions.of(Split.DEV), collection, _retrieval(parts))


def train_inputs(parts: Parts, name: str, *, collection: str, fit: RetrievalFit) -> str:
    """The questions learned from, the recipe, the base model; for a reader also what retrieval would show it."""
    config = parts.config
    adapter = config.training.adapters[name]
    forbidden = sorted(parts.questions.forbidden)
    reads = (collection, _retrieval(parts), fit, forbidden) if adapter.examples == "reader" else ()
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


def answer_inputs(parts: Parts, *, collection: str, adapters: Mapping[str, str], fit: RetrievalFit) -> str:
    """The test questions, the collection, the arms, the adapters' weights (SHA-256), engine settings and versions."""
    config = parts.config
    return fingerprint(
        parts.questions.test,
        collection,
        adapters,
        [(name, arm.model_dump(exclude={"control"})) for name, arm in config.arms.items()],
        config.generation.model_dump(exclude=CAPS),
        config.prompt,
        _retrieval(parts),
        fit,
        parts.generator_files.fingerprint,
        parts.embedder_files.fingerprint,
        [str(part) for part in parts.device_and_dtype],
        describe_versions(),
    )


def _retrieval(parts: Parts) -> object:
    """The retrieval settings, with the reranker's weights and what computes them where it is used."""
    config = parts.config.retrieval
    if config.rerank is None:
        return (config, None)
    return (config, parts.reranker_files.fingerprint, parts.config.models.reranker_backend)
