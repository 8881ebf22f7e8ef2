"""What one run cannot measure: several runs over states of a corpus, its sizes, parts of examples, values of keys."""

from workbench.series.freshness import measure_freshness
from workbench.series.learning_curve import measure_learning_curve
from workbench.series.scaling import measure_scaling
from workbench.series.sweep import measure_sweep

__all__ = ["measure_freshness", "measure_learning_curve", "measure_scaling", "measure_sweep"]
