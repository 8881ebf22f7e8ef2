"""Measured questions → a router, or the knowledge that none gains; and each question's choice under cross-validation.

Inside the questions it is given, cross-validation over documents decides what is worth looking at (the base's draft is
dear, the question's embedding nearly free), how strongly to regularise, and whether to route at all: a router that does
not clearly gain over the best single arm gives way to it. Whatever is fitted, the components of the embeddings too, is
fitted anew inside each fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from workbench.verdict.router_features import DRAFT, Floats, Places, Seen
from workbench.verdict.router_model import RouterModel, fit_router, fit_space

FOLDS, INNER_FOLDS = 5, 4
STRENGTHS = (1.0, 10.0, 100.0)  # of the ridge
CLEARLY = 1.0  # standard errors by which routing must gain on the training questions


class Sight(NamedTuple):
    """What a router looks at beside the retrieval's scores and the question's wording."""

    draft: bool
    embedding: bool


@dataclass(frozen=True, slots=True)
class Lesson:
    """Q questions as measured.

    Attributes:
        values: (Q, A), each arm's score less what its seconds weigh.
        groups: the document of each question; those of one are never divided between learning and testing.
        prices: what can be looked at → (A,), what looking weighs beside each arm, in units of the score.
    """

    seen: Seen
    values: Floats
    groups: Sequence[str]
    prices: Mapping[Sight, Floats]

    def take(self, places: Places) -> Lesson:
        """Return the questions at `places`."""
        groups = [self.groups[place] for place in places]
        return Lesson(self.seen.take(places), self.values[places], groups, self.prices)

    @property
    def best(self) -> int:
        """The best single arm."""
        return int(self.values.mean(axis=0).argmax())


class Learned(NamedTuple):
    """A router that gained clearly. Its model's values are net of what looking weighs."""

    sight: Sight
    model: RouterModel


@dataclass(frozen=True, slots=True)
class Choices:
    """Each question's arm (Q,), its fold's best single arm (Q,), and what was looked at; None: nothing was."""

    arms: Places
    fixed: Places
    sights: tuple[Sight | None, ...]


def choose(lesson: Lesson, seed: int) -> Choices:
    """Choose each question's arm by a router that saw neither the question nor its document."""
    arms, fixed = np.zeros(len(lesson.values), dtype=np.int64), np.zeros(len(lesson.values), dtype=np.int64)
    sights: list[Sight | None] = [None] * len(lesson.values)
    for train, test in _folds(lesson.groups, FOLDS, seed):
        known = lesson.take(train)
        fixed[test] = arms[test] = known.best
        learned = learn(known, seed)
        if learned is not None:
            arms[test] = learned.model.expect(lesson.seen.take(test)).argmax(axis=1)
            for place in test:
                sights[place] = learned.sight
    return Choices(arms, fixed, tuple(sights))


def learn(lesson: Lesson, seed: int) -> Learned | None:
    """Return the router that gains most over the best single arm; None: none gains clearly."""
    ways = list(product(lesson.prices, STRENGTHS))
    gains = _gains(lesson, ways, seed)  # (W, Q)
    means, errors = gains.mean(axis=1), gains.std(axis=1, ddof=1) / np.sqrt(gains.shape[1])
    clear = (means > CLEARLY * errors) & (errors > 0)
    if not clear.any():
        return None
    sight, strength = ways[int(np.where(clear, means, -np.inf).argmax())]
    return Learned(sight, _fit(lesson, [(sight, strength)])[0])


def _gains(lesson: Lesson, ways: Sequence[tuple[Sight, float]], seed: int) -> Floats:
    """Return what each way to route gains over the best single arm on each held-out question, (W, Q)."""
    gains = np.zeros((len(ways), len(lesson.values)))
    for train, test in _folds(lesson.groups, INNER_FOLDS, seed + 1):
        asked = lesson.seen.take(test)
        for place, model in enumerate(_fit(lesson.take(train), ways)):
            chosen = model.expect(asked).argmax(axis=1)
            paid = lesson.prices[ways[place][0]][chosen]
            gains[place, test] = lesson.values[test, chosen] - paid - lesson.values[test, lesson.best]
    return gains


def _fit(lesson: Lesson, ways: Sequence[tuple[Sight, float]]) -> list[RouterModel]:
    """Fit one model a way. The space is fitted once: what a way does not look at is left out of it."""
    whole, models = fit_space(lesson.seen), []
    for sight, strength in ways:
        names = tuple(name for name in whole.names if sight.draft or name not in DRAFT)
        space = whole.only(names, embedding=sight.embedding)
        models.append(fit_router(space, lesson.seen, lesson.values - lesson.prices[sight], strength=strength))
    return models


def _folds(groups: Sequence[str], n: int, seed: int) -> list[tuple[Places, Places]]:
    """Return (training places, test places) of each fold; the questions of one group stay together."""
    from sklearn.model_selection import GroupKFold

    n = min(n, len(set(groups)))
    return list(GroupKFold(n, shuffle=True, random_state=seed).split(np.zeros(len(groups)), groups=groups))
