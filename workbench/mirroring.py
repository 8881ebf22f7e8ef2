"""What a sync has to do, told by the files' bytes alone: which are new, changed, moved, gone; and what becomes of each.

Beside `library.py` on the same floor, which carries the plan out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from workbench.config import Limits
from workbench.corpus import RETRIED_KINDS, FactRules, SourceFile, apply_facts, read_files
from workbench.knowledge import Change, FileMark
from workbench.types import Document


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a sync will do, told by the files' bytes alone. Paths in order; a moved file is in no other list."""

    added: tuple[SourceFile, ...]
    changed: tuple[SourceFile, ...]  # bytes, reader, metadata rules or chunking differ from what was recorded
    moved: tuple[tuple[str, str], ...]  # old path, new path
    removed: tuple[str, ...]
    n_unchanged: int
    unmatched: tuple[str, ...]  # metadata rules that match no file, one line each
    to_read: tuple[SourceFile, ...]  # added, changed and the moved ones under their new path


def compare_files(
    files: Sequence[SourceFile],
    marks: Mapping[str, FileMark],
    reader_of: Callable[[SourceFile], str],
    unmatched: Sequence[str],
) -> SyncPlan:
    """Return what has to be done for a collection with `marks` to mirror `files`.

    Args:
        files: what the folders hold now, with the SHA-256 of their bytes.
        marks: what became of each file that was recorded, by path.
        reader_of: what a file's document depends on beside its bytes: another value, and the file is read again.
        unmatched: metadata rules that match no file, one line each.
    """

    def differs(file: SourceFile, mark: FileMark) -> bool:
        retried = mark.document_id is None and mark.kind in RETRIED_KINDS
        return retried or mark.sha256 != file.sha256 or mark.reader != reader_of(file)

    added = [file for file in files if file.id not in marks]
    changed = [file for file in files if file.id in marks and differs(file, marks[file.id])]
    vanished = sorted(marks.keys() - {file.id for file in files})
    moved = match_moves(added, {path: marks[path] for path in vanished})
    arrived, left = set(moved.values()), set(moved)
    return SyncPlan(
        added=tuple(file for file in added if file.id not in arrived),
        changed=tuple(changed),
        moved=tuple(sorted(moved.items())),
        removed=tuple(path for path in vanished if path not in left),
        n_unchanged=len(files) - len(added) - len(changed),
        unmatched=tuple(unmatched),
        to_read=tuple(sorted((*added, *changed), key=lambda file: file.id)),
    )


def match_moves(added: Sequence[SourceFile], vanished: Mapping[str, FileMark]) -> dict[str, str]:
    """Return old path → new path for files whose bytes stayed: both in order of path, each path once."""
    waiting: dict[str, list[str]] = {}
    for path in sorted(vanished, reverse=True):
        if vanished[path].document_id is not None:
            waiting.setdefault(vanished[path].sha256, []).append(path)
    return {waiting[file.sha256].pop(): file.id for file in added if file.sha256 and waiting.get(file.sha256)}


def read_changes(
    files: Sequence[SourceFile],
    rules: FactRules,
    marks: Mapping[str, FileMark],
    lost: list[Change],
    *,
    reader: Callable[[SourceFile, FactRules], str],
    limits: Limits,
    on_progress: Callable[[SourceFile], None] | None,
) -> Generator[Change, None, None]:
    """Yield what becomes of each file; one that had a document and is readable no more goes into `lost` instead.

    Args:
        reader: what a file's document depends on beside its bytes.
        on_progress: called with each file that was read.
    """
    with closing(read_files(files, limits=limits)) as outcomes:
        for file, outcome in zip(files, outcomes, strict=True):
            mark = partial(FileMark, file.id, file.sha256, file.size, reader(file, rules))
            if isinstance(outcome, Document):
                yield Change(apply_facts(outcome, rules), mark(outcome.id))
            else:
                failed = Change(None, mark(None, outcome.kind, outcome.reason))
                if file.id in marks and marks[file.id].document_id is not None:
                    lost.append(failed)
                else:
                    yield failed
            if on_progress is not None:
                on_progress(file)
