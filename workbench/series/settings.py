"""The configs of a series' runs, made from the experiment's own, and the rates that all series report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.config import AdapterConfig, ArmConfig, ExperimentConfig, RacingConfig
from workbench.errors import ConfigError
from workbench.evaluation import mean_interval
from workbench.measured import Rate
from workbench.training import BEST


def quick(
    config: ExperimentConfig, arms: Mapping[str, ArmConfig], adapters: Mapping[str, AdapterConfig] | None = None
) -> ExperimentConfig:
    """Return the config of one run of a series: these arms, one training seed, no gates, no race.

    Args:
        adapters: in place of the experiment's own.
    """
    training = config.training.model_copy(
        update={"seeds": (), "adapters": dict(config.training.adapters if adapters is None else adapters)}
    )
    return config.model_copy(
        update={
            "arms": dict(arms),
            "training": training,
            "gates": config.gates.model_copy(update={"enabled": False}),
            "evaluation": config.evaluation.model_copy(update={"racing": RacingConfig()}),
        }
    )


def competing(config: ExperimentConfig) -> dict[str, ArmConfig]:
    """Return the arms that a series follows: those that compete and answer by themselves.

    Raises:
        ConfigError: there is none.
    """
    arms = {name: arm for name, arm in config.arms.items() if arm.strategy in ("closed_book", "rag")}
    ranked = {name: arm for name, arm in arms.items() if not arm.control}
    if not ranked:
        raise ConfigError("a series follows arms that compete, with strategy closed_book or rag; the config has none")
    return ranked


def adapters_of(
    config: ExperimentConfig, arms: Mapping[str, ArmConfig], *, trained_in: Path
) -> dict[str, AdapterConfig]:
    """Return the adapters that the arms need, taken as the run in `trained_in` left them."""
    taken = {}
    for name in dict.fromkeys(arm.adapter for arm in arms.values() if arm.adapter is not None):
        given = config.training.adapters[name]
        folder = given.folder or trained_in / f"train-{name}" / BEST
        taken[name] = given if given.folder else AdapterConfig(examples="trained", folder=folder)
    return taken


def rate(values: Sequence[float], confidence: float) -> Rate:
    """Return the mean of scores in [0, 1] with its interval."""
    found = mean_interval(values, confidence=confidence)
    assert found.low is not None and found.high is not None  # scores have limits
    return Rate(value=round(found.mean, 6), low=round(found.low, 6), high=round(found.high, 6), n=found.n)
