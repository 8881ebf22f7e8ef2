"""Every knob, typed, with unit and range; YAML in; unknown keys refused with file, line and the nearest key."""

from workbench.config.knobs import (
    AdapterConfig,
    ArmConfig,
    ChunkingConfig,
    DenseConfig,
    EvaluationConfig,
    ExperimentConfig,
    FusionConfig,
    GenerationConfig,
    LexicalConfig,
    ModelsConfig,
    PromptConfig,
    QuestionsConfig,
    RecipeConfig,
    RetrievalConfig,
    RetrieverConfig,
    SplitConfig,
    TrainingConfig,
)
from workbench.config.load import dump_config, load_config

__all__ = [
    "AdapterConfig",
    "ArmConfig",
    "ChunkingConfig",
    "DenseConfig",
    "EvaluationConfig",
    "ExperimentConfig",
    "FusionConfig",
    "GenerationConfig",
    "LexicalConfig",
    "ModelsConfig",
    "PromptConfig",
    "QuestionsConfig",
    "RecipeConfig",
    "RetrievalConfig",
    "RetrieverConfig",
    "SplitConfig",
    "TrainingConfig",
    "dump_config",
    "load_config",
]
