"""Guards on parity: arms that are compared must have been asked the same things in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from workbench.decision import Alarm
from workbench.guards.evidence import Evidence
from workbench.types import CaseRecord
from workbench.verdict import ArmRun

CUT = 0.2  # share of prompts that may hold fewer passages than others of their arm


def different_questions(evidence: Evidence) -> Iterator[Alarm]:
    """Two ranked arms answered different questions."""
    asked = {name: {record.question_id for record in arm.records} for name, arm in evidence.study.ranked.items()}
    for a, b in combinations(asked, 2):
        if asked[a] != asked[b]:
            n = len(asked[a] ^ asked[b])
            yield Alarm(
                guard="different_questions",
                severity="refuse",
                message=f"{a} and {b} answered different questions: {n} stand in one of them only",
                arms=(a, b),
            )
            return


def asymmetric_prompts(evidence: Evidence) -> Iterator[Alarm]:
    """Two arms that should read the same prompt read prompts of different lengths: system text, template or budget."""
    for a, b in _alike(evidence):
        ours, theirs = _first(evidence.study.arms[a]), _first(evidence.study.arms[b])
        same = [id_ for id_ in ours if id_ in theirs and _shown(ours[id_]) == _shown(theirs[id_])]
        lengths = [(ours[id_].costs, theirs[id_].costs) for id_ in same]
        differing = sum(x.prompt_tokens != y.prompt_tokens for x, y in lengths if x is not None and y is not None)
        if differing:
            yield Alarm(
                guard="asymmetric_prompts",
                severity="refuse",
                message=f"{a} and {b} should read the same prompts, but {differing} differ in length",
                arms=(a, b),
            )


def asymmetric_passages(evidence: Evidence) -> Iterator[Alarm]:
    """Two arms that should read the same passages read others."""
    for a, b in _alike(evidence):
        ours, theirs = _first(evidence.study.arms[a]), _first(evidence.study.arms[b])
        differing = [id_ for id_ in ours if id_ in theirs and _shown(ours[id_]) != _shown(theirs[id_])]
        if differing:
            yield Alarm(
                guard="asymmetric_passages",
                severity="refuse",
                message=f"{a} and {b} should read the same passages, but {len(differing)} prompts differ",
                arms=(a, b),
            )


def passages_cut(evidence: Evidence) -> Iterator[Alarm]:
    """Many prompts hold fewer passages than others of their arm: the token budget cut them."""
    for name, arm in evidence.readers.items():
        counts = [len(_shown(record)) for record in _first(arm).values()]
        most = max(counts, default=0)
        found = [len(record.hits) >= most for record in _first(arm).values()]
        cut = sum(count < most and enough for count, enough in zip(counts, found, strict=True))
        if cut > CUT * len(counts):
            yield Alarm(
                guard="passages_cut",
                severity="warn",
                message=f"{name}: {cut} of {len(counts)} prompts had no room for all passages; raise prompt.max_tokens",
                arms=(name,),
            )


def _alike(evidence: Evidence) -> list[tuple[str, str]]:
    """Return the pairs of ranked arms that differ in their adapter only."""
    kinds: dict[tuple[object, ...], str] = {}
    pairs = []
    for name, arm in evidence.study.ranked.items():
        first = kinds.setdefault(arm.settings.prompted_by, name)
        if first != name:
            pairs.append((first, name))
    return pairs


def _first(arm: ArmRun) -> dict[str, CaseRecord]:
    """Return question id → the record of the first training seed, failed ones left out."""
    found: dict[str, CaseRecord] = {}
    for record in arm.records:
        if record.error is None:
            found.setdefault(record.question_id, record)
    return found


def _shown(record: CaseRecord) -> list[tuple[str, int, int]]:
    return [(hit.document_id, hit.start, hit.end) for hit in record.hits if hit.in_prompt]


GUARDS = (different_questions, asymmetric_prompts, asymmetric_passages, passages_cut)
