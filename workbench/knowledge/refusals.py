"""What a collection says when it is not what was asked for: both values, and the next command.

A collection lies in a library or in a run's folder, and each is mended by commands of its own; so both are named.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from workbench.errors import CollectionVersionError, DamagedCollectionError, MissingCollectionError, StaleIndexError
from workbench.types import EmbedderIdentity


def refuse_missing(path: Path) -> MissingCollectionError:
    """Return the error for a folder without a database at `path`."""
    folder = path.parent
    return MissingCollectionError(
        f"{folder} holds no {path.name}; make the collection: workbench sync {folder} DOCUMENTS... (in a run: "
        "workbench index CONFIG)"
    )


def refuse_damaged(path: Path, fault: str) -> DamagedCollectionError:
    """Return the error for a database at `path` that is not what was written."""
    return DamagedCollectionError(f"{path} {fault}; mend it: workbench repair {path.parent} ({_in_a_run(path.parent)})")


def refuse_lapsed(path: Path, fault: str) -> DamagedCollectionError:
    """Return the error for a database at `path` that may not be in the state that was committed last."""
    folder = path.parent
    return DamagedCollectionError(
        f"{path} {fault}; put the whole folder back from a backup, or take what there is for the newest: workbench "
        f"repair {folder}, then bring it up to date: workbench sync {folder} DOCUMENTS... ({_in_a_run(folder)})"
    )


def refuse_version(path: Path, found: int, wanted: int) -> CollectionVersionError:
    """Return the error for a database at `path` with the schema of another version of this program."""
    return CollectionVersionError(
        f"{path} has schema version {found}, this program reads {wanted}; use the version of workbench that made it, "
        f"or fill a new folder: workbench sync NEW_FOLDER DOCUMENTS... ({_in_a_run(path.parent)})"
    )


def refuse_embedder(folder: Path, found: EmbedderIdentity, wanted: EmbedderIdentity) -> StaleIndexError:
    """Return the error for a collection of another embedder than the one asked for."""
    theirs, ours = asdict(found), asdict(wanted)
    differing = [key for key in theirs if theirs[key] != ours[key]]
    return StaleIndexError(
        f"{folder} was built with {', '.join(f'{key} {theirs[key]!r}' for key in differing)}, but the embedder asked "
        f"for has {', '.join(f'{key} {ours[key]!r}' for key in differing)}; embed it anew: workbench reembed {folder} "
        f"{wanted.name} ({_in_a_run(folder)})"
    )


def refuse_promoted(folder: Path, before: EmbedderIdentity, now: EmbedderIdentity) -> StaleIndexError:
    """Return the error for a collection that was given another embedder while it was open."""
    return StaleIndexError(f"{folder} was opened with embedder {before.name!r}, now it has {now.name!r}; open it again")


def refuse_lone(folder: Path, identity: EmbedderIdentity) -> StaleIndexError:
    """Return the error for a collection without a second edition."""
    return StaleIndexError(
        f"{folder} holds one edition only, of embedder {identity.name!r}; make another: workbench reembed {folder} "
        "EMBEDDER"
    )


def tell_unemptied(folder: Path) -> str:
    """Return the event of a write-ahead log that could not be emptied after a write."""
    return (
        f"removed text may stay in {folder}: in its database and its write-ahead log, since another program is reading "
        f"it; close that, then: workbench purge {folder}"
    )


def _in_a_run(folder: Path) -> str:
    return f"in a run: remove {folder}, then workbench index CONFIG"
