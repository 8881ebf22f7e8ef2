"""The editions of a collection, also those not active: opened for reading by anybody, for writing under the lock."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import DamagedCollectionError
from workbench.knowledge.records import Records
from workbench.knowledge.schema import Edition
from workbench.knowledge.segments import Segment, UnusableSegmentError, open_segment
from workbench.knowledge.view import read_view
from workbench.knowledge.writing import Writer, mend_segments


@dataclass(slots=True)
class Pinned:
    """An edition of the snapshot with its segments open, so that no writer can take their files away."""

    edition: Edition
    segments: list[Segment] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)  # why segments cannot be opened, by name


def pin_segments(store: Records, folder: Path) -> list[Pinned]:
    """Take a snapshot and open all segments of its readable editions; the rows tell what the others are."""
    before: list[Pinned] | None = None
    while True:
        store.begin_snapshot()
        pinned = []
        try:
            pinned = [Pinned(edition) for edition in store.editions()]
        except (DamagedCollectionError, TypeError, ValueError):
            return []
        for one in pinned:
            for record in one.edition.segments:
                try:
                    one.segments.append(open_segment(folder, record))
                except UnusableSegmentError as fault:
                    one.faults[record.name] = str(fault).removeprefix(f"{record.name}: ")
        editions = [one.edition for one in pinned]
        # A segment that is missing may have been replaced since the snapshot: then the next one tells.
        if not any(one.faults for one in pinned) or (before and editions == [one.edition for one in before]):
            return pinned
        before = pinned


def open_edition(writer: Writer, number: int) -> Writer:
    """Return a writer on another edition of the same collection; its unusable segments are built again.

    Raises:
        DamagedCollectionError: there is no such edition, or its rows are not those that were committed.
    """
    store = writer.store
    state = store.take_snapshot(number)
    try:
        view = read_view(store, state, writer.folder, ())
    except UnusableSegmentError:
        view = mend_segments(store, state, writer.folder, writer.index)
    store.end_snapshot()
    return Writer(store, writer.folder, view, writer.index)


def open_others(writer: Writer) -> list[Writer]:
    """Return writers on all editions but the writer's own."""
    own = writer.view.state.edition.number
    return [open_edition(writer, one.number) for one in writer.store.editions() if one.number != own]
