"""Which embedders a collection is stamped with, told also where it cannot be opened: what a repair needs to know first.

Not a check: whether the collection is whole is for `verify.py`.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from workbench.errors import DamagedCollectionError
from workbench.knowledge.collection import DATABASE
from workbench.knowledge.judging import judge_edition
from workbench.knowledge.records import EDITION_COLUMNS, Records
from workbench.types import EmbedderIdentity


def read_stamps(folder: Path) -> list[EmbedderIdentity]:
    """Return the embedders of the editions that can be read: unaltered ones before others, the active one first.

    Raises:
        CollectionVersionError: another version of this program made the collection.
        BusyError, OSError: it cannot be read now.
    """
    try:
        with closing(Records(folder / DATABASE)) as store:
            rows = list(store.rows(f"SELECT {EDITION_COLUMNS} FROM editions ORDER BY number"))
            state = store.first("SELECT active FROM state")
    except DamagedCollectionError:
        return []
    active = state[0] if state is not None else None
    judged = [(*judge_edition(row), row[0] != active) for row in rows]
    judged.sort(key=lambda one: (bool(one[0]), one[2]))  # stable: else they stay in order
    return [identity for _, identity, _ in judged if identity is not None]
