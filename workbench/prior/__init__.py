"""Before any run: which arm a corpus, its questions and the user's wishes lean to. A prior, not a measurement."""

from workbench.prior.experiment import foresee
from workbench.prior.figures import read_figures
from workbench.prior.lean import weigh

__all__ = ["foresee", "read_figures", "weigh"]
