"""What a simulated world is made of. Probabilities and seconds are planted; everything after them is the product's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.config import ArmConfig, DecisionConfig

UNDECIDED = "undecided"
ARMS: Mapping[str, ArmConfig] = {
    "base": ArmConfig(strategy="closed_book"),
    "rag": ArmConfig(strategy="rag"),
    "lora": ArmConfig(strategy="closed_book", adapter="closed_book"),
    "rag_lora": ArmConfig(strategy="rag", adapter="closed_book"),
    "rag_reader": ArmConfig(strategy="rag", adapter="reader"),
}


@dataclass(frozen=True, slots=True)
class Topic:
    """Questions of one kind: how likely each arm answers them rightly, and what can be seen of it beforehand.

    Attributes:
        weight: share of the questions, in units of the other topics' weights.
        skill: arm → probability of a right answer; an arm left out has 0.02.
        found: probability that a right passage is retrieved.
        best_score: mean of the best hit's score; the margin to the second grows with it.
        entropy: mean entropy of the base model's draft, in nats.
    """

    kind: str
    weight: float
    skill: Mapping[str, float]
    found: float = 0.9
    best_score: float = 0.6
    entropy: float = 2.0


@dataclass(frozen=True, slots=True)
class Price:
    """Seconds: to index, to train, a question."""

    index: float = 0.0
    train: float = 0.0
    question: float = 0.2


PRICES: Mapping[str, Price] = {
    "base": Price(question=0.20),
    "rag": Price(index=10, question=0.45),
    "lora": Price(train=300, question=0.21),
    "rag_lora": Price(index=10, train=300, question=0.47),
    "rag_reader": Price(index=10, train=600, question=0.46),
}


@dataclass(frozen=True, slots=True)
class World:
    """A planted world. `best` holds the recommendations that are right; UNDECIDED stands for none."""

    name: str
    why: str
    best: frozenset[str]
    topics: tuple[Topic, ...]
    n_questions: int = 400
    n_seeds: int = 1  # training seeds of the arms with an adapter
    agreement: float = 0.9  # correlation of two arms' luck on one question
    margin: float = 0.05
    prices: Mapping[str, Price] = field(default_factory=lambda: PRICES)
    wishes: DecisionConfig = field(default_factory=DecisionConfig)
    arms: tuple[str, ...] = ("base", "rag", "lora", "rag_lora", "rag_reader")
    routed: bool = False  # an arm that chooses among the others competes as well
