"""Writers on the editions of a collection that are not active. The caller holds the writer lock."""

from __future__ import annotations

from workbench.knowledge.segments import UnusableSegmentError
from workbench.knowledge.view import read_view
from workbench.knowledge.writing import Writer, mend_segments


def open_edition(writer: Writer, number: int) -> Writer:
    """Return a writer on another edition of the same collection; its unusable segments are built again.

    Raises:
        DamagedCollectionError: there is no such edition, or its rows are not those that were committed.
    """
    store = writer.store
    state = store.take_snapshot(number)
    try:
        view = read_view(store, state, writer.folder, {})
    except UnusableSegmentError:
        view = mend_segments(store, state, writer.folder, writer.index)
    store.end_snapshot()
    return Writer(store, writer.folder, view, writer.index)


def open_others(writer: Writer) -> list[Writer]:
    """Return writers on all editions but the writer's own."""
    own = writer.view.state.edition.number
    return [open_edition(writer, one.number) for one in writer.store.editions() if one.number != own]
