"""What a freshly trained adapter must show before it is believed, and the card that says what was found.

Not the evaluation of an experiment: gates are quick, look at one adapter, and compare it with its own base.
"""

from workbench.gates.behaviour import HeldOutQuestion
from workbench.gates.canaries import Canary, draw_canaries, plant_canaries
from workbench.gates.card import CardFacts, write_card
from workbench.gates.results import GateReport, GateResult, Status, read_report
from workbench.gates.runner import GateSubject, run_gates

__all__ = [
    "Canary",
    "CardFacts",
    "GateReport",
    "GateResult",
    "GateSubject",
    "HeldOutQuestion",
    "Status",
    "draw_canaries",
    "plant_canaries",
    "read_report",
    "run_gates",
    "write_card",
]
