"""An experiment's config → its prior: documents and questions are read, nothing is loaded, embedded or trained."""

from __future__ import annotations

from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import safe_open

from workbench.config import ExperimentConfig
from workbench.errors import MissingModelError
from workbench.expected import Figures, Prior
from workbench.models import find_model
from workbench.parts import Parts
from workbench.prior.figures import read_figures
from workbench.prior.lean import weigh


def foresee(config: ExperimentConfig) -> tuple[Prior, Figures]:
    """Return what the criteria lean to, and the figures behind them.

    Raises:
        WorkbenchError: corpus or questions cannot be read, as for a run.
    """
    with TemporaryDirectory() as scratch:
        parts = Parts(config, Path(scratch))
        documents, questions = parts.corpus.documents, parts.questions.questions
    figures = read_figures(documents, questions, parameters=_count_parameters(config.models.generator))
    return weigh(figures, config.decision, n_checks=len(config.evaluation.checks)), figures


def _count_parameters(generator: str) -> float | None:
    """Return the parameters that the base model's files hold; None: it is not on this machine."""
    try:
        folder = find_model(generator, kind="generator").folder
    except MissingModelError:
        return None
    total = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as weights:
            total += sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return float(total)
