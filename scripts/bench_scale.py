"""One million vectors through `write_vectors` and `VectorSegment`: seconds, memory against its cap, recall, latency.

    OMP_NUM_THREADS=2 python scripts/bench_scale.py --n 1000000 --folder /tmp/scale [--real vectors.npy]

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
from workbench.knowledge.proposals import make_parameters
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
    before, peak, done = anonymous_mib(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], anonymous_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    choice = write_vectors(folder, lambda: mixture.blocks(n, seed=1), n, DIMENSION, config)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    answer.put((choice, seconds, peak[0] - before))


def time_searches(folder: Path, choice: IndexChoice, questions: Float32, floors: Float32, share: float) -> str:
    """Return recall@10 and p50/p99 of whole searches and of the bare FAISS call, taken in turns."""
    segment = VectorSegment(folder, choice)
    allowed = None if share == 1 else np.random.default_rng(2).random(segment.n) < share
    bare = faiss.read_index(str(folder / "candidates.faiss"), faiss.IO_FLAG_MMAP_IFC) if choice.kind != "flat" else None
    ours: list[float] = []
    theirs: list[float] = []
    recalls: list[float] = []
    for number, (question, floor) in enumerate(zip(questions, floors, strict=True)):
        for turn in (number, number + 1):  # who goes first finds cold caches, so the two take turns at it
            if turn % 2 == 0:
                started = time.perf_counter()
                _, scores = segment.search(question, k=10, allowed=allowed)
                ours.append(1e3 * (time.perf_counter() - started))
                recalls.append(float(np.mean(scores[:10] >= floor - 1e-5)))
            elif bare is not None:
                search = make_parameters(choice.kind, choice.codes, choice.parameters, share=share, allowed=allowed)
                started = time.perf_counter()
                bare.search(question[None], int(10 * choice.parameters["overfetch"]), params=search)
                theirs.append(1e3 * (time.perf_counter() - started))
    middle, worst = np.percentile(ours, [50, 99])
    line = f"{share:.3g} allowed: recall@10 {np.mean(recalls):.4f}, p50 {middle:.2f} ms, p99 {worst:.2f} ms"
    if bare is None or (share < 1 and allowed is not None and allowed.sum() <= 10_000):
        return line
    return f"{line}; bare FAISS p50 {np.median(theirs):.2f} ms, ratio {middle / np.median(theirs):.2f}"


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, required=True, help="emptied first, left filled")
    parser.add_argument("--real", type=Path, help=".npy of real embeddings, shape (M, 384)")
    parser.add_argument("--share", type=float, default=0.8, help="weight of the centre; less is harder")
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--codes", default="auto")
    parser.add_argument("--memory-gib", type=float, default=2.0)
    parser.add_argument("--questions", type=int, default=400)
    args = parser.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    args.folder.mkdir(parents=True)
    config = IndexConfig(kind=args.kind, codes=args.codes, memory_gib=args.memory_gib)
    mixture = Mixture(args.real, args.share)
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    builder = context.Process(target=build, args=(args.folder, args.n, config, mixture, answer))
    builder.start()
    choice, seconds, peak = answer.get()
    builder.join()
    print(f"SYNTHETIC vectors{f' around {args.real.name}' if args.real else ''}, load {os.getloadavg()[0]:.1f}")
    print(f"built in {seconds:.0f} s, peak {peak:,.0f} MiB anonymous, limit {1024 * args.memory_gib:,.0f} MiB")
    print(choice.reason)
    for path in sorted(args.folder.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 2**20:,.1f} MiB")
    questions = next(mixture.blocks(args.questions, seed=2))
    faiss.omp_set_num_threads(2)
    for share in (1.0, 0.5, 0.05, 0.001):
        mask = np.random.default_rng(2).random(args.n) < (share if share < 1 else 2)
        rows = VectorSegment(args.folder, choice).vectors()
        kept = (rows[start : start + BLOCK][mask[start : start + BLOCK]] for start in range(0, args.n, BLOCK))
        scores = exact_neighbours(questions, kept, 10, faiss.METRIC_INNER_PRODUCT)[0]
        time.sleep(1)  # until BLAS's threads have stopped spinning
        print(time_searches(args.folder, choice, questions, scores[:, 9], share), flush=True)


if __name__ == "__main__":
    main()
