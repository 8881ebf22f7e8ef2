"""Whole retrieval at scale: a collection of N chunks, its dense search with text, beside the bare FAISS call.

    OMP_NUM_THREADS=2 python scripts/bench_collection.py --n 1000000 --folder FOLDER [--real vectors.npy] [--share 0.6]

Vectors are synthetic, as in bench_scale.py; texts are short. "Whole retrieval" is all but the question's embedding:
search, chunk ids, texts with their checksums verified, hits. FAISS alone is IndexRefine over the same candidates, all
rows in memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import faiss
import numpy as np
from bench_scale import BLOCK, DIMENSION, Mixture, exact_neighbours

from workbench.config import IndexConfig
from workbench.knowledge import Change, Collection
from workbench.knowledge.proposals import make_parameters
from workbench.knowledge.raw_vectors import FAISS
from workbench.retrieval import DenseRetriever
from workbench.types import Chunk, Document, EmbedderIdentity, Float32

CHUNKS = 100  # a document
IDENTITY = EmbedderIdentity("synthetic", "0" * 64, DIMENSION, 256, "none", normalised=True)


class SyntheticEmbedder:
    """Gives the number in a text its row of a matrix on disk."""

    identity = IDENTITY
    max_tokens, n_special_tokens = 256, 0

    def __init__(self, path: Path, mixture: Mixture, n: int) -> None:
        if not path.exists():
            rows = np.lib.format.open_memmap(path, "w+", np.float32, (n, DIMENSION))
            for start, block in zip(range(0, n, BLOCK), mixture.blocks(n, seed=1), strict=True):
                rows[start : start + len(block)] = block
        self.rows = np.load(path, mmap_mode="r")
        self.question: Float32 = self.rows[:1]

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Count a text as one token."""
        return [[(0, len(text))] for text in texts]

    def embed_documents(self, texts: Sequence[str]) -> Float32:
        """Return the rows the texts name, shape (N, D)."""
        return np.ascontiguousarray(self.rows[[int(text.split()[1]) for text in texts]])

    def embed_questions(self, texts: Sequence[str]) -> Float32:
        """Return the question that is being measured, shape (1, D)."""
        return self.question


def documents(n: int) -> Iterator[Change]:
    """Yield documents of CHUNKS lines each, one chunk a line."""
    for number in range(n // CHUNKS):
        lines = [f"chunk {number * CHUNKS + line} of part {line} in book {number}" for line in range(CHUNKS)]
        id_ = f"book-{number:06d}.txt"
        yield Change(Document(id_, id_, "", "\n".join(lines), (), f"{number:064x}"))


def cut(group: Sequence[Document]) -> list[Chunk]:
    """Cut documents at their line ends."""
    chunks = []
    for document in group:
        start = 0
        for line in document.text.split("\n"):
            end = start + len(line)
            chunks.append(Chunk(f"{document.id}:{start}-{end}", document.id, start, end, line))
            start = end + 1
    return chunks


def measure(collection: Collection, embedder: SyntheticEmbedder, questions: Float32, floors: Float32) -> None:
    """Print recall@10 and latencies of whole retrieval and of FAISS with the same candidates, taken in turns."""
    view = collection._loaded  # the bench alone looks inside: the bare call needs the very same parameters
    segment = max(view.segments, key=lambda one: one.vectors.n).vectors
    choice = segment._choice
    retriever = DenseRetriever(collection, embedder)
    limit = int(10 * choice.parameters.get("overfetch", 1))
    search = make_parameters(choice.kind, choice.codes, choice.parameters, share=1.0, allowed=None)
    path = next(path for path in collection.folder.rglob("candidates.faiss") if path.stat().st_size > 2**20)
    rows = faiss.IndexFlatIP(DIMENSION)
    for start in range(0, segment.n, BLOCK):
        rows.add(segment.vectors()[start : start + BLOCK])
    refined = faiss.IndexRefine(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), rows)
    both = FAISS.IndexRefineSearchParameters(k_factor=limit / 10, base_index_params=search)
    for name in ("rows never read before", "rows in the machine's file cache"):
        times: dict[str, list[float]] = {"ours": [], "faiss": []}
        recalls = []
        for number, (question, floor) in enumerate(zip(questions, floors, strict=True)):
            embedder.question = question[None]
            for turn in (number, number + 1):  # who goes first finds colder caches, so the two take turns at it
                started = time.perf_counter()
                if turn % 2:
                    refined.search(question[None], 10, params=both)
                else:
                    hits = retriever.search("question", k=10)
                times["faiss" if turn % 2 else "ours"].append(1e3 * (time.perf_counter() - started))
            recalls.append(np.mean([hit.score >= floor - 1e-5 for hit in hits]))
        figures = ", ".join(
            f"{who} p50 {np.percentile(spent, 50):.2f} ms p99 {np.percentile(spent, 99):.2f} ms"
            for who, spent in times.items()
        )
        ratio = np.median(times["ours"]) / np.median(times["faiss"])
        print(f"{name}: {figures}, ratio of medians {ratio:.2f}, recall@10 {np.mean(recalls):.4f}", flush=True)


def main() -> None:
    """Build if the folder is new, open, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, required=True, help="collection and matrix; kept, and used again")
    parser.add_argument("--real", type=Path, help=".npy of real embeddings, shape (M, 384)")
    parser.add_argument("--share", type=float, default=0.6, help="weight of the centre; less is harder")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    mixture = Mixture(arguments.real, arguments.share)
    embedder = SyntheticEmbedder(arguments.folder / "vectors.npy", mixture, arguments.n)
    folder, config = arguments.folder / "kb", IndexConfig()
    if not Collection.exists(folder):
        started = time.perf_counter()
        with Collection.create(folder, IDENTITY, index=config) as collection:
            collection.apply(documents(arguments.n), cut, embedder.embed_documents)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"built in {time.perf_counter() - started:.0f} s, peak {peak:,.0f} MiB with mapped files", flush=True)
    started = time.perf_counter()
    with Collection.open(folder, IDENTITY, index=config) as collection:
        print(f"opened in {time.perf_counter() - started:.2f} s, load {os.getloadavg()[0]:.1f}")
        print(*collection.describe_index(), sep="\n", flush=True)
        questions = next(mixture.blocks(400, seed=2))
        kept = (embedder.rows[start : start + BLOCK] for start in range(0, arguments.n, BLOCK))
        scores = exact_neighbours(questions, kept, 10, faiss.METRIC_INNER_PRODUCT)[0]
        faiss.omp_set_num_threads(2)
        time.sleep(1)  # until the threads of BLAS have stopped spinning
        measure(collection, embedder, questions, scores[:, 9])


if __name__ == "__main__":
    main()
