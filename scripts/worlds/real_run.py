"""Runs the real worlds: writes each material, runs it as an experiment, judges it under each world's wishes."""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

from workbench.bench import Bench
from workbench.config import ExperimentConfig, load_config
from workbench.evaluation import contains
from workbench.parts import Parts
from workbench.reporting import decide_run
from worlds.nouns import UNDECIDED
from worlds.real import MATERIALS, REAL_WORLDS, Rows, write_experiment

NEEDED = 10  # of 12


def print_real_worlds(arguments: argparse.Namespace, wanted: set[str] | None) -> int:
    """Print a row a world and return the exit code: 1 where too few recommendations are right."""
    right = asked = 0
    for world in REAL_WORLDS:
        if wanted and world.name not in wanted:
            continue
        folder = _run(arguments.real / world.material, world.material, arguments)
        advice = decide_run(folder, overrides=world.wishes).recommendation
        arm = advice.arm or UNDECIDED
        asked, right = asked + 1, right + (arm in world.best)
        mark = "right" if arm in world.best else f"WRONG, should be {' or '.join(sorted(world.best))}"
        print(f"{world.name:22} {arm:12} {mark}: {advice.sentence.replace('**', '')}", flush=True)
    print(f"{right} of {asked} right")
    return int(right < min(NEEDED, asked))


def _run(folder: Path, name: str, arguments: argparse.Namespace) -> Path:
    """Run one material into folder/run unless that was done; return that folder."""
    if not (folder / "config.yaml").exists():
        material = MATERIALS[name](lambda rows: _known(rows, arguments.generator, arguments.embedder), arguments.seed)
        write_experiment(
            material,
            folder,
            name=name,
            generator=arguments.generator,
            embedder=arguments.embedder,
            seed=arguments.seed,
        )
    Bench(load_config(folder / "config.yaml"), out=folder / "run").run()
    return folder / "run"


def _known(rows: Rows, generator: str, embedder: str) -> Rows:
    """Return the general questions that the base model answers rightly, asked as any experiment asks."""
    answers = _answers(tuple(row["text"] for row in rows), generator, embedder)
    return [row for row, answer in zip(rows, answers, strict=True) if contains(answer, row["answers"])]


@cache
def _answers(texts: tuple[str, ...], generator: str, embedder: str) -> list[str]:
    config = {
        "name": "probe",
        "questions": {"path": "unused"},
        "models": {"generator": generator, "embedder": embedder},
        "generation": {"stop_at_newline": True},
    }
    parts = Parts(ExperimentConfig.model_validate(config), Path("unused"))
    answers: list[str] = []
    for start in range(0, len(texts), 16):
        prompts = [parts.builder.build(text) for text in texts[start : start + 16]]
        answers += [one.text for one in parts.generator.generate(prompts, adapter=None, max_new_tokens=20)]
    return answers
