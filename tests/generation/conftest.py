"""Adapters of every kind on the random model, trained once for this room."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.generation.company import make_loud, train_adapters
from workbench.generation import ContinuousEngine, LocalGenerator


@pytest.fixture(scope="package")
def adapter_folders(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        return train_adapters(tmp_path_factory.mktemp("adapters"))


@pytest.fixture
def generator(tiny_home: Path, adapter_folders: dict[str, Path]) -> LocalGenerator:
    """A loud random model with all adapters loaded."""
    return make_loud(adapter_folders)[0]


@pytest.fixture
def engine(generator: LocalGenerator) -> Iterator[ContinuousEngine]:
    """Four slots; prompts are read in stretches of 16 tokens."""
    engine = ContinuousEngine(generator, slots=4, queue=64, context_tokens=2000, chunk_tokens=16)
    yield engine
    engine.close(drain_seconds=0)
