"""Measure one engine in this process: python -m retrieval_bench.child TASK.json RESULT.json. Imports no workbench."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from retrieval_bench.engine import Engine, Task, read_questions

N_WARM = 20  # searches before the clock of a method starts


def build_engine(name: str) -> Engine:
    """Return the engine of this name."""
    if name == "ours":
        from retrieval_bench.ours import Ours

        return Ours()
    if name == "txtai":
        from retrieval_bench.peer_txtai import Txtai

        return Txtai()
    if name == "llamaindex":
        from retrieval_bench.peer_llamaindex import LlamaIndex

        return LlamaIndex()
    raise ValueError(f"no engine {name!r}; there are ours, txtai, llamaindex")


def measure(task: Task) -> dict[str, Any]:
    """Load, ingest, open, search; seconds, bytes, and rankings if asked for."""
    folder, store = Path(task.folder), Path(task.store)
    engine = build_engine(task.engine)
    result: dict[str, Any] = {}
    result["load_seconds"], _ = timed(lambda: engine.load(task))
    result["loaded_bytes"] = peak_bytes()
    result["ingest_seconds"], result["n_vectors"] = timed(lambda: engine.ingest(folder, store))
    result["disk_bytes"] = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    result["open_seconds"], _ = timed(lambda: engine.open(store))
    questions = read_questions(folder)
    engine.prepare(list(questions.values()))
    if task.rounds:
        result["milliseconds"] = {method: time_searches(engine, method, questions, task) for method in engine.timed}
    result["peak_bytes"] = peak_bytes()  # before ranking deeper than anybody asks for
    if task.depth and not task.export:
        result["rankings"] = {
            method: {id_: rank_documents(engine, method, text, task.depth) for id_, text in questions.items()}
            for method in engine.ranked
        }
    return result | {"versions": engine.versions()}


def timed(work: Any) -> tuple[float, Any]:
    """Return the seconds `work()` took and what it returned."""
    start = time.perf_counter()
    value = work()
    return time.perf_counter() - start, value


def time_searches(engine: Engine, method: str, questions: dict[str, str], task: Task) -> list[float]:
    """Return milliseconds, one a question and round, after a few searches that do not count."""
    texts = list(questions.values())
    for text in texts[:N_WARM]:
        engine.search(method, text, task.k)
    return [timed(lambda text=text: engine.search(method, text, task.k))[0] * 1000 for text in texts * task.rounds]


def rank_documents(engine: Engine, method: str, question: str, depth: int) -> list[str]:
    """Return `depth` documents, fewer where no more are found; a document's best hit counts."""
    k = depth
    while True:
        hits = engine.search(method, question, k)
        documents = list(dict.fromkeys(hits))[:depth]
        if len(documents) == depth or len(hits) < k:
            return documents
        k *= 2


def peak_bytes() -> int:
    """Return the most memory this process ever held, and the largest of its ended children beside it.

    VmHWM, since getrusage would count what the parent held before it became this process.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return (own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024


def main() -> None:
    """Read the task, write the result."""
    task_path, result_path = map(Path, sys.argv[1:])
    task = Task(**json.loads(task_path.read_text(encoding="utf-8")))
    result_path.write_text(json.dumps(measure(task)), encoding="utf-8")


if __name__ == "__main__":
    main()
