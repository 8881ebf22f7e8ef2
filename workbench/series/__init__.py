"""What one run cannot measure: several runs over states of a corpus, sizes of it, parts of its examples."""

from workbench.series.freshness import measure_freshness
from workbench.series.learning_curve import measure_learning_curve
from workbench.series.scaling import measure_scaling

__all__ = ["measure_freshness", "measure_learning_curve", "measure_scaling"]
