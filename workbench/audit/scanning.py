"""Secrets and personal data over rows: what each row holds, counts by kind, and the gate that stops a training.

Everything a row shows or teaches is scanned, prompts too: tokens without loss are still read, and a model that reads
a secret with every answer learns to expect it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from workbench.audit.detectors import Finding, find_secrets
from workbench.audit.personal import find_personal_data
from workbench.errors import SensitiveDataError
from workbench.rows import DatasetRow

_NAMED = 5  # row ids a message shows


class Place(NamedTuple):
    """A finding of one row: the field it stands in (`question`, `passages[1]`, `completion` …), and what it is."""

    row_id: str
    field: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Scan:
    """All findings in the order of the rows."""

    places: tuple[Place, ...]
    n_rows: int

    @property
    def counts(self) -> dict[str, int]:
        """Findings a kind, most first."""
        return dict(Counter(place.finding.kind for place in self.places).most_common())

    @property
    def row_ids(self) -> frozenset[str]:
        """The rows that hold anything; their texts stand in no report."""
        return frozenset(place.row_id for place in self.places)

    def rows_with(self, kind: str) -> tuple[str, ...]:
        """Return the ids of the rows that hold this kind, each once, in order."""
        return tuple(dict.fromkeys(place.row_id for place in self.places if place.finding.kind == kind))


def row_texts(row: DatasetRow) -> list[tuple[str, str]]:
    """Return (field, text) of everything the row shows or teaches; empty fields left out."""
    texts = [("question", row.question)]
    texts += [(f"turns[{place}]", turn.content) for place, turn in enumerate(row.turns)]
    for place, passage in enumerate(row.passages):
        texts += [(f"passages[{place}].context", passage.context), (f"passages[{place}]", passage.text)]
    return [(field, text) for field, text in (*texts, ("completion", row.completion)) if text]


def find_sensitive(text: str) -> list[Finding]:
    """Return secrets and personal data of a text in order of place; digits inside a secret are no phone number."""
    secrets = find_secrets(text)
    others = [
        finding
        for finding in find_personal_data(text)
        if not any(finding.start < secret.end and secret.start < finding.end for secret in secrets)
    ]
    return sorted((*secrets, *others), key=lambda finding: finding.start)


def scan_rows(rows: Iterable[DatasetRow], find: Callable[[str], list[Finding]] = find_sensitive) -> Scan:
    """Scan all texts of all rows. A text that stands in many rows, as passages do, is scanned once.

    Memory: one entry for every different text.
    """
    known: dict[str, list[Finding]] = {}
    places: list[Place] = []
    n_rows = 0
    for row in rows:
        n_rows += 1
        for field, text in row_texts(row):
            found = known.get(text)
            if found is None:
                found = known[text] = find(text)
            places += [Place(row.id, field, finding) for finding in found]
    return Scan(tuple(places), n_rows)


def blocking_kinds(counts: Mapping[str, int], allow: Collection[str]) -> dict[str, int]:
    """Return the kinds that stop training: all that were found and are not allowed by name."""
    return {kind: count for kind, count in counts.items() if kind not in allow}


def refuse_sensitive(scan: Scan, allow: Collection[str], *, source: str, key: str = "training.allow_findings") -> None:
    """Raise SensitiveDataError unless every kind found is allowed by name.

    Args:
        source: the dataset as the user named it, for the message.
        key: the config key that allows kinds.
    """
    blocking = blocking_kinds(scan.counts, allow)
    if not blocking:
        return
    lines = []
    for kind, count in blocking.items():
        rows = scan.rows_with(kind)
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        lines.append(f"  {kind}: {count} in {len(rows)} rows: {', '.join(rows[:_NAMED])}{more}")
    allowed = ", ".join(sorted({*allow, *blocking}))
    raise SensitiveDataError(
        f"{source} holds secrets or personal data in its {scan.n_rows} rows, so it is not trained on:\n"
        + "\n".join(lines)
        + f"\nlook at them: workbench dataset audit {source}; take the rows out, or allow the kinds by name: "
        f"--set '{key}=[{allowed}]'"
    )
