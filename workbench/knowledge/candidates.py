"""Approximate indexes that propose candidates: which one, built within a memory limit, tuned by measured recall.

`auto` tries, in this order: IVF with RaBitQ codes (1 bit a dimension: smallest, and 2.7 times as fast to scan as 8-bit
codes at equal recall on 100,000 rows, so it affords more lists), IVF with 8-bit codes (where 1 bit proposes too badly),
HNSW with 8-bit codes (where the lists do not cut the rows well; it took about 6 times as long to build), and else stays
exact. Full vectors (`none`) and product codes (`pq`) are there to be asked for: candidates are scored again from the
raw rows, so the former buy little for their memory; the latter need codebooks, and were only tried on easy vectors.
Sources: RaBitQ, https://doi.org/10.1145/3654970; HNSW, https://doi.org/10.1109/TPAMI.2018.2889473;
https://github.com/facebookresearch/faiss/wiki.

Deterministic for the same vectors and number of threads, all draws being seeded, but for HNSW, whose threads race when
they insert (OMP_NUM_THREADS=1 settles it). On a GPU k-means runs there, if FAISS was built for it; that is unmeasured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss

from workbench.config import IndexConfig
from workbench.errors import ConfigError
from workbench.knowledge.proposals import Codes, IndexChoice, Kind, make_parameters, write_index
from workbench.knowledge.raw_vectors import (
    BLOCK_ROWS,
    EXACT_ROWS,
    FAISS,
    SEED,
    Survey,
    open_raw,
    read_blocks,
    survey_vectors,
)
from workbench.knowledge.recall import Recall, RecallSample, draw_sample, measure_recall
from workbench.types import Float32

FLAT_BYTES = 64 * 2**20  # scanned exactly in about 8 ms on 2 idle cores; `auto` looks for candidates above it
SCANNED_ROWS = 100_000  # most rows `auto` lets a query scan in an IVF: 3 ms of RaBitQ codes on one core
MOST_EF = 1024  # most candidates `auto` lets a walk through an HNSW graph keep, for the same reason
LINKS = 32  # neighbours a node of an HNSW graph has on its upper levels, twice as many on the lowest
OVERFETCH = (2, 4, 8, 16, 32, 64)  # candidates scored again for each of the k wanted
N_QUERIES = 256  # rows that search effort is tuned on
TRAINING_ROWS = 40  # for each inverted list: FAISS asks for 39
LEAST_TRAINING = 1_000  # rows; product codes need 256 a codebook


@dataclass(frozen=True, slots=True)
class Recipe:
    """One index that could be built for `n` rows of `dimension`."""

    kind: Kind
    codes: Codes
    n: int
    dimension: int
    n_lists: int

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.kind} with {self.codes} codes"

    @property
    def factory(self) -> str:
        """FAISS's name for it."""
        coded = {"none": "Flat", "sq8": "SQ8", "pq": f"PQ{self.pq_bytes}", "rabitq": "RaBitQ"}[self.codes]
        return f"IVF{self.n_lists},{coded}" if self.kind == "ivf" else f"HNSW{LINKS},{coded}"

    @property
    def pq_bytes(self) -> int:
        """One byte for about eight dimensions; the number must divide them."""
        return next(m for m in range(max(1, self.dimension // 8), 0, -1) if self.dimension % m == 0)

    @property
    def bytes(self) -> int:
        """Size in memory and on disk."""
        d = self.dimension
        code_bytes = {"none": 4 * d, "sq8": d, "pq": self.pq_bytes, "rabitq": d // 8 + 8}[self.codes]
        if self.kind == "ivf":
            return self.n * (code_bytes + 8) + self.n_lists * 4 * d
        return self.n * (code_bytes + 8 * LINKS + 16)

    @property
    def efforts(self) -> tuple[int, ...]:
        """Values of nprobe or ef_search, ascending."""
        most = self.n_lists if self.kind == "ivf" else 4 * MOST_EF
        least = 2 if self.kind == "ivf" else 5
        return (*(2**power for power in range(least, 16) if 2**power < most), most)


def explain_exact(n: int, dimension: int, config: IndexConfig) -> str | None:
    """Return why no index is built for `n` vectors; None: one may pay."""
    scanned = f"exact search over {n:,} vectors of {4 * n * dimension / 2**20:,.1f} MiB"
    if config.kind == "flat":
        return f"{scanned}, as configured"
    if n <= EXACT_ROWS or (config.kind == "auto" and 4 * n * dimension <= FLAT_BYTES):
        return f"{scanned}: that few are scored as fast as an index is searched"
    return None


def plan_survey(n: int, dimension: int, config: IndexConfig) -> Survey:
    """Return the draw of rows to tune and to train on; the latter take an eighth of the memory limit at most."""
    affordable = int(config.memory_gib * 2**30 / 8 / (4 * dimension))
    n_training = min(TRAINING_ROWS * count_lists(n), affordable)
    return survey_vectors(n, dimension, n_queries=N_QUERIES, n_training=n_training)


def build_candidates(raw: Path, path: Path, survey: Survey, config: IndexConfig) -> IndexChoice:
    """Write the first index that reaches the target recall on the rows in `raw` to `path`; return it, or flat.

    Raises:
        ConfigError: FAISS has no such combination of kind and codes.
        OSError: the disk is full, or refuses.
    """
    vectors = open_raw(raw)
    n, dimension = vectors.shape
    size = f"{n:,} vectors of {4 * n * dimension / 2**20:,.1f} MiB"
    sample: RecallSample | None = None
    failures: list[str] = []
    for recipe in list_recipes(config, n, dimension, len(survey.training)):
        needed = estimate_building(recipe, survey) / 2**30
        if needed > config.memory_gib or len(survey.training) < LEAST_TRAINING:
            failures.append(f"{recipe.name} needs {needed:.2f} GiB, the limit is {config.memory_gib:g}")
            continue
        sample = sample or draw_sample(survey, read_blocks(raw))
        index = build_index(recipe, survey.training, read_blocks(raw))
        parameters, recall = tune(index, recipe, vectors, sample, config)
        if not recall.reaches(config.target_recall):
            failures.append(f"{recipe.name} gave recall@10 {recall.mean:.3f}, wanted is {config.target_recall:g}")
            del index  # before the next one is built: the memory limit is for one
            continue
        write_index(path, index)
        reason = (
            f"{recipe.name} for {size}: recall@10 {recall.mean:.3f} ± {recall.error:.3f} "
            f"(wanted {config.target_recall:g}) on {len(sample.rows)} of them with {describe(parameters)}; "
            f"{recipe.bytes / 2**20:,.0f} MiB mapped, {needed:.2f} GiB to build (limit {config.memory_gib:g})"
        )
        return IndexChoice(recipe.kind, recipe.codes, parameters, recall.mean, "; ".join([reason, *failures]))
    return IndexChoice("flat", "none", {}, None, "; ".join([f"exact search over {size}", *failures]))


def count_lists(n: int) -> int:
    """Return how many inverted lists `n` rows are spread over: 4 sqrt(n), FAISS's own rule of thumb."""
    return max(1, int(4 * n**0.5))


def list_recipes(config: IndexConfig, n: int, dimension: int, n_training: int) -> list[Recipe]:
    """Return what may be built, in the order in which it is tried.

    Raises:
        ConfigError: FAISS has no such combination of kind and codes.
    """
    pairs: list[tuple[Kind, Codes]] = [("ivf", "rabitq"), ("ivf", "sq8"), ("hnsw", "sq8")]
    if config.codes != "auto":
        pairs = [("ivf", config.codes), ("hnsw", config.codes)]
    if config.kind == "hnsw" and config.codes == "rabitq":  # IndexHNSWRaBitQ knows distances only, no inner products
        raise ConfigError("index.kind hnsw does not go with index.codes rabitq; write codes: sq8, or kind: ivf")
    n_lists = max(1, min(count_lists(n), n_training // 30))  # k-means wants some rows for each centre
    return [
        Recipe(kind, codes, n, dimension, n_lists)
        for kind, codes in pairs
        if config.kind in ("auto", kind) and (kind, codes) != ("hnsw", "rabitq")
    ]


def estimate_building(recipe: Recipe, survey: Survey) -> int:
    """Return the bytes that building takes at its peak: lists grow by doubling, so half as much again as the index."""
    scratch = 192 * 2**20  # of FAISS and BLAS while centres are found; scripts/bench_scale.py measures it
    blocks = 2 * BLOCK_ROWS * 4 * recipe.dimension
    return recipe.bytes * 3 // 2 + survey.training.nbytes + survey.queries.nbytes + blocks + scratch


def build_index(recipe: Recipe, training: Float32, blocks: Iterator[Float32]) -> Any:
    """Return the trained and filled FAISS index."""
    index = FAISS.index_factory(recipe.dimension, recipe.factory, faiss.METRIC_INNER_PRODUCT)
    if recipe.kind == "ivf":
        index.cp.seed, index.cp.niter = SEED, 8
        index.cp.min_points_per_centroid = 1  # the sample is bounded by the memory limit; FAISS would only complain
        if recipe.codes == "pq":
            index.pq.cp.min_points_per_centroid = 1
            index.do_polysemous_training = False  # on by default, slow, and for a search that is not done here
        if hasattr(FAISS, "StandardGpuResources") and FAISS.get_num_gpus() > 0:
            index.clustering_index = FAISS.index_cpu_to_all_gpus(FAISS.IndexFlatIP(recipe.dimension))
    else:
        index.hnsw.efConstruction = 80
    index.train(training)
    for block in blocks:
        index.add(block)
    return index


def tune(
    index: Any, recipe: Recipe, vectors: Float32, sample: RecallSample, config: IndexConfig
) -> tuple[dict[str, int | float], Recall]:
    """Return the least effort, and at it the least overfetch, that reach the target recall, and the recall there.

    If nothing does, the parameters and the recall of the greatest effort that is allowed.
    """
    bound = MOST_EF if recipe.kind == "hnsw" else SCANNED_ROWS * recipe.n_lists // recipe.n

    def measure(effort: int, factor: int) -> tuple[dict[str, int | float], Recall]:
        parameters = parameters_of(recipe, effort, factor)
        search = make_parameters(recipe.kind, recipe.codes, parameters)
        return parameters, measure_recall(index, search, vectors, sample, factor)

    for effort in (effort for effort in recipe.efforts if config.kind != "auto" or effort <= bound):
        # An HNSW walk keeps as many candidates as are fetched, so fetching more than the effort would hide the effort.
        factors = [factor for factor in OVERFETCH if recipe.kind == "ivf" or 10 * factor <= effort]
        most = measure(effort, factors[-1])
        if most[1].reaches(config.target_recall):
            less = (measure(effort, factor) for factor in factors[:-1])
            return next((one for one in less if one[1].reaches(config.target_recall)), most)
    return most


def parameters_of(recipe: Recipe, effort: int, overfetch: int) -> dict[str, int | float]:
    """Return what goes into `IndexChoice.parameters`."""
    if recipe.kind == "ivf":
        return {"nlist": recipe.n_lists, "nprobe": effort, "overfetch": overfetch}
    return {"m": LINKS, "ef_search": effort, "overfetch": overfetch}


def describe(parameters: dict[str, int | float]) -> str:
    """Return the parameters as people read them."""
    if "nlist" in parameters:
        return f"{parameters['nprobe']} of {parameters['nlist']} lists and {parameters['overfetch']} candidates a hit"
    return f"ef_search {parameters['ef_search']} and {parameters['overfetch']} candidates a hit"
