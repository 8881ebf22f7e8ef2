"""Which arms surely break a limit of the user's on seconds or memory, told batch by batch, while a race still runs.

Seconds: one answer in twenty may take longer than the limit, which is one on the 95th percentile. Whether more do is
tested by betting, as in sequential.py. The unit is the batch, not the answer, since answers of a batch share its clock:
a slow start, or a neighbour's moment of work, is one bad batch and not sixteen bad answers.
Memory: the peak counts, and a peak never falls, so the first batch over the limit settles it.

Not told here: that an arm surely keeps a limit. One answer in twenty is too few to be excluded by a few hundred.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from workbench.config import DecisionConfig
from workbench.evaluation.sequential import BETS, Float64, bet, log_wealth
from workbench.types import CaseRecord

ALLOWED = 0.05  # share of the answers that may take longer
GIB = 2.0**30


class LimitWatch:
    """Feed it each batch's records; `broken` says which arms are out, and why."""

    def __init__(self, wishes: DecisionConfig, *, alpha: float) -> None:
        """Watch `wishes.max_seconds` and `wishes.max_memory_gib`.

        Args:
            alpha: chance that an arm within the limit on seconds is told to break it, however often one looks.
        """
        self.wishes, self.alpha = wishes, alpha
        self._bets: dict[str, Float64] = {}  # arm → logarithms of wealth, shape (len(BETS),)
        self._shares: dict[str, list[float]] = {}  # arm → by batch, share of the answers over the limit
        self._peaks: dict[str, tuple[int, int]] = {}  # arm → bytes of GPU and process memory

    def feed(self, records: Iterable[CaseRecord]) -> None:
        """Take in one batch's records, of all arms and training seeds; an answer that was not timed is left out."""
        spent: dict[str, list[CaseRecord]] = {}
        for record in records:
            if record.costs is not None:
                spent.setdefault(record.arm, []).append(record)
        for arm, answers in spent.items():
            costs = [record.costs for record in answers if record.costs is not None]
            gpu, process = self._peaks.get(arm, (0, 0))
            peaks = (max(one.peak_gpu_bytes for one in costs), max(one.peak_bytes for one in costs))
            self._peaks[arm] = (max(gpu, peaks[0]), max(process, peaks[1]))
            if self.wishes.max_seconds is not None:
                share = float(np.mean([one.seconds > self.wishes.max_seconds for one in costs]))
                self._shares.setdefault(arm, []).append(share)
                stake = bet(np.asarray(share - ALLOWED), worst=ALLOWED)  # (len(BETS),)
                self._bets[arm] = self._bets.get(arm, np.zeros(len(BETS))) + stake

    def broken(self) -> dict[str, str]:
        """Return the arms that surely break a limit, each with both figures."""
        return self._too_large() | self._too_slow()

    def _too_slow(self) -> dict[str, str]:
        beyond_doubt = np.log(1 / self.alpha)
        return {
            arm: f"{np.mean(self._shares[arm]):.0%} of its answers take longer than {self.wishes.max_seconds:g} s, and "
            f"{ALLOWED:.0%} may"
            for arm, bets in self._bets.items()
            if float(log_wealth(bets)) >= beyond_doubt
        }

    def _too_large(self) -> dict[str, str]:
        limit = self.wishes.max_memory_gib
        if limit is None:
            return {}
        peaks = {arm: (gpu or process) / GIB for arm, (gpu, process) in self._peaks.items()}
        return {
            arm: f"it takes {peak:.3g} GiB of memory, and at most {limit:g} are allowed"
            for arm, peak in peaks.items()
            if peak > limit
        }
