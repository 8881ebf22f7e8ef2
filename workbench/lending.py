"""Answers that another run gave from equal inputs, taken over arm by arm, so that an arm is not asked twice.

Beside `bench.py` on the same floor. Whole stages are lent in runs.py; the answers of all arms are one stage, which is
divided here: what decides one arm's answers is `inputs.inputs_by_arm`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from workbench.runs import Run, append_lines, read_lines
from workbench.types import CaseRecord

ANSWER, CASES = "answer", "cases.jsonl"  # the stage, and its records


def borrow_answers(
    path: Path, wanted: Mapping[str, str], questions: Collection[str], lenders: Sequence[Path]
) -> dict[str, str]:
    """Append to `path` the records of arms that a lender asked the same; return arm → the folder of who asked it.

    An arm of which `path` holds records already goes on with them. Costs are those measured when it was asked.

    Args:
        wanted: arm → what decides its answers.
        questions: ids of all that are asked; an arm that did not answer each of them is not lent.
    """
    own, lent = _by_arm(path), dict[str, str]()
    for lender in lenders:
        done = Run(lender).last_result(ANSWER) if lender.is_dir() else None
        theirs = {inputs: arm for arm, inputs in (done or {}).get("arms", {}).items()}
        ours = {arm: theirs[inputs] for arm, inputs in wanted.items() if inputs in theirs and arm not in lent}
        records = _by_arm(lender / ANSWER / CASES) if ours else {}
        for arm, other in ours.items():
            taken = [record.model_copy(update={"arm": arm}) for record in records.get(other, [])]
            if {record.question_id for record in taken} != set(questions):
                continue
            if arm not in own:
                append_lines(path, taken)
            elif own[arm] != taken:  # begun here, or half copied before a kill
                continue
            lent[arm] = (done or {}).get("lent", {}).get(other, lender.as_posix())
    return lent


def _by_arm(path: Path) -> dict[str, list[CaseRecord]]:
    found: dict[str, list[CaseRecord]] = defaultdict(list)
    for record in read_lines(path, CaseRecord):
        found[record.arm].append(record)
    return found
