"""A full grid: every arm's score and tokens on every question, from a finished run's folder or from a planted world.

The worlds are not the proof of the whole verdict (scripts/planted_worlds.py is); they only have as many near-ties,
failures and partly right answers as runs of this workbench have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.config import ExperimentConfig, load_config
from workbench.errors import MissingFileError
from workbench.evaluation.racing import built_for
from workbench.evaluation.summary import counted_scores
from workbench.runs import read_lines
from workbench.types import CaseRecord, Question

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """All that was measured of the arms that are ranked.

    Attributes:
        scores: shape (N, K), in [0, 1], in the order the questions were asked.
        prompt_tokens, new_tokens: shape (N, K).
        needs: by arm, what must be built for it.
        costs: by arm, of a question, building included: what the recommendation goes by.
    """

    name: str
    scores: Float64
    prompt_tokens: Float64
    new_tokens: Float64
    needs: Mapping[str, frozenset[str]]
    costs: Mapping[str, float]
