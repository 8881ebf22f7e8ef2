"""Questions to adapters: examples, the loop, checkpoints. Prompts come from prompting.py, the one builder."""

from workbench.training.checkpoint import Progress, read_progress
from workbench.training.examples import (
    ExampleSet,
    Row,
    Rows,
    answer_text,
    build_closed_book,
    build_reader,
    draw,
    encode_rows,
    show_rows,
)
from workbench.training.from_dataset import build_from_dataset
from workbench.training.jobs import TrainingJob
from workbench.training.loop import BEST, train_adapter

__all__ = [
    "BEST",
    "ExampleSet",
    "Progress",
    "Row",
    "Rows",
    "TrainingJob",
    "answer_text",
    "build_closed_book",
    "build_from_dataset",
    "build_reader",
    "draw",
    "encode_rows",
    "read_progress",
    "show_rows",
    "train_adapter",
]
