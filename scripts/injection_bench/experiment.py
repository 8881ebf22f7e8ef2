"""The one run: an adapter for each number of forms and one for the text, an arm for each and the base, closed book."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from injection_bench.rows import MOST_FORMS, InjectionRows
from workbench.bench import Bench
from workbench.config import AdapterConfig, ArmConfig, ExperimentConfig, load_config
from workbench.rows import DatasetRow, Task
from workbench.runs import to_lines, write_atomically

TEXT = "text"
RECIPE: dict[str, object] = {"r": 32, "alpha": 64, "learning_rate": 1e-3, "keep": "last", "acts_from": "prompt"}


def run_injection(arguments: argparse.Namespace, numbers: Sequence[int]) -> Bench:
    """Write rows and questions below `--out`, run the experiment over them, and return its bench.

    Raises:
        ValueError: a number of forms does not divide --sights or is over 12; --epochs is below 1.
    """
    if arguments.epochs is not None and arguments.epochs < 1:
        raise ValueError(f"--epochs {arguments.epochs} is below 1")
    for n in numbers:
        if not 1 <= n <= MOST_FORMS or (arguments.epochs is None and arguments.sights % n):
            raise ValueError(f"--forms {n} is over {MOST_FORMS} or does not divide --sights {arguments.sights}")
    given = load_config(arguments.config, overrides=arguments.overrides)
    source = Bench(given, out=arguments.out / "source")
    encode = source.parts.tokenizer.encode
    made = InjectionRows(
        source.parts.corpus.documents, arguments.facts, seed=given.seed, count_tokens=lambda text: len(encode(text))
    )
    questions = arguments.out / "questions.jsonl"
    write_atomically(questions, to_lines(made.questions()))
    adapters: dict[str, AdapterConfig] = {}
    tokens = 0
    for n in numbers:
        rows = made.in_forms(n)
        epochs = arguments.epochs or arguments.sights // n
        tokens = sum(len(encode(row.question + row.completion)) for row in rows) * epochs
        folder = made.write(arguments.out / f"rows-{n}", rows)
        adapters[f"forms_{n:02}"] = _adapter(folder, epochs)
    text = made.text()
    epochs = max(1, round(tokens / sum(len(encode(row.completion)) for row in text)))
    adapters[TEXT] = _adapter(made.write(arguments.out / "rows-text", text), epochs)
    often = f"each wording seen {arguments.epochs}" if arguments.epochs else f"each seen {arguments.sights}"
    print(f"{len(made.facts)} facts, {often} times, at most {tokens:,} tokens; text: {_count(text, epochs)}")
    bench = Bench(_experiment(given, questions, adapters), out=arguments.out / "run")
    bench.run()
    return bench


def _adapter(folder: Path, epochs: int) -> AdapterConfig:
    return AdapterConfig(
        examples="dataset", dataset=folder, tasks=(Task.CLOSED_BOOK, Task.TEXT), recipe={**RECIPE, "epochs": epochs}
    )


def _count(text: Sequence[DatasetRow], epochs: int) -> str:
    return f"{len(text)} windows, {epochs} epochs"


def _experiment(given: ExperimentConfig, questions: Path, adapters: dict[str, AdapterConfig]) -> ExperimentConfig:
    arms = {"base": ArmConfig(strategy="closed_book")}
    arms |= {name: ArmConfig(strategy="closed_book", adapter=name) for name in sorted(adapters)}
    return given.model_copy(
        update={
            "name": "injection",
            "questions": given.questions.model_copy(update={"path": questions, "limit": None}),
            "training": given.training.model_copy(update={"adapters": adapters, "seeds": (), "grid": {}}),
            "gates": given.gates.model_copy(update={"enabled": False}),
            "arms": arms,
        }
    )
