"""The simulated worlds: each states what is true, which arm is therefore right, and why."""

from __future__ import annotations

from workbench.config import DecisionConfig
from worlds.nouns import PRICES, UNDECIDED, Topic, World

WORLDS: tuple[World, ...] = (
    World(
        "known_facts",
        "the base model knows the answers; nothing adds to them, all else is dearer",
        frozenset({"base"}),
        (
            Topic(
                "known", 1, {"base": 0.8, "rag": 0.78, "lora": 0.8, "rag_lora": 0.78, "rag_reader": 0.78}, entropy=0.5
            ),
        ),
        agreement=0.95,
        n_questions=900,
    ),
    World(
        "new_facts",
        "the facts are new: passages answer, weights do not, and a reader adds nothing to a model that reads",
        frozenset({"rag"}),
        (Topic("fact", 1, {"base": 0.03, "rag": 0.75, "lora": 0.12, "rag_lora": 0.72, "rag_reader": 0.75}),),
        agreement=0.95,
        n_questions=600,
    ),
    World(
        "house_format",
        "the task is a format; passages do not hold it, training shows it",
        frozenset({"lora"}),
        (
            Topic(
                "format", 1, {"base": 0.05, "rag": 0.06, "lora": 0.85, "rag_lora": 0.84, "rag_reader": 0.4}, found=0.2
            ),
        ),
    ),
    World(
        "few_labels",
        "one of a few labels: the base guesses, the adapter has learnt them",
        frozenset({"lora"}),
        (Topic("label", 1, {"base": 0.3, "rag": 0.32, "lora": 0.7, "rag_lora": 0.68, "rag_reader": 0.45}, found=0.3),),
    ),
    World(
        "distractors",
        "every question finds passages that nearly answer it; only the reader was trained among distractors",
        frozenset({"rag_reader"}),
        (Topic("fact", 1, {"base": 0.03, "rag": 0.3, "lora": 0.08, "rag_lora": 0.34, "rag_reader": 0.66}),),
    ),
    World(
        "both_needed",
        "facts from passages in the house format: neither part alone answers",
        frozenset({"rag_lora"}),
        (Topic("report", 1, {"base": 0.02, "rag": 0.2, "lora": 0.15, "rag_lora": 0.75, "rag_reader": 0.5}),),
    ),
    World(
        "half_of_each",
        "half the questions need passages, half the trained format; what retrieval finds tells them apart",
        frozenset({"routed"}),
        (
            Topic(
                "fact",
                1,
                {"base": 0.03, "rag": 0.75, "lora": 0.05, "rag_lora": 0.35, "rag_reader": 0.4},
                best_score=0.75,
            ),
            Topic(
                "format",
                1,
                {"base": 0.05, "rag": 0.05, "lora": 0.8, "rag_lora": 0.35, "rag_reader": 0.1},
                found=0.1,
                best_score=0.3,
            ),
        ),
        routed=True,
    ),
    World(
        "topics_apart",
        "half the questions need passages, half the trained format; only what a question is about tells them apart",
        frozenset({"routed"}),
        (
            Topic("fact", 1, {"base": 0.03, "rag": 0.75, "lora": 0.05, "rag_lora": 0.35, "rag_reader": 0.4}),
            Topic("form", 1, {"base": 0.05, "rag": 0.05, "lora": 0.8, "rag_lora": 0.35, "rag_reader": 0.1}),
        ),
        routed=True,
    ),
    World(
        "nothing_to_route",
        "passages are best whatever the question: a router must see that, and is dearer to build",
        frozenset({"rag"}),
        (Topic("fact", 1, {"base": 0.03, "rag": 0.75, "lora": 0.12, "rag_lora": 0.6, "rag_reader": 0.6}),),
        n_questions=600,
        agreement=0.95,
        routed=True,
    ),
    World(
        "wrong_corpus",
        "the documents are about something else: passages distract, training on them harms a little",
        frozenset({"base"}),
        (
            Topic(
                "known",
                1,
                {"base": 0.6, "rag": 0.45, "lora": 0.54, "rag_lora": 0.42, "rag_reader": 0.46},
                found=0.05,
                best_score=0.25,
                entropy=0.8,
            ),
        ),
    ),
    World(
        "tie",
        "two arms of equal skill and price, and too few questions to say more",
        frozenset({UNDECIDED}),
        (Topic("fact", 1, {"base": 0.03, "rag": 0.6, "rag_lora": 0.6}),),
        n_questions=80,
        margin=0.01,
        prices={**PRICES, "rag_lora": PRICES["rag"]},
        arms=("base", "rag", "rag_lora"),
    ),
    World(
        "all_fail",
        "no arm beats the base model, which hardly answers anything",
        frozenset({"base"}),
        (Topic("fact", 1, dict.fromkeys(("base", "rag", "lora", "rag_lora", "rag_reader"), 0.03), found=0.1),),
        n_questions=800,
    ),
    World(
        "fast_changing",
        "weights and passages answer equally well, but the documents change daily and training again is dear",
        frozenset({"rag"}),
        (Topic("fact", 1, {"base": 0.03, "rag": 0.9, "lora": 0.9, "rag_lora": 0.9}),),
        n_questions=600,
        agreement=0.95,
        wishes=DecisionConfig(questions_per_month=1000, updates_per_month=30),
        arms=("base", "rag", "lora", "rag_lora"),
    ),
    World(
        "same_questions_in_volume",
        "the same world, never changing, with a million questions a month: training pays for itself",
        frozenset({"lora"}),
        (Topic("fact", 1, {"base": 0.03, "rag": 0.9, "lora": 0.9, "rag_lora": 0.9}),),
        n_questions=600,
        agreement=0.95,
        wishes=DecisionConfig(questions_per_month=1_000_000),
        arms=("base", "rag", "lora", "rag_lora"),
    ),
    World(
        "sources_needed",
        "the adapter answers best from weights, but answers must show where they come from",
        frozenset({"rag_lora"}),
        (Topic("fact", 1, {"base": 0.03, "rag": 0.4, "lora": 0.85, "rag_lora": 0.7, "rag_reader": 0.5}),),
        wishes=DecisionConfig(sources_needed=True),
    ),
    World(
        "sensitive_documents",
        "adapters answer best, but the documents may not go into weights",
        frozenset({"rag"}),
        (Topic("fact", 1, {"base": 0.03, "rag": 0.5, "lora": 0.6, "rag_lora": 0.75, "rag_reader": 0.8}),),
        wishes=DecisionConfig(weights_may_hold_corpus=False),
    ),
    World(
        "short_answers_in_time",
        "the reader is best and too slow; the adapter is next and quick",
        frozenset({"lora"}),
        (Topic("fact", 1, {"base": 0.03, "rag": 0.3, "lora": 0.5, "rag_lora": 0.5, "rag_reader": 0.7}),),
        wishes=DecisionConfig(max_seconds=0.35),
    ),
    World(
        "five_seeds",
        "the reader is best over all of its training seeds, though they differ",
        frozenset({"rag_reader"}),
        (Topic("fact", 1, {"base": 0.03, "rag": 0.3, "lora": 0.08, "rag_lora": 0.4, "rag_reader": 0.6}),),
        n_questions=200,
        n_seeds=5,
    ),
)
