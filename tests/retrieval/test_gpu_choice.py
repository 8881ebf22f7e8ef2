"""Where FAISS finds an IVF's centres: on a GPU only where its build has that and a GPU is there. No GPU is needed."""

from typing import Any

import faiss
import numpy as np
import pytest

from workbench.knowledge.candidates import Recipe, build_index

VECTORS = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)  # (N, D)


@pytest.mark.parametrize(
    ("kind", "built_for_gpus", "n_gpus", "used"),
    [("ivf", False, 0, 0), ("ivf", False, 1, 0), ("ivf", True, 0, 0), ("ivf", True, 1, 1), ("hnsw", True, 1, 0)],
)
def test_centres_are_found_on_a_gpu_only_where_faiss_can_and_one_is_there(
    kind: Any, built_for_gpus: bool, n_gpus: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[Any] = []
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    if built_for_gpus:
        monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: n_gpus)

    def move(index: Any) -> Any:
        moved.append(index)
        return index  # stands in for its copy on a GPU: it trains

    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", move, raising=False)
    index = build_index(Recipe(kind, "sq8", len(VECTORS), 8, 4), VECTORS, iter([VECTORS]))
    assert (len(moved), index.ntotal) == (used, len(VECTORS))
    if used:
        assert moved[0].ntotal in (0, 4)  # it was given centres, never the rows
