"""How long a training takes at least: its arithmetic, at a rate that hardly any machine reaches. Not a forecast."""

from __future__ import annotations

from workbench.config import ExperimentConfig
from workbench.doctor.examine import find_gpu
from workbench.expected import Figures
from workbench.hardware import count_cores

CORE_RATE = 1e11  # operations a second of one core at its peak: two 512-bit multiply-adds at 3 GHz
GPU_RATE = 1e15  # of an H100 in bfloat16
TOKENS_PER_WORD = 1.3
CHARACTERS_PER_TOKEN = 4.0
PER_TOKEN_READ, PER_TOKEN_TRAINED = 2, 4  # operations a parameter: forward; and backward to the adapters' inputs


def least_hours(adapter: str, config: ExperimentConfig, figures: Figures) -> float | None:
    """Return hours; None: the base model's size, or the rows, are not known before a run.

    Trained in every epoch are the question and its answer; a reader's passages are read once and kept.
    """
    examples = config.training.adapters[adapter].examples
    if figures.parameters is None or figures.train_words is None or examples not in ("closed_book", "reader"):
        return None
    trained = figures.train_words * TOKENS_PER_WORD * config.training.recipe(adapter).epochs
    passages = min(config.training.adapters[adapter].row_sizes(config.retrieval.passages))
    read = passages * _passage_tokens(config, figures) if examples == "reader" else 0.0
    each = PER_TOKEN_TRAINED * trained + PER_TOKEN_READ * read
    return figures.train_questions * figures.parameters * each / _rate(config) / 3600


def _passage_tokens(config: ExperimentConfig, figures: Figures) -> float:
    document = figures.characters / max(figures.documents, 1) / CHARACTERS_PER_TOKEN
    return min(document, config.chunking.max_tokens)


def _rate(config: ExperimentConfig) -> float:
    if config.models.device == "cuda" or (config.models.device == "auto" and find_gpu() is not None):
        return GPU_RATE
    return CORE_RATE * count_cores()
