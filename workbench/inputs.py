"""What each stage depends on, as one fingerprint. Too wide costs a rerun of hours; too narrow reuses something stale.

Left out on purpose: memory caps, patience (they change no number), and which arms are controls (it changes no answer).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.config import ArmConfig, LocalEngineConfig, RecipeConfig
from workbench.corpus import cutter_version
from workbench.hardware import describe_versions
from workbench.parts import Parts, RetrievalFit
from workbench.runs import fingerprint, fingerprint_file
from workbench.types import Split

CAPS = {"prefix_cache_gib", "prefix_disk_gib"}
PATIENCE = {"api_key_env", "timeout_seconds", "retries"}  # of an engine elsewhere


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


def dataset_inputs(parts: Parts, *, collection: str, fit: RetrievalFit) -> str:
    """The documents, the questions that are kept out, how rows are made, filtered and shown, who writes them."""
    config = parts.config
    replay = config.dataset.replay_path
    return fingerprint(
        parts.corpus.fingerprint,
        parts.questions.fingerprint,
        collection,
        _retrieval(parts),
        fit,
        config.dataset,
        fingerprint_file(replay) if replay else None,
        config.prompt,
        config.seed,
        parts.generator_files.fingerprint,
        parts.embedder_files.fingerprint,
    )


def train_inputs(
    parts: Parts, name: str, recipe: RecipeConfig, *, collection: str, fit: RetrievalFit, rows: str | None = None
) -> str:
    """The questions learned from, the recipe, the base model; for a reader also what retrieval would show it.

    Args:
        rows: the fingerprint of a dataset's rows; None: the adapter learns from questions.
    """
    config = parts.config
    adapter = config.training.adapters[name]
    forbidden = sorted(parts.questions.forbidden)
    reads = (collection, _retrieval(parts), fit, forbidden) if adapter.examples == "reader" else ()
    return fingerprint(
        [parts.questions.of(split) for split in (Split.TRAIN, Split.DEV)],
        reads,
        rows,
        adapter.model_dump(mode="json", exclude={"folder"}),
        config.training.allow_findings,
        config.gates.canary_candidates if config.gates.enabled and config.gates.canaries else None,
        recipe.model_dump(exclude=CAPS),
        config.prompt,
        config.seed,
        parts.generator_files.fingerprint,
        [*map(str, parts.device_and_dtype), parts.config.models.quantize],
    )


def check_inputs(parts: Parts, *, trained: str, weights: str) -> str:
    """The training and its weights (SHA-256), the gates' bounds, how answers are generated."""
    config = parts.config
    generation = config.generation.model_dump(exclude=CAPS) | {
        "engine": LocalEngineConfig().model_dump()
    }  # always here
    return fingerprint(trained, weights, config.gates, generation)


def answer_inputs(parts: Parts, *, collection: str, adapters: Mapping[str, Sequence[str]], fit: RetrievalFit) -> str:
    """The test questions, the collection, the arms, the adapters' weights (SHA-256), engine settings and versions."""
    config = parts.config
    return fingerprint(
        parts.questions.test,
        collection,
        adapters,
        [(name, _answering(parts, arm)) for name, arm in config.arms.items() if arm.strategy != "routed"],
        config.generation.model_dump(exclude={**dict.fromkeys(CAPS, True), "engine": PATIENCE}),
        config.prompt,
        _retrieval(parts),
        fit,
        parts.generator_files.fingerprint,
        parts.embedder_files.fingerprint,
        [*map(str, parts.device_and_dtype), parts.config.models.quantize],
        describe_versions(),
        *_race(parts),
    )


def inputs_by_arm(
    parts: Parts, *, collection: str, adapters: Mapping[str, Sequence[str]], fit: RetrievalFit
) -> dict[str, str]:
    """What decides each arm's answers, whatever the run's other arms are; a routed arm's are decided by all of them.

    Equal inputs give equal answers but for rounding: batches are fixed over the prompts of all arms, and in bf16 a
    batch's composition can flip a token.

    Args:
        adapters: by adapter, the SHA-256 of its weights, one a training seed.
    """
    arms, routed = parts.config.arms, parts.config.routed_arm
    found = {
        name: _arm_inputs(parts, name, collection=collection, weights=adapters.get(arm.adapter or "", ()), fit=fit)
        for name, arm in arms.items()
        if name != routed
    }
    if routed is not None:
        found[routed] = router_inputs(parts, answers=fingerprint(found))
    return {name: found[name] for name in arms}


def _arm_inputs(parts: Parts, name: str, *, collection: str, weights: Sequence[str], fit: RetrievalFit) -> str:
    config, arm = parts.config, parts.config.arms[name]
    elsewhere = ("adapter", "retrieval", "passages")  # told by weights and by what is read
    answering = {key: value for key, value in _answering(parts, arm).items() if key not in elsewhere}
    return fingerprint(
        parts.questions.test,
        answering,
        weights,
        config.generation.model_dump(exclude={**dict.fromkeys(CAPS, True), "engine": PATIENCE}),
        config.prompt,
        _passages(parts, name, collection=collection, fit=fit),
        parts.generator_files.fingerprint,
        [*map(str, parts.device_and_dtype), config.models.quantize],
        describe_versions(),
    )


def router_inputs(parts: Parts, *, answers: str) -> str:
    """The answers a router learnt from (their stage's inputs), what ranks them, which arms compete, the seed."""
    config = parts.config
    arms = [(name, arm.strategy, arm.control) for name, arm in config.arms.items()]
    return fingerprint(answers, config.evaluation.ranked_by, config.evaluation.margin, arms, config.seed)


def _answering(parts: Parts, arm: ArmConfig) -> dict[str, object]:
    """What decides an arm's answers; what it does not set is left out, so that runs of before keep theirs."""
    settings = arm.model_dump(exclude={"control"})
    own = {"shots": parts.shots(arm.shots), "retrieval": arm.retrieval, "merged": arm.merged}
    del settings["shots"], settings["retrieval"], settings["merged"]
    return settings | {key: value for key, value in own.items() if value}


def _passages(parts: Parts, name: str, *, collection: str, fit: RetrievalFit) -> object:
    """What decides which passages an arm reads; nothing for one that reads none."""
    config, arm = parts.config, parts.config.arms[name]
    if arm.strategy == "closed_book":
        return None
    if arm.strategy == "oracle":
        return collection
    own = config.retrieval_of(name)
    reranker = () if own.rerank is None else (parts.reranker_files.fingerprint, config.models.reranker_backend)
    fitted = RetrievalFit() if own != config.retrieval else fit
    n_passages = arm.passages or own.passages
    searched = own.model_dump(exclude={"passages"})
    return (collection, parts.embedder_files.fingerprint, searched, n_passages, reranker, fitted)


def _race(parts: Parts) -> list[object]:
    """What decides which arms stop answering; nothing where none does, so that runs of before keep their answers."""
    evaluation, wishes = parts.config.evaluation, parts.config.decision
    if not evaluation.racing.enabled:
        return []
    ranking = (evaluation.ranked_by, evaluation.margin, evaluation.confidence)
    excluding = (wishes.sources_needed, wishes.weights_may_hold_corpus, wishes.seen_share)
    limits = [limit is not None for limit in (wishes.max_seconds, wishes.max_memory_gib, wishes.max_build_hours)]
    controls = [name for name, arm in parts.config.arms.items() if arm.control]
    return [evaluation.racing, ranking, excluding, any(limits), parts.config.seed, controls]


def _retrieval(parts: Parts) -> object:
    """The retrieval settings, with the reranker's weights and what computes them where it is used."""
    config = parts.config.retrieval
    if config.rerank is None:
        return (config, None)
    return (config, parts.reranker_files.fingerprint, parts.config.models.reranker_backend)
