"""What keeps a library sound over years: purge, verify, repair, export, import, and a change of embedder.

Each is one call on a `Library`, which fills and asks; the work is done in `knowledge/`. A change of embedder takes
three steps, so that nothing is lost on the way: `reembed` fills a second edition beside the readers of the first and
compares the two, `promote` makes it the active one, `rollback` goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from workbench.config import dump_config, load_library_config
from workbench.errors import ConfigError
from workbench.evaluation import load_questions
from workbench.knowledge import (
    Collection,
    EditionComparison,
    Finding,
    Manifest,
    PurgeReceipt,
    RepairReport,
    compare_editions,
    drop_edition,
    export_collection,
    import_collection,
    promote_edition,
    purge_collection,
    reembed_collection,
    repair_collection,
    rollback_edition,
    sample_questions,
    verify_collection,
)
from workbench.library import SETTINGS, Library
from workbench.runs import fingerprint, write_atomically
from workbench.types import EmbedderIdentity, Question

SAMPLED_QUESTIONS = 100

Progress = Callable[[int, int], None]  # done, to do: bytes, rows or texts


def purge(library: Library, patterns: Sequence[str] = (), *, on_progress: Progress | None = None) -> PurgeReceipt:
    """Remove documents and all that earlier deletions left behind from the disk, prove it, return the receipt.

    Raises:
        ConfigError: a pattern matches no document.
        BusyError, IncompletePurgeError, OSError: as `purge_collection`.
    """
    return purge_collection(library.collection, library.match(patterns), on_progress=on_progress)


def verify(library: Library, *, on_progress: Progress | None = None) -> list[Finding]:
    """Return all that is wrong with the collection, whatever its condition; nothing is an empty list."""
    return verify_collection(library.folder, on_progress=on_progress)


def repair(library: Library, *, drop_damaged: bool = False, on_progress: Progress | None = None) -> RepairReport:
    """Build what is damaged again from what is not, and verify it again; damaged documents go only if asked.

    Raises:
        DamagedCollectionError: documents are damaged and `drop_damaged` is not set; nothing was changed.
        StaleIndexError, BusyError: as `repair_collection`.
    """
    embedder = library.load_embedder()
    return repair_collection(
        library.folder,
        embedder.identity,
        partial(library.cut, offsets=embedder),
        embedder.embed_documents,
        settings=library.cutting,
        index=library.config.index,
        drop_damaged=drop_damaged,
        on_progress=on_progress,
    )


def export(library: Library, path: Path, *, on_progress: Progress | None = None) -> Manifest:
    """Write collection and settings to one checksummed file. Raises what `export_collection` raises."""
    return export_collection(library.folder, path, settings=dump_config(library.config), on_progress=on_progress)


def import_(path: Path, folder: Path, *, on_progress: Progress | None = None) -> Manifest:
    """Make a library from an exported file, which is not trusted. Raises what `import_collection` raises.

    Its settings are those of the file where they are sound settings of this program, else the defaults.
    """
    manifest = import_collection(path, folder, on_progress=on_progress)
    if manifest.settings:
        write_atomically(folder / SETTINGS, manifest.settings)
        try:
            load_library_config(folder / SETTINGS)
        except ConfigError as error:
            (folder / SETTINGS).unlink()
            raise ConfigError(
                f"{path} brought settings that this program does not take ({error}); the collection in {folder} is "
                f"whole: give it settings with the next command, --config FILE"
            ) from error
    return manifest


def reembed(
    library: Library, embedder: str, *, questions: Path | None = None, on_progress: Progress | None = None
) -> EditionComparison:
    """Fill a second edition with another embedder, beside the readers of the first, and compare what both find.

    Args:
        library: stays on its embedder until `promote`.
        embedder: name or folder of the other model.
        questions: questions with relevant spans; None: asked with words drawn from the chunks, good to compare only.
    Raises:
        StaleIndexError: another second edition is there; promote or drop it first.
        BusyError: another process is writing; what was embedded stays for the next attempt.
    """
    models = library.config.models.model_copy(update={"embedder": embedder})
    other = Library(library.folder, library.config.model_copy(update={"models": models}))
    reading = other.load_embedder()
    reembed_collection(
        library.collection,
        reading.identity,
        reading.embed_documents,
        partial(other.cut, offsets=reading),
        settings=library.cutting,
        on_progress=on_progress,
    )
    for identity, one in ((library.collection.identity, library), (reading.identity, other)):
        write_atomically(_settings_of(library.folder, identity), dump_config(one.config))
    asked = _questions(library.collection, questions)
    return compare_editions(library.collection, asked, library.embedder.embed_questions, reading.embed_questions)


def promote(library: Library) -> str:
    """Make the newer edition the active one; return its embedder's name. Raises what `promote_edition` raises."""
    identity = promote_edition(library.collection)
    _take_settings(library.folder, identity)
    return identity.name


def rollback(library: Library) -> str:
    """Make the older edition active again; return its embedder's name. Raises what `rollback_edition` raises."""
    identity = rollback_edition(library.collection)
    _take_settings(library.folder, identity)
    return identity.name


def drop(library: Library) -> str | None:
    """Delete the edition that is not active; return its embedder's name, None where there is none."""
    identity = drop_edition(library.collection)
    if identity is None:
        return None
    _settings_of(library.folder, identity).unlink(missing_ok=True)
    return identity.name


def _settings_of(folder: Path, identity: EmbedderIdentity) -> Path:
    """Where the settings of an edition wait while there are two."""
    return folder / f"library.{fingerprint(asdict(identity))[:12]}.yaml"


def _take_settings(folder: Path, identity: EmbedderIdentity) -> None:
    """Make an edition's settings the library's; done again after a kill it does the same."""
    write_atomically(folder / SETTINGS, _settings_of(folder, identity).read_text(encoding="utf-8"))


def _questions(collection: Collection, path: Path | None) -> Sequence[Question]:
    if path is None:
        return sample_questions(collection, SAMPLED_QUESTIONS)
    texts = {facts.id: collection.document(facts.id).text for facts in collection.documents()}
    return load_questions(path, documents=texts).questions
