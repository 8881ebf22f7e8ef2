"""manifest.json: what is needed to run an experiment again, and to say whether two runs may be compared.

Beside `bench.py` on the same floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.config import OpenAIEngineConfig
from workbench.parts import Parts
from workbench.runs import fingerprint

CLOCKED = ("seconds", "joules", "peak_bytes", "peak_gpu_bytes", "planned_bytes")  # differ between equal runs


def make_manifest(
    parts: Parts,
    trained: Mapping[str, Mapping[str, Any]],
    *,
    collection: str,
    made_with: Mapping[str, Any],
    arms: Mapping[str, str],
) -> dict[str, Any]:
    """Return what manifest.json holds.

    Args:
        trained: by adapter, what its training recorded.
        collection: the collection's fingerprint.
        made_with: versions and hardware.
        arms: what decides each arm's answers.
    """
    return {
        "name": parts.config.name,
        "seed": parts.config.seed,
        "fingerprints": {
            "config": fingerprint(parts.config),
            "corpus": parts.corpus.fingerprint,
            "collection": collection,
            "questions": parts.questions.fingerprint,
            "test_questions": fingerprint(parts.questions.test),
            "generator": parts.generator_files.fingerprint,
            "embedder": parts.embedder_files.fingerprint,
            "template": parts.tokenizer.template_hash,
            "adapters": {name: stage["weights"] for name, stage in trained.items()},
        },
        "models": {"generator": parts.generator_files.name, "embedder": parts.embedder_files.name} | _served(parts),
        "arms": dict(arms),
        "counts": {
            "documents": len(parts.corpus.documents),
            "unreadable_files": len(parts.corpus.failures),
            "questions": len(parts.questions.questions),
        },
        "dropped_as_copies": [leak._asdict() for leak in parts.questions.leaks],
        "training": {
            name: {key: value for key, value in stage.items() if key not in CLOCKED} for name, stage in trained.items()
        },
        **made_with,
    }


def _served(parts: Parts) -> dict[str, str]:
    """Where another machine answered: that what it served was the generator's weights is the user's word."""
    engine = parts.config.generation.engine
    return {"served_by": engine.url, "served_as": engine.model} if isinstance(engine, OpenAIEngineConfig) else {}
