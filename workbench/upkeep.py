"""What keeps a library sound over years: purge, verify, repair, export, import, and a change of embedder.

Each is one call on a `Library`, which fills and asks; the work is done in `knowledge/`. A change of embedder takes
three steps, so that nothing is lost on the way: `reembed` fills a second edition beside the readers of the first and
compares the two, `promote` makes it the active one, `rollback` goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from workbench.config import LibraryConfig, Limits, ModelsConfig, dump_config, load_library_config
from workbench.errors import ConfigError, MissingModelError
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
    list_editions,
    promote_edition,
    purge_collection,
    reembed_collection,
    repair_collection,
    rollback_edition,
    sample_questions,
    verify_collection,
)
from workbench.library import SETTINGS, Library
from workbench.models import find_model
from workbench.runs import write_atomically
from workbench.types import EmbedderIdentity, Question

SAMPLED_QUESTIONS = 100
GLOB_SIGNS = set("*?[")

Progress = Callable[[int, int], None]  # done, to do: bytes, rows or texts


def purge(library: Library, patterns: Sequence[str] = (), *, on_progress: Progress | None = None) -> PurgeReceipt:
    """Remove documents and all that earlier deletions left behind from the disk, prove it, return the receipt.

    A pattern without signs is an id, there or not: a purge that was killed after its deletion is finished by the same
    call, and the receipt tells which ids were unknown.

    Raises:
        ConfigError: a glob matches no document.
        BusyError, IncompletePurgeError, OSError: as `purge_collection`.
    """
    plain = [pattern for pattern in patterns if not GLOB_SIGNS & set(pattern)]
    globs = [pattern for pattern in patterns if GLOB_SIGNS & set(pattern)]
    return purge_collection(library.collection, [*plain, *library.match(globs)], on_progress=on_progress)


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


def import_(path: Path, folder: Path, *, on_progress: Progress | None = None) -> tuple[Manifest, str]:
    """Make a library from an exported file, which is not trusted; return what it holds, and what of it was not taken.

    Of its settings the limits of parsing are not taken, and none that this program does not read: then the defaults
    apply. Raises what `import_collection` raises.
    """
    manifest = import_collection(path, folder, settings_name=SETTINGS, on_progress=on_progress)
    defaults = ModelsConfig(embedder=manifest.identity.name)
    try:
        config = load_library_config(folder / SETTINGS if manifest.settings else None)
        note = ""
    except ConfigError as error:
        config, note = (
            LibraryConfig(models=defaults),
            f"its settings are not this program's, the defaults apply: {error}",
        )
    write_atomically(folder / SETTINGS, dump_config(config.model_copy(update={"limits": Limits()})))
    return manifest, note


def reembed(
    library: Library, embedder: str, *, questions: Path | None = None, on_progress: Progress | None = None
) -> EditionComparison:
    """Fill a second edition with another embedder, beside the readers of the first, and compare what both find.

    Args:
        library: stays on its embedder until `promote`.
        embedder: the other model, by the name it is kept under.
        questions: questions with relevant spans; None: asked with words drawn from the chunks, good to compare only.
    Raises:
        ConfigError: there are no documents, it is the embedder in use, or one of the two is not known by its name.
        StaleIndexError: another second edition is there; promote or drop it first.
        BusyError: another process is writing; what was embedded stays for the next attempt.
    """
    collection = library.collection
    if not collection.n_documents:
        raise ConfigError(f"{library.folder} holds no documents; fill it: workbench sync {library.folder} FOLDER")
    models = library.config.models.model_copy(update={"embedder": embedder})
    other = Library(library.folder, library.config.model_copy(update={"models": models}))
    reading = other.load_embedder()
    other.close()
    for identity in (collection.identity, reading.identity):
        _find_by_name(identity)
    if reading.identity == collection.identity:
        raise ConfigError(f"{library.folder} is searched with {embedder!r} already; name another embedder")
    reembed_collection(
        collection,
        reading.identity,
        reading.embed_documents,
        partial(other.cut, offsets=reading),
        settings=library.cutting,
        on_progress=on_progress,
    )
    asked = _questions(collection, questions)
    return compare_editions(collection, asked, library.embedder.embed_questions, reading.embed_questions)


def promote(library: Library) -> str:
    """Make the newer edition the active one; return its embedder's name. Raises what `promote_edition` raises."""
    _find_by_name(list_editions(library.collection)[-1].identity)
    identity = promote_edition(library.collection)
    library.take_embedder(identity.name)
    return identity.name


def rollback(library: Library) -> str:
    """Make the older edition active again; return its embedder's name. Raises what `rollback_edition` raises."""
    _find_by_name(list_editions(library.collection)[0].identity)
    identity = rollback_edition(library.collection)
    library.take_embedder(identity.name)
    return identity.name


def drop(library: Library) -> str | None:
    """Delete the edition that is not active; return its embedder's name, None where there is none."""
    identity = drop_edition(library.collection)
    return identity.name if identity else None


def _find_by_name(identity: EmbedderIdentity) -> None:
    """Make sure that an edition's embedder is kept under its name, which the settings will give from then on.

    Raises:
        ConfigError: no model of that name is here, or it is another one.
    """
    try:
        found = find_model(identity.name, kind="embedder")
    except MissingModelError:
        found = None
    if found is None or found.fingerprint != identity.fingerprint:
        raise ConfigError(
            f"embedder {identity.name!r} is not kept under that name, so no later command could find it; keep it: "
            f"workbench models add FOLDER --name {identity.name}"
        )


def _questions(collection: Collection, path: Path | None) -> Sequence[Question]:
    if path is None:
        return sample_questions(collection, SAMPLED_QUESTIONS)
    texts = {facts.id: collection.document(facts.id).text for facts in collection.documents()}
    return load_questions(path, documents=texts).questions
