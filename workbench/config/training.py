"""The knobs of training: the recipe, which adapters learn from what, and what stops them.

Descriptions are the help text.
"""

from __future__ import annotations

import difflib
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from workbench.config.adapter_names import find_name_fault
from workbench.config.base import Knobs
from workbench.rows import Task

LARGEST_GRID = 16  # combinations
Passages = Annotated[int, Field(ge=1)]


class RecipeConfig(Knobs):
    """The LoRA recipe shared by all adapters; an adapter may override any of it."""

    r: int = Field(16, ge=1, le=512, description="LoRA rank")
    alpha: int = Field(32, ge=1, description="LoRA scale times rank")
    dropout: float = Field(0.0, ge=0, lt=1)
    method: Literal["lora", "dora", "rslora", "pissa", "eva"] = Field(
        "lora",
        description="lora: B = 0 at the start; dora: magnitude and direction apart; rslora: scaled by alpha / sqrt(r); "
        "pissa: starts from the weights' largest singular vectors; eva: from those of the rows' activations",
    )
    lora_plus_ratio: float | None = Field(
        None, ge=1, le=64, description="LoRA+: learning rate of B over that of A; none: the same rate"
    )
    learning_rate: float = Field(5e-4, gt=0, lt=3e-3, description="peak; 3e-3 and above diverges")
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="share of the steps that ramp up; then linear to 0")
    weight_decay: float = Field(0.0, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    epochs: int = Field(4, ge=1)
    batch_size: int = Field(8, ge=1, description="examples a step, over all micro-batches")
    micro_batch_size: int = Field(8, ge=1, description="examples held in memory at once, at most")
    micro_batch_tokens: int | None = Field(
        None,
        ge=1,
        description="tokens held in memory at once, padding counted and a shared prefix not; none: on a CPU 2,048, or "
        "512 a thread (more are no faster there), on a GPU no bound. A longer example stands alone",
    )
    max_tokens: int = Field(1024, ge=16, description="longest example; longer ones are dropped and counted")
    max_examples: int | None = Field(None, ge=1, description="use only the first N after shuffling; none: all")
    acts_from: Literal["question", "prompt"] = Field(
        "question",
        description="question: passages are read by the base, their keys and values shared; prompt: plain LoRA",
    )
    gradient_checkpointing: bool = Field(
        False, description="compute activations again in the backward pass: slower, smaller; needs acts_from: prompt"
    )
    compile: bool = Field(False, description="torch.compile the decoder: minutes at the start, faster steps on a GPU")
    evaluations: int = Field(4, ge=1, description="held-out evaluations in a run")
    patience: int | None = Field(
        None, ge=1, description="stop after this many held-out evaluations without a lower loss; none: never"
    )
    keep: Literal["best", "last"] = Field(
        "best",
        description="best: the checkpoint with the lowest held-out loss; last: for closed-book facts, whose held-out "
        "questions ask other facts and so cannot get better",
    )
    prefix_cache_gib: float = Field(8.0, ge=0, description="memory for prefixes' keys and values over epochs, in GiB")
    prefix_disk_gib: float = Field(
        0.0, ge=0, description="disk for those that do not fit the memory, in GiB, removed when training ends; 0: none"
    )

    @model_validator(mode="after")
    def _knobs_agree(self) -> RecipeConfig:
        if self.batch_size % min(self.micro_batch_size, self.batch_size):
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of micro_batch_size {self.micro_batch_size}"
            )
        if self.gradient_checkpointing and self.acts_from == "question":
            raise ValueError(
                "gradient_checkpointing: true contradicts acts_from: question (keys and values of a prefix are kept, "
                "checkpointing drops them, and behind a prefix activations are few); set acts_from: prompt"
            )
        if self.method == "pissa" and self.acts_from == "question":
            raise ValueError(
                "method: pissa contradicts acts_from: question (it moves weights out of the base that reads the "
                "passages); set acts_from: prompt"
            )
        return self


class AdapterConfig(Knobs):
    """One adapter: which examples it learns from, and where it departs from the shared recipe."""

    examples: Literal["closed_book", "reader", "dataset", "trained"] = Field(
        description="closed_book, reader: from the train questions; dataset: rows built from the corpus or from a "
        "file; trained: none, the adapter in `folder` is taken as it is"
    )
    folder: Path | None = Field(None, description="trained: where it lies, for example RUN/train-reader/adapter")
    dataset: Path | None = Field(
        None, description="dataset: a folder of `workbench dataset build`, or a file of rows; none: the run's own"
    )
    tasks: tuple[Task, ...] = Field(
        tuple(Task), min_length=1, description="dataset: which rows; for example [closed_book, text]"
    )
    passages: Passages | Annotated[tuple[Passages, ...], Field(min_length=1)] | None = Field(
        None,
        description="reader: passages a row, or several numbers of which each row draws one, so that it reads few and "
        "many; none: retrieval.passages",
    )
    without_gold: float = Field(0.1, ge=0, le=1, description="reader: share of rows whose right passage is left out")
    recipe: dict[str, object] = Field({}, description="recipe keys to override, for example {epochs: 6}")

    @model_validator(mode="after")
    def _only_a_trained_one_has_a_folder(self) -> AdapterConfig:
        if (self.examples == "trained") != (self.folder is not None):
            raise ValueError(
                f"examples: {self.examples} {'needs' if self.folder is None else 'contradicts'} folder, where an "
                "adapter that is trained already lies; set both, examples: trained and folder, or neither"
            )
        return self

    def row_sizes(self, otherwise: int) -> tuple[int, ...]:
        """Return the numbers of passages that a reader row draws from; `otherwise` where the config names none."""
        if self.passages is None:
            return (otherwise,)
        return self.passages if isinstance(self.passages, tuple) else (self.passages,)


class TrainingConfig(RecipeConfig):
    """Which adapters are trained, and the recipe."""

    adapters: dict[str, AdapterConfig] = Field(
        {"closed_book": AdapterConfig(examples="closed_book"), "reader": AdapterConfig(examples="reader")}
    )

    grid: dict[str, tuple[float | int | str, ...]] = Field(
        {},
        description="recipe keys to the values to try, `2x` for twice the recipe's, for example {learning_rate: [0.5x, "
        "1x, 2x]}; each combination trains on grid_share of the rows, the one with the lowest held-out loss is taken",
    )
    grid_share: float = Field(0.1, gt=0, le=1, description="share of the training rows that a grid trains on")
    seeds: tuple[int, ...] = Field(
        (),
        description="further seeds to train with; arms with an adapter answer with each: intervals cover trainings",
    )
    allow_findings: tuple[str, ...] = Field(
        (),
        description="kinds of secrets and personal data that rows may hold, by name; all others stop it",
    )

    @model_validator(mode="after")
    def _overrides_are_valid(self) -> TrainingConfig:
        for name, adapter in self.adapters.items():
            for key in adapter.recipe:
                if key not in RecipeConfig.model_fields:
                    nearest = difflib.get_close_matches(key, RecipeConfig.model_fields, n=1, cutoff=0.5)
                    hint = (
                        f"did you mean `{nearest[0]}`?" if nearest else f"known: {', '.join(RecipeConfig.model_fields)}"
                    )
                    raise ValueError(f"unknown key `adapters.{name}.recipe.{key}`; {hint}")
            try:
                self.recipe(name)
            except ValidationError as error:
                fault = error.errors()[0]
                place = ".".join(str(part) for part in ("adapters", name, "recipe", *fault["loc"]))
                raise ValueError(f"`{place}`: {fault['msg']} (it is {fault['input']!r})") from error
        return self

    @model_validator(mode="after")
    def _adapters_can_be_called_so(self) -> TrainingConfig:
        for name in self.adapters:
            if fault := find_name_fault(name):
                raise ValueError(f"adapter {name[:120]!r} {fault}; give it another name in training.adapters")
        return self

    @model_validator(mode="after")
    def _grid_is_valid(self) -> TrainingConfig:
        unknown = [key for key in self.grid if key not in RecipeConfig.model_fields]
        if unknown:
            raise ValueError(f"unknown key `grid.{unknown[0]}`; a grid's keys are those of the recipe")
        n_tries = prod(len(values) for values in self.grid.values())
        if n_tries > LARGEST_GRID:
            raise ValueError(f"`grid` has {n_tries} combinations, at most {LARGEST_GRID} are tried; name fewer values")
        for name in self.adapters:
            self.combinations(name)
        return self

    def recipe(self, adapter: str) -> RecipeConfig:
        """Return the shared recipe with the overrides of `adapter`."""
        shared = {key: getattr(self, key) for key in RecipeConfig.model_fields}
        return RecipeConfig.model_validate(shared | self.adapters[adapter].recipe)

    def combinations(self, adapter: str) -> list[dict[str, object]]:
        """Return the overrides that the grid tries for `adapter`, in order; none without a grid.

        Raises:
            ValueError: a value is out of range, or `2x` stands for a key that is no number.
        """
        if not self.grid:
            return []
        recipe = self.recipe(adapter)
        axes = [[(key, _resolve(key, value, recipe)) for value in values] for key, values in self.grid.items()]
        tries = [dict(combination) for combination in product(*axes)]
        for overrides in tries:
            RecipeConfig.model_validate(recipe.model_dump() | overrides)
        return tries


def _resolve(key: str, value: float | int | str, recipe: RecipeConfig) -> object:
    """Return a grid's value; `2x` is twice the recipe's."""
    if not (isinstance(value, str) and value.endswith("x")):
        return value
    known = getattr(recipe, key)
    try:
        factor = float(value[:-1])
        return type(known)(factor * known)
    except (TypeError, ValueError):
        raise ValueError(f"`grid.{key}`: {value!r} is no factor of {known!r}") from None
