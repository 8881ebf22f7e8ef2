"""Every knob, typed, with unit and range; YAML in; unknown keys refused with file, line and the nearest key."""

from workbench.config.checks import CheckConfig
from workbench.config.dataset import DatasetConfig, FilterConfig, GeneratorName, WriterConfig
from workbench.config.decision import DecisionConfig
from workbench.config.engines import EngineConfig, LocalEngineConfig, OpenAIEngineConfig
from workbench.config.experiment import (
    ArmConfig,
    EvaluationConfig,
    ExperimentConfig,
    GenerationConfig,
    PromptConfig,
    QuestionsConfig,
    SplitConfig,
)
from workbench.config.gates import GatesConfig
from workbench.config.knowledge import (
    ChunkingConfig,
    DenseConfig,
    DiversityConfig,
    ExpansionConfig,
    FusionConfig,
    IndexConfig,
    LexicalConfig,
    LibraryConfig,
    Limits,
    ModelsConfig,
    RerankConfig,
    RetrievalConfig,
    RetrieverConfig,
    leaves_to_fit,
)
from workbench.config.load import dump_config, load_config, load_library_config
from workbench.config.monitoring import MonitoringConfig
from workbench.config.racing import RacingConfig
from workbench.config.series import FreshnessConfig, LearningCurveConfig, ScalingConfig, SweepConfig
from workbench.config.serving import ServingConfig
from workbench.config.training import AdapterConfig, RecipeConfig, TrainingConfig
from workbench.config.variants import SweepPlan, Variant, load_sweep

__all__ = [
    "AdapterConfig",
    "ArmConfig",
    "CheckConfig",
    "ChunkingConfig",
    "DatasetConfig",
    "DecisionConfig",
    "DenseConfig",
    "DiversityConfig",
    "EngineConfig",
    "EvaluationConfig",
    "ExpansionConfig",
    "ExperimentConfig",
    "FilterConfig",
    "FreshnessConfig",
    "FusionConfig",
    "GatesConfig",
    "GenerationConfig",
    "GeneratorName",
    "IndexConfig",
    "LearningCurveConfig",
    "LexicalConfig",
    "LibraryConfig",
    "Limits",
    "LocalEngineConfig",
    "ModelsConfig",
    "MonitoringConfig",
    "OpenAIEngineConfig",
    "PromptConfig",
    "QuestionsConfig",
    "RacingConfig",
    "RecipeConfig",
    "RerankConfig",
    "RetrievalConfig",
    "RetrieverConfig",
    "ScalingConfig",
    "ServingConfig",
    "SplitConfig",
    "SweepConfig",
    "SweepPlan",
    "TrainingConfig",
    "Variant",
    "WriterConfig",
    "dump_config",
    "leaves_to_fit",
    "load_config",
    "load_library_config",
    "load_sweep",
]
