"""Questions and splits, metrics, statistics, and the summary of a run. No models, no torch."""

from workbench.evaluation.metrics import (
    GOLD_LOGPROB,
    METRICS,
    SCORES,
    abstained,
    contains,
    exact_match,
    normalise_answer,
    score_answer,
    token_f1,
)
from workbench.evaluation.paired import Comparison, Difference, compare_columns, paired_difference, questions_needed
from workbench.evaluation.questions import QuestionFile, load_questions
from workbench.evaluation.retrieval_metrics import retrieval_scores
from workbench.evaluation.splits import (
    TEST_SPLITS,
    NearCopy,
    assign_splits,
    limit_questions,
    near_copies,
    refuse_leaks,
)
from workbench.evaluation.statistics import Interval, mean_interval
from workbench.evaluation.summary import predictions_lines, summarise

__all__ = [
    "GOLD_LOGPROB",
    "METRICS",
    "SCORES",
    "TEST_SPLITS",
    "Comparison",
    "Difference",
    "Interval",
    "NearCopy",
    "QuestionFile",
    "abstained",
    "assign_splits",
    "compare_columns",
    "contains",
    "exact_match",
    "limit_questions",
    "load_questions",
    "mean_interval",
    "near_copies",
    "normalise_answer",
    "paired_difference",
    "predictions_lines",
    "questions_needed",
    "refuse_leaks",
    "retrieval_scores",
    "score_answer",
    "summarise",
    "token_f1",
]
