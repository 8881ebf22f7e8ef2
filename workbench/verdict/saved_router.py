"""The router a run leaves for questions to come: router_model.json, plain numbers, stamped with what it was fitted on.

It chooses; what it looks at is brought to it. A constant router (`always`) looks at nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from workbench.errors import RunMismatchError
from workbench.runs import fingerprint
from workbench.types import Frozen, Route
from workbench.verdict.router_features import DRAFT, EMBEDDING, Features, Seen
from workbench.verdict.router_learning import Learned
from workbench.verdict.router_model import RouterModel

FORMAT = 1
NAMED_REASONS = 3


class SavedRouter(Frozen):
    """Which arm to ask. Invariant: either `always` is set, or `model`, with one row of weights an arm.

    Attributes:
        fingerprint: SHA-256 over all other fields.
        fitted_on: fingerprint of the answers it learnt from and of what ranked them; another one: it is stale.
        always: the arm for every question, since choosing gained nothing clearly; None: the model chooses.
        reader: the arm whose passages' scores are looked at.
        draft: the arm whose answer's entropy is looked at; None: none is.
        n: questions it was fitted on.
    """

    format: int = FORMAT
    fingerprint: str
    fitted_on: str
    metric: str
    arms: tuple[str, ...]
    always: str | None
    reader: str
    draft: str | None
    model: RouterModel | None
    n: int

    @model_validator(mode="after")
    def _is_whole(self) -> SavedRouter:
        if self.format != FORMAT:
            raise ValueError(f"it has format {self.format}, this version reads {FORMAT}")
        if self.fingerprint != fingerprint(self.model_dump(mode="json", exclude={"fingerprint"})):
            raise ValueError("its fingerprint does not match its content")
        if (self.always is None) != (self.model is not None and len(self.model.weights) == len(self.arms)):
            raise ValueError("it has to name one arm for all questions, or weights for each arm")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """What is looked at; nothing where one arm is always taken."""
        if self.model is None:
            return ()
        return (*self.model.space.names, *((EMBEDDING,) if self.model.space.components else ()))

    def choose(self, seen: Seen | None) -> Route:
        """Return the arm of the highest expected value, and why; equal values go to the first arm.

        Args:
            seen: the `features` of one question; None where there are none.
        """
        if self.model is None:
            assert self.always is not None
            why = f"on {self.n} measured questions no choice gained clearly over it, so it answers every question"
            return Route(self.always, {}, why)
        assert seen is not None
        values = self.model.expect(seen)[0]  # (A,)
        first, second, *_ = sorted(range(len(self.arms)), key=lambda place: (-values[place], place))
        expected = {name: float(value) for name, value in zip(self.arms, values, strict=True)}
        lead = list(self.model.lead(seen, first, second).items())[:NAMED_REASONS]
        reasons = ", ".join(f"{name} {part:+.3f}" for name, part in lead if part > 0)
        why = (
            f"expected {self.metric} less the weight of its seconds {values[first]:.3f}, next {self.arms[second]} "
            f"{values[second]:.3f}; for it {f'speak {reasons}' if reasons else 'speaks that it is better on average'}"
        )
        return Route(self.arms[first], expected, why)


def make_router(
    learned: Learned | None, *, arms: tuple[str, ...], best: str, features: Features, metric: str, fitted_on: str
) -> SavedRouter:
    """Return the router to save. `learned`: None, no choice gains clearly and arm `best` is always taken."""
    fields: dict[str, Any] = {
        "format": FORMAT,
        "fitted_on": fitted_on,
        "metric": metric,
        "arms": arms,
        "always": best if learned is None else None,
        "reader": features.reader,
        "draft": features.draft if learned is not None and set(DRAFT) & set(learned.model.space.names) else None,
        "model": None if learned is None else learned.model,
        "n": len(features.ids),
    }
    return SavedRouter(fingerprint=fingerprint(fields), **fields)


def read_router(path: Path) -> SavedRouter:
    """Read a saved router. Raises RunMismatchError: there is none, or it is damaged."""
    try:
        return SavedRouter.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise RunMismatchError(
            f"{path.parent} holds no router yet ({path.name} is missing); measure the arms it chooses among: "
            f"{_mend(path)}"
        ) from error
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RunMismatchError(
            f"{path} is damaged or of another version ({reason}); make it again: {_mend(path)}"
        ) from error


def refuse_stale(router: SavedRouter, path: Path, *, fitted_on: str | None) -> None:
    """Raise RunMismatchError where the router learnt from other answers than those of today; None: they are unknown."""
    if fitted_on is None:
        raise RunMismatchError(
            f"{path} was fitted with other adapters: not all that the arms name are trained for this config; "
            f"train and measure again: {_mend(path)}"
        )
    if router.fitted_on != fitted_on:
        raise RunMismatchError(
            f"{path} was fitted on answers {router.fitted_on[:12]}, but this config and its documents, adapters and "
            f"models give {fitted_on[:12]}; measure again: {_mend(path)}"
        )


def _mend(path: Path) -> str:
    return f"workbench evaluate CONFIG --out {path.parent}"
