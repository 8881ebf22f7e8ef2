"""A world and a seed → a `Study`, as if its arms had answered: texts, hits, scores and costs, no model.

Whether an arm is right is drawn through a Gaussian copula: questions are hard or easy for all arms alike, so that arms
of equal skill mostly agree, as real ones do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from workbench.config import ArmConfig, EvaluationConfig
from workbench.evaluation import score_answer
from workbench.types import CaseCosts, CaseRecord, HitRecord, Question, Span, Split
from workbench.verdict import ArmRun, Study
from workbench.verdict.router_features import Vectors
from workbench.verdict.routing import ROUTED, route
from worlds.nouns import ARMS, Topic, World

NOT_FOUND = "not in the documents"
SEED_SPREAD = 0.05  # of a trained arm's skill between training seeds, in probits
ELSE = 0.02  # skill of an arm that a topic does not name
DIMENSION = 64  # of a question's embedding
TOPIC_SPREAD = 2.0  # of the embeddings of one topic, in lengths of the topic's own direction
WORDS = ("amber", "basalt", "cedar", "delta", "ember", "fjord", "garnet", "hazel", "indigo", "jasper", "kelp", "larch")


def simulate(world: World, seed: int) -> Study:
    """Return the study of one draw of `world`; equal seeds give equal studies."""
    draws = np.random.default_rng([seed, sum(map(ord, world.name))])
    weights = np.array([topic.weight for topic in world.topics])
    places = draws.choice(len(weights), size=world.n_questions, p=weights / weights.sum())
    topics = [world.topics[place] for place in places]
    questions = [_question(number, topic, draws) for number, topic in enumerate(topics)]
    luck = draws.standard_normal(world.n_questions)
    hits = [_hits(question, topic, draws) for question, topic in zip(questions, topics, strict=True)]
    arms = {}
    for name in world.arms:
        records: list[CaseRecord] = []
        for training_seed in range(world.n_seeds) if ARMS[name].adapter else (None,):
            shift = SEED_SPREAD * draws.standard_normal() if training_seed is not None and world.n_seeds > 1 else 0.0
            right = _right(world, name, topics, luck + shift, draws)
            records += [
                _record(world, name, asked, right=bool(is_right), training_seed=training_seed, draws=draws)
                for *asked, is_right in zip(questions, topics, hits, right, strict=True)
            ]
        price = world.prices[name]
        build = {"build_seconds": price.index + price.train, "index_seconds": price.index}
        arms[name] = ArmRun(name, ARMS[name], records, build | {"training_seconds": price.train})
    study = Study(
        questions={question.id: question for question in questions},
        arms=arms,
        evaluation=EvaluationConfig(ranked_by="f1", margin=world.margin),
        wishes=world.wishes,
        seed=seed,
    )
    return _with_router(study, world) if world.routed else study


def _with_router(study: Study, world: World) -> Study:
    routing = route(study, vectors=_vectors(study))
    assert routing is not None
    prices = [world.prices[name] for name in world.arms]
    index, train = max(price.index for price in prices), sum(price.train for price in prices)
    build = {"build_seconds": index + train, "index_seconds": index, "training_seconds": train}
    return replace(
        study, arms={**study.arms, ROUTED: ArmRun(ROUTED, ArmConfig(strategy="routed"), routing.records, build)}
    )


def _vectors(study: Study) -> Vectors:
    """Return unit embeddings, by draws of their own: questions of one topic point roughly the same way."""
    kinds = sorted({question.kind for question in study.questions.values()})
    draws = np.random.default_rng([study.seed, DIMENSION])
    middles = dict(zip(kinds, draws.standard_normal((len(kinds), DIMENSION)), strict=True))
    rows = {}
    for id_, question in study.questions.items():
        row = middles[question.kind] + TOPIC_SPREAD * draws.standard_normal(DIMENSION)
        rows[id_] = (row / np.linalg.norm(row)).astype(np.float32)
    return Vectors(rows, seconds=0.01)


def _question(number: int, topic: Topic, draws: np.random.Generator) -> Question:
    answer = " ".join(draws.choice(WORDS, size=2, replace=False))
    return Question(
        id=f"q{number:04d}",
        text=f"What is item {number} of {topic.kind}?",
        answers=(answer,),
        relevant=(Span(document_id=f"doc-{number}", start=0, end=len(answer)),),
        split=Split.SEEN if number % 2 else Split.NEW,
        kind=topic.kind,
        group=f"doc-{number}",
    )


def _right(
    world: World, arm: str, topics: list[Topic], luck: NDArray[np.float64], draws: np.random.Generator
) -> NDArray[np.bool_]:
    own = draws.standard_normal(len(luck))
    needed = norm.ppf([1 - topic.skill.get(arm, ELSE) for topic in topics])
    return np.asarray(np.sqrt(world.agreement) * luck + np.sqrt(1 - world.agreement) * own > needed)


def _hits(question: Question, topic: Topic, draws: np.random.Generator) -> tuple[HitRecord, ...]:
    found = draws.random() < topic.found
    best = float(np.clip(draws.normal(topic.best_score, 0.08), 0.05, 0.99))
    gaps = np.abs(draws.normal(0.02 + 0.2 * topic.best_score, 0.03, size=3)).cumsum()
    own, number = question.relevant[0].document_id, int(question.id[1:])
    documents = [own if found else f"doc-other-{number}", *(f"doc-far-{number}-{place}" for place in range(3))]
    scores = [best, *(best - gaps)]
    return tuple(
        HitRecord(document_id=document, start=0, end=120, score=float(score), in_prompt=place < 2)
        for place, (document, score) in enumerate(zip(documents, scores, strict=True))
    )


def _record(
    world: World,
    arm: str,
    asked: Sequence[Any],  # the question, its topic, what retrieval finds
    *,
    right: bool,
    training_seed: int | None,
    draws: np.random.Generator,
) -> CaseRecord:
    question, topic, hits = asked
    answer = _answer(question.answers[0], right, draws)
    retrieves = ARMS[arm].strategy == "rag"
    assert question.split is not None
    return CaseRecord(
        question_id=question.id,
        arm=arm,
        split=question.split,
        kind=question.kind,
        answer=answer,
        scores=score_answer(question, answer, NOT_FOUND)
        | {"gold_logprob": float(draws.normal(-1.0 if right else -4.0, 0.5))},
        hits=hits if retrieves else (),
        costs=CaseCosts(
            seconds=float(world.prices[arm].question * draws.lognormal(0, 0.15)),
            retrieval_seconds=0.01 if retrieves else 0.0,
            prompt_tokens=int(draws.integers(380, 520) if retrieves else draws.integers(40, 60)),
            new_tokens=int(draws.integers(3, 24)),
        ),
        training_seed=training_seed,
        entropy=float(np.abs(draws.normal(topic.entropy, 0.4))) if arm == "base" else 2.0,
    )


def _answer(gold: str, right: bool, draws: np.random.Generator) -> str:
    """A right answer is the gold one, one in six with a word too many; a wrong one shares a word one time in eight."""
    if right:
        return gold if draws.random() < 5 / 6 else f"{gold} indeed"
    first, second = draws.choice([word for word in WORDS if word not in gold.split()], size=2, replace=False)
    return f"{gold.split(maxsplit=1)[0]} {second}" if draws.random() < 1 / 8 else f"{first} {second}"
