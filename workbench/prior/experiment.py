"""An experiment's config → its prior: documents and questions are read, nothing is loaded, embedded or trained."""

from __future__ import annotations

from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import assert_never

from safetensors import safe_open

from workbench.config import ArmConfig, ExperimentConfig
from workbench.errors import MissingModelError
from workbench.expected import Arm, Figures, Prior
from workbench.models import find_model
from workbench.parts import Parts
from workbench.prior.figures import read_figures
from workbench.prior.lean import weigh
from workbench.prior.training_time import least_hours


def foresee(config: ExperimentConfig) -> tuple[Prior, Figures]:
    """Return what the criteria lean to, and the figures behind them.

    Raises:
        WorkbenchError: corpus or questions cannot be read, as for a run.
    """
    figures = count(config)
    return judge(config, figures), figures


def count(config: ExperimentConfig) -> Figures:
    """Read documents and questions and return the figures. Raises: as `foresee`."""
    with TemporaryDirectory() as scratch:
        parts = Parts(config, Path(scratch))
        documents, questions = parts.corpus.documents, parts.questions.questions
    return read_figures(documents, questions, parameters=_count_parameters(config.models.generator))


def judge(config: ExperimentConfig, figures: Figures) -> Prior:
    """Return what the criteria lean to under the config's wishes, among its arms."""
    compared: dict[Arm, tuple[str, ...]] = {}
    hours: dict[Arm, float] = {}
    for name, arm in config.arms.items():
        kind = _kind(arm, config)
        if kind is None:
            continue
        compared[kind] = (*compared.get(kind, ()), name)
        least = least_hours(arm.adapter, config, figures) if arm.adapter else None
        if least is not None:
            hours[kind] = min(least, hours.get(kind, least))
    checks = len(config.evaluation.checks)
    return weigh(figures, config.decision, n_checks=checks, compared=compared, training_hours=hours)


def _kind(arm: ArmConfig, config: ExperimentConfig) -> Arm | None:
    """Return the kind that the criteria speak of; None: they speak of none.

    An adapter taught to answer without passages, put before passages, is no kind of its own: the criteria have nothing
    to say on whether it forgets how to read.
    """
    if arm.control:
        return None
    match arm.strategy:
        case "closed_book":
            return "lora" if arm.adapter else "base"
        case "rag":
            if arm.adapter is None:
                return "rag"
            return None if config.training.adapters[arm.adapter].examples == "closed_book" else "rag_reader"
        case "routed":
            return "routed"
        case "oracle" | "wrong_passages":
            return None
        case _:
            assert_never(arm.strategy)


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
