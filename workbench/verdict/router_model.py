"""The router's numbers: what is seen of a question → each arm's expected value. One ridge an arm, embeddings reduced.

Fitted by scikit-learn on the questions it is given and on nothing else, so that a fold's model knows nothing of what it
is tested on, the principal components of the embeddings included. It is kept as plain numbers: the model in memory is
the one on disk, and choosing needs no scikit-learn.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from workbench.types import Frozen
from workbench.verdict.router_features import EMBEDDING, Floats, Seen

COMPONENTS = 32  # of the embedding at most ...
QUESTIONS_PER_COMPONENT = 10  # ... and one for so many training questions
LEAST_SPREAD = 1e-6  # of a component: whitening would blow up a direction in which the questions do not differ
FARTHEST = 4.0  # standard deviations: a question unlike all that were measured is not extrapolated to any further
Number = Annotated[float, Field(allow_inf_nan=False)]
Row = tuple[Number, ...]


class Space(Frozen):
    """What is seen → standardised columns: first the named features, then the embedding's components.

    Invariant: `centre` and `scale` have one number a name; `components` are (C, D), D the length of `vector_centre`.
    """

    names: tuple[str, ...]
    centre: Row
    scale: Row
    vector_centre: Row = ()  # empty: no embedding is looked at
    components: tuple[Row, ...] = ()  # scaled: a projection has unit variance over the training questions

    @model_validator(mode="after")
    def _shapes_agree(self) -> Space:
        lengths = {len(self.names), len(self.centre), len(self.scale)}
        if len(lengths) > 1 or any(len(row) != len(self.vector_centre) for row in self.components):
            raise ValueError("the space's numbers do not fit each other")
        if not all(self.scale):
            raise ValueError("the space scales by 0")
        return self

    def columns(self, seen: Seen) -> Floats:
        """Return the standardised columns of Q questions, (Q, F + C)."""
        named = np.zeros((len(seen.vectors), 0))
        if self.names:
            named = np.column_stack([seen.named[name] for name in self.names])  # (Q, F)
            named = (named - np.array(self.centre)) / np.array(self.scale)
        projected = np.zeros((len(named), 0))
        if self.components:
            projected = (seen.vectors - np.array(self.vector_centre)) @ np.array(self.components).T  # (Q, C)
        columns: Floats = np.clip(np.hstack([named, projected]), -FARTHEST, FARTHEST)
        return columns

    def only(self, names: tuple[str, ...], *, embedding: bool) -> Space:
        """Return the part of it that looks at these features."""
        kept = [place for place, name in enumerate(self.names) if name in names]
        fields: dict[str, Any] = {
            "names": tuple(self.names[place] for place in kept),
            "centre": tuple(self.centre[place] for place in kept),
            "scale": tuple(self.scale[place] for place in kept),
        }
        return self.model_copy(update=fields if embedding else fields | {"vector_centre": (), "components": ()})


class RouterModel(Frozen):
    """Expected value of each arm: linear in the space's columns. `weights`: (A, F + C), `intercepts`: (A,)."""

    space: Space
    weights: tuple[Row, ...]
    intercepts: Row

    @model_validator(mode="after")
    def _shapes_agree(self) -> RouterModel:
        n_columns = len(self.space.names) + len(self.space.components)
        if len(self.weights) != len(self.intercepts) or any(len(row) != n_columns for row in self.weights):
            raise ValueError("the weights do not fit the space or the intercepts")
        return self

    def expect(self, seen: Seen) -> Floats:
        """Return the expected values, (Q, A)."""
        values: Floats = self.space.columns(seen) @ np.array(self.weights).T + np.array(self.intercepts)
        return values

    def lead(self, seen: Seen, first: int, second: int) -> dict[str, float]:
        """Return what each feature of one question adds to arm `first`'s lead over `second`, the greatest first.

        The components of the embedding count as one.
        """
        column = self.space.columns(seen)[0]  # (F + C,)
        parts = column * (np.array(self.weights[first]) - np.array(self.weights[second]))
        n_named = len(self.space.names)
        told = dict(zip(self.space.names, map(float, parts[:n_named]), strict=True))
        if self.space.components:
            told[EMBEDDING] = float(parts[n_named:].sum())
        return dict(sorted(told.items(), key=lambda one: -one[1]))


def fit_space(seen: Seen) -> Space:
    """Fit centres, scales and the principal components of the embeddings to the questions given."""
    named = [(name, float(column.mean()), float(column.std())) for name, column in seen.named.items()]
    centre, components = _reduce(seen.vectors)
    return Space(
        names=tuple(name for name, _, _ in named),
        centre=tuple(mean for _, mean, _ in named),
        scale=tuple(deviation if deviation > 1e-9 * (1 + abs(mean)) else 1.0 for _, mean, deviation in named),
        vector_centre=centre,
        components=components,
    )


def fit_router(space: Space, seen: Seen, values: Floats, *, strength: float) -> RouterModel:
    """Fit one ridge an arm.

    Args:
        values: (Q, A), what each arm is worth on each question.
        strength: the ridge's penalty.
    """
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=strength).fit(space.columns(seen), values)
    return RouterModel(space=space, weights=_rows(model.coef_), intercepts=tuple(map(float, model.intercept_)))


def _reduce(vectors: Floats) -> tuple[Row, tuple[Row, ...]]:
    """Return the mean of the vectors, (D,), and their whitened principal components, (C, D); empty without vectors."""
    from sklearn.decomposition import PCA

    n, dimension = vectors.shape
    wanted = min(COMPONENTS, n // QUESTIONS_PER_COMPONENT, dimension)
    if not wanted or vectors.std(axis=0).max() < LEAST_SPREAD:
        return (), ()
    # Seeded by a constant, so equal questions give equal bytes; an exact solver takes several times as long.
    found = PCA(wanted, svd_solver="randomized", random_state=0).fit(vectors)
    spread = np.sqrt(np.maximum(found.explained_variance_, 0.0))
    kept = spread > LEAST_SPREAD
    return tuple(map(float, found.mean_)), _rows(found.components_[kept] / spread[kept, None])


def _rows(matrix: Floats) -> tuple[Row, ...]:
    return tuple(tuple(map(float, row)) for row in matrix)
