"""Before any run: which arm a corpus, its questions and the user's wishes lean to. A prior, not a measurement."""

from workbench.prior.experiment import count, foresee, judge
from workbench.prior.figures import read_figures
from workbench.prior.lean import weigh

__all__ = ["count", "foresee", "judge", "read_figures", "weigh"]
