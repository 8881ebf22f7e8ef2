"""One million vectors through `write_vectors` and `VectorSegment`: seconds, memory against its cap, recall, latency.

    OMP_NUM_THREADS=2 python scripts/bench_scale.py --n 1000000 --folder FOLDER [--real vectors.npy]

The vectors are SYNTHETIC: seeded unit rows, each a centre plus noise along 64 directions. With --real, centres and
directions are those of real embeddings, shape (M, D). Questions are drawn from the same mixture and are no rows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from faiss.contrib.exhaustive_search import knn_ground_truth

from workbench.config import IndexConfig
from workbench.knowledge.proposals import make_parameters, worth_proposing
from workbench.knowledge.raw_vectors import FAISS
from workbench.knowledge.vectors import IndexChoice, VectorSegment, write_vectors
from workbench.types import Float32

BLOCK = 20_000
DIMENSION = 384
exact_neighbours: Any = knn_ground_truth  # untyped


class Mixture:
    """Seeded rows: `share` of a centre, and noise with the spread of the centres along their 64 main directions."""

    def __init__(self, real: Path | None, share: float) -> None:
        random = np.random.default_rng(0)
        centres = np.load(real) if real else random.standard_normal((3_000, 64)) @ random.standard_normal((64, 384))
        self.centres = (share * centres / np.linalg.norm(centres, axis=1, keepdims=True)).astype(np.float32)
        spread, directions = np.linalg.eigh(np.cov(self.centres.T / share))
        self.directions = (directions * np.sqrt(np.maximum(spread, 0))).T[-64:].astype(np.float32)

    def blocks(self, n: int, *, seed: int) -> Iterator[Float32]:
        """Yield `n` unit rows in blocks."""
        for start in range(0, n, BLOCK):
            random = np.random.default_rng([seed, start])
            size = min(BLOCK, n - start)
            rows = self.centres[random.integers(0, len(self.centres), size)]
            rows = rows + random.standard_normal((size, 64), dtype=np.float32) @ self.directions
            yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def anonymous_mib() -> float:
    """Memory of this process that no file backs: what a memory limit kills for."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def build(
    folder: Path, n: int, config: IndexConfig, mixture: Mixture, answer: multiprocessing.SimpleQueue[object]
) -> None:
    """Build in a process of its own; put choice, seconds, and the peak above the start in MiB."""
    seen, done = [anonymous_mib()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(anonymous_mib())

    threading.Thread(target=watch).start()
    started = time.perf_counter()
    choice = write_vectors(folder, lambda: mixture.blocks(n, seed=1), n, DIMENSION, config)
    seconds = time.perf_counter() - started
    done.set()
    answer.put((choice, seconds, max(seen) - seen[0]))


def time_searches(folder: Path, choice: IndexChoice, questions: Float32, floors: Float32, share: float) -> str:
    """Return recall@10 and latencies of whole searches and of FAISS with the same candidates, taken in turns."""
    segment = VectorSegment(folder, choice)
    allowed = None if share == 1 else np.random.default_rng(2).random(segment.n) < share
    limit = int(10 * choice.parameters.get("overfetch", 1))
    search = None
    if choice.kind != "flat" and worth_proposing(choice, int(share * segment.n), segment.n):
        search = make_parameters(choice.kind, choice.codes, choice.parameters, share=share, allowed=allowed)
        bare: Any = faiss.read_index(str(folder / "candidates.faiss"), faiss.IO_FLAG_MMAP_IFC)
        rows = faiss.IndexFlatIP(DIMENSION)
        for start in range(0, segment.n, BLOCK):
            rows.add(segment.vectors()[start : start + BLOCK])
        refined: Any = faiss.IndexRefine(bare, rows)
        both = FAISS.IndexRefineSearchParameters(k_factor=limit / 10, base_index_params=search)
    times: dict[str, list[float]] = {"ours": [], "refined": [], "bare": []}
    recalls: list[float] = []
    for number, (question, floor) in enumerate(zip(questions, floors, strict=True)):
        for turn in (number, number + 1):  # who goes first finds cold caches, so the two take turns at it
            started = time.perf_counter()
            if turn % 2 == 0:
                _, scores = segment.search(question, k=10, allowed=allowed)
                times["ours"].append(1e3 * (time.perf_counter() - started))
                recalls.append(float(np.mean(scores[:10] >= floor - 1e-5)))
            elif search is not None:
                refined.search(question[None], 10, params=both)
                between = time.perf_counter()
                bare.search(question[None], limit, params=search)
                times["refined"].append(1e3 * (between - started))
                times["bare"].append(1e3 * (time.perf_counter() - between))
    middle, worst = np.percentile(times["ours"], [50, 99])
    line = f"{share:.3g} allowed: recall@10 {np.mean(recalls):.4f}, p50 {middle:.2f} ms, p99 {worst:.2f} ms"
    if search is None:  # all that is allowed is scored
        return line
    for name, label in (("refined", "FAISS IndexRefine, all rows in memory"), ("bare", "FAISS proposing alone, warm")):
        line += f"; {label}: {np.median(times[name]):.2f} ms, ratio {middle / np.median(times[name]):.2f}"
    return line


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, required=True, help="emptied first, left filled")
    parser.add_argument("--real", type=Path, help=".npy of real embeddings, shape (M, 384)")
    parser.add_argument("--share", type=float, default=0.8, help="weight of the centre; less is harder")
    parser.add_argument("--memory-gib", type=float, default=2.0)
    args = parser.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    args.folder.mkdir(parents=True)
    config = IndexConfig(memory_gib=args.memory_gib)
    mixture = Mixture(args.real, args.share)
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    context.Process(target=build, args=(args.folder, args.n, config, mixture, answer)).start()
    choice, seconds, peak = answer.get()
    print(f"SYNTHETIC vectors{f' around {args.real.name}' if args.real else ''}, load {os.getloadavg()[0]:.1f}")
    print(f"built in {seconds:.0f} s, peak {peak:,.0f} MiB anonymous, limit {1024 * args.memory_gib:,.0f} MiB")
    print(choice.reason)
    for path in sorted(args.folder.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 2**20:,.1f} MiB")
    questions = next(mixture.blocks(400, seed=2))
    faiss.omp_set_num_threads(2)
    for share in (1.0, 0.5, 0.05, 0.001):
        mask = np.random.default_rng(2).random(args.n) < (share if share < 1 else 2)
        rows = VectorSegment(args.folder, choice).vectors()
        kept = (rows[start : start + BLOCK][mask[start : start + BLOCK]] for start in range(0, args.n, BLOCK))
        scores = exact_neighbours(questions, kept, 10, faiss.METRIC_INNER_PRODUCT)[0]
        time.sleep(1)  # until the threads of BLAS have stopped spinning
        print(time_searches(args.folder, choice, questions, scores[:, 9], share), flush=True)


if __name__ == "__main__":
    main()
