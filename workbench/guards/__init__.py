"""Guards: does anything in a finished run make its figures untrustworthy? Not the verdict; it listens to them.

Each guard looks for one fault and answers with an `Alarm` or None. Where chance could look like the fault, the bound is
a test at about one in a thousand. What is refused earlier, before a run has any figure, needs no guard: another base
or chat template, a stale index, changed questions, a leak that the split drops.
"""

from workbench.decision import Alarm
from workbench.guards import answers, clocks, prompts, questions, retrieval
from workbench.guards.evidence import Evidence

__all__ = ["GUARDS", "Evidence", "check_run"]

GUARDS = (*questions.GUARDS, *prompts.GUARDS, *retrieval.GUARDS, *answers.GUARDS, *clocks.GUARDS)


def check_run(evidence: Evidence) -> tuple[Alarm, ...]:
    """Return what the guards found, those first that allow no recommendation."""
    alarms = [alarm for guard in GUARDS for alarm in guard(evidence)]
    return tuple(sorted(alarms, key=lambda alarm: alarm.severity != "refuse"))
