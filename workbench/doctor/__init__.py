"""Is this machine fit for this experiment? Small checks on plain figures, each a line with what to do about it.

Nothing is changed, loaded or trained. Figures are gathered in `examine.py`; the other files judge them and know no disk
and no clock, so tests hand them broken states.
"""

from workbench.doctor.examine import examine
from workbench.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]
