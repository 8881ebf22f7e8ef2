"""What of an experiment goes into a bundle: models, collections, adapters, questions, documents, and its config.

The config is written anew so that every path in it lies in the bundle; a file that does not come along is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.airgap.sbom import Asset
from workbench.airgap.writing import Item
from workbench.config import ExperimentConfig, LibraryConfig, dump_config, leaves_to_fit, load_library_config
from workbench.corpus import scan_folder
from workbench.errors import ConfigError
from workbench.intake import admit_model
from workbench.intake.adapter_settings import PASSPORT, WEIGHTS
from workbench.intake.hashes import fingerprint_hashes
from workbench.intake.walking import STAMP_FILE
from workbench.knowledge import Collection
from workbench.knowledge.portability import export_collection
from workbench.library import SETTINGS
from workbench.models import InstalledModel, find_model
from workbench.models.adapters import read_passport
from workbench.models.catalogue import FolderSource
from workbench.models.folders import UNKNOWN_LICENCE
from workbench.models.store import NAME, ModelStamp, home
from workbench.runs import fingerprint_file
from workbench.training import BEST

ADAPTER_FILES = (WEIGHTS, PASSPORT, "adapter_config.json", "chat_template.jinja", "gates.json", "README.md")
OWN_LICENCE = "Apache-2.0"


@dataclass(slots=True)
class Gathered:
    """What was gathered so far. `notes` tell what did not come along, and why."""

    items: list[Item] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    backends: set[str] = field(default_factory=set)  # what computed the collections' vectors

    def add_tree(self, items: Sequence[Item], asset: Asset) -> None:
        """Take the files of one model or data set."""
        self.items += items
        self.assets.append(asset)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which experiment, and what of it."""

    config: ExperimentConfig
    run: Path  # the run's folder
    collections: tuple[Path, ...]  # further ones, folders of libraries
    with_corpus: bool
    data_licence: str  # of questions, documents, collections and adapters


def gather_experiment(wanted: Wanted, staging: Path) -> Gathered:
    """Return all files of the bundle but packages, manifest, SBOM and installer; collections are exported to `staging`.

    Raises:
        ConfigError: there is nothing to search: no collection of the run, and no corpus to make one of.
        MissingModelError, ModelIntegrityError: a model is not here, or not sound.
    """
    gathered, config = Gathered(), wanted.config
    tree: dict[str, Any] = config.model_dump(mode="json")
    embedders = _add_collections(wanted, staging, gathered)
    kinds = {"generator": config.models.generator, "embedder": config.models.embedder}
    if any(config.retrieval_of(name).rerank for name in config.arms):
        kinds["reranker"] = config.models.reranker
    for kind, reference in kinds.items():
        tree["models"][kind] = _add_model(find_model(reference), reference, gathered)
    for reference in sorted(embedders - {asset.name for asset in gathered.assets}):
        _add_model(find_model(reference), reference, gathered)
    _add_questions(wanted, tree, gathered)
    _add_corpus(wanted, tree, gathered)
    _add_adapters(wanted, tree, gathered)
    _drop_paths(config, tree, gathered)
    if config.routed_arm is not None:
        gathered.notes.append(f"arm {config.routed_arm} cannot be asked there: its router belongs to the answers here")
    text = dump_config(ExperimentConfig.model_validate(tree))
    place = f"configs/{config.name}.yaml"
    opening = f"# As bundled; adapters are taken as they are. For example:\n#   ./workbench ask {place} QUESTION\n"
    gathered.items.append(Item(place, f"{opening}{text}".encode(), OWN_LICENCE))
    return gathered


def _add_model(model: InstalledModel, reference: str, gathered: Gathered) -> str:
    """Add a model's folder as the store keeps it, under its name; return how the config refers to it."""
    if not NAME.fullmatch(model.name):
        raise ConfigError(
            f"model {reference!r} has no plain name; keep it under one: workbench models add FOLDER --name"
        )
    admitted = admit_model(model.folder, cache_path=home() / "hashes.json")
    # Where a folder lay on this machine is nobody's affair on another.
    source = FolderSource(path=model.name) if isinstance(model.source, FolderSource) else model.source
    stamp = ModelStamp(
        name=model.name,
        kind=model.kind,
        licence=model.licence,
        source=source,
        files=dict(admitted.files),
        fingerprint=admitted.fingerprint,
    )
    if model.name not in [asset.name for asset in gathered.assets]:
        documents = [path.name for path in sorted(model.folder.glob("*")) if _is_notice(path)]
        items = [
            Item(f"models/{model.name}/{one}", model.folder / one, model.licence)
            for one in [*admitted.files, *documents]
        ]
        items.append(
            Item(f"models/{model.name}/{STAMP_FILE}", f"{stamp.model_dump_json(indent=2)}\n".encode(), model.licence)
        )
        asset = Asset(model.name, "model", model.fingerprint, model.licence, f"{model.kind}, {model.source.kind}")
        gathered.add_tree(items, asset)
    return reference if reference.startswith("hf:") else model.name


def _is_notice(path: Path) -> bool:
    return path.is_file() and path.name.lower().startswith(("readme", "license", "licence", "notice", "copying"))


def _add_collections(wanted: Wanted, staging: Path, gathered: Gathered) -> set[str]:
    """Export the run's collection and the further ones; return the names of their embedders."""
    run = wanted.run / "collection"
    folders = {f"collections/{folder.resolve().name}": folder for folder in wanted.collections}
    if len(folders) < len(wanted.collections):
        raise ConfigError("two --collection folders have one name; rename one")
    if Collection.exists(run):
        folders[f"runs/{wanted.config.name}/collection"] = run
    elif not wanted.config.corpus.inside_questions and not (wanted.with_corpus and wanted.config.corpus.path):
        raise ConfigError(
            f"{wanted.run} holds no collection, so nothing could be searched; make it: workbench index CONFIG, or take "
            "the documents along: --corpus"
        )
    else:
        gathered.notes.append(
            f"no collection of the run: the first question on the target indexes {wanted.config.name}"
        )
    embedders = set()
    for place, folder in folders.items():
        archive = staging / f"{place.replace('/', '--')}.zip"
        settings = folder / SETTINGS
        library = load_library_config(settings) if settings.exists() else _library_of(wanted.config, gathered)
        manifest = export_collection(folder, archive, settings=dump_config(library))
        embedders.add(manifest.identity.name)
        gathered.backends.add(manifest.identity.backend)
        if library.retrieval.rerank:
            reference = library.models.reranker
            _add_model(find_model(reference), reference, gathered)
        described = f"collection of {manifest.n_documents} documents, {manifest.n_chunks} chunks"
        item = Item(f"{place}.zip", archive, wanted.data_licence)
        gathered.add_tree([item], Asset(place, "data", manifest.sha256, wanted.data_licence, described))
    return embedders


def _library_of(config: ExperimentConfig, gathered: Gathered) -> LibraryConfig:
    """Return the experiment's settings as those of a collection on its own, for `workbench search`."""
    retrieval = config.retrieval
    if leaves_to_fit(retrieval):
        gathered.notes.append("`workbench search` uses the default retrieval: what an experiment fits is its own")
        retrieval = LibraryConfig().retrieval
    models = config.models.model_copy(update={"embedder": find_model(config.models.embedder).name})
    return LibraryConfig(
        include=config.corpus.include,
        limits=config.corpus.limits,
        models=models,
        chunking=config.chunking,
        index=config.index,
        retrieval=retrieval,
    )


def _add_questions(wanted: Wanted, tree: dict[str, Any], gathered: Gathered) -> None:
    path = wanted.config.questions.path
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; set questions.path to a question file")
    place = f"questions/{path.name}"
    asset = Asset(path.name, "data", fingerprint_file(path), wanted.data_licence, "questions")
    gathered.add_tree([Item(place, path, wanted.data_licence)], asset)
    tree["questions"]["path"] = place


def _add_corpus(wanted: Wanted, tree: dict[str, Any], gathered: Gathered) -> None:
    corpus = wanted.config.corpus
    if corpus.path is None:
        if corpus.collection is not None:
            tree["corpus"]["collection"] = f"runs/{wanted.config.name}/collection"
        return
    if not wanted.with_corpus:
        tree["corpus"] |= {"path": None, "collection": f"runs/{wanted.config.name}/collection"}
        gathered.notes.append("the documents' files do not come along, only their text in the collection: see --corpus")
        return
    files = [file for file in scan_folder([corpus.path], corpus.include) if file.sha256]  # none: a link out of it
    items = [Item(f"corpus/{file.id}", file.path, wanted.data_licence) for file in files]
    sha256 = fingerprint_hashes({file.id: file.sha256 for file in files})
    gathered.add_tree(items, Asset("corpus", "data", sha256, wanted.data_licence, f"{len(files)} documents"))
    tree["corpus"]["path"] = "corpus"


def _add_adapters(wanted: Wanted, tree: dict[str, Any], gathered: Gathered) -> None:
    """Add the trained adapters that the arms name; the config takes them as they are."""
    base = find_model(wanted.config.models.generator, kind="generator").fingerprint
    for name in sorted({arm.adapter for arm in wanted.config.arms.values() if arm.adapter is not None}):
        settings = wanted.config.training.adapters[name]
        folder = settings.folder or wanted.run / f"train-{name}" / BEST
        fault = None
        if not (folder / WEIGHTS).exists():
            fault = f"adapter {name} is not trained in {folder.parent}"
        elif read_passport(folder).base_fingerprint != base:
            fault = f"adapter {name} in {folder} was trained for another base model"
        if fault is not None and settings.folder is not None:
            raise ConfigError(f"{fault}; name the right one, or leave its arms out: training.adapters.{name}.folder")
        if fault is not None:
            gathered.notes.append(f"{fault}, so its arms cannot be asked")
            continue
        there = [one for one in ADAPTER_FILES if (folder / one).exists()]
        items = [Item(f"adapters/{name}/{one}", folder / one, wanted.data_licence) for one in there]
        hashes = {one: fingerprint_file(folder / one) for one in there}
        asset = Asset(f"adapter-{name}", "model", fingerprint_hashes(hashes), wanted.data_licence, "LoRA adapter")
        gathered.add_tree(items, asset)
        tree["training"]["adapters"][name] = {"examples": "trained", "folder": f"adapters/{name}"}


def _drop_paths(config: ExperimentConfig, tree: dict[str, Any], gathered: Gathered) -> None:
    """Unset what names further files of this machine; those are for training and series, which need a checkout."""
    places = [("dataset", "replay_path"), ("gates", "general_text"), ("gates", "known_facts")]
    places += [("scaling", "distractors"), ("serving", "folder")]
    for section, key in places:
        if tree[section].get(key) is not None:
            gathered.notes.append(f"{section}.{key} is unset: {tree[section][key]} does not come along")
            tree[section][key] = None
    for name, adapter in list(tree["training"]["adapters"].items()):
        if adapter["folder"] is not None and adapter["folder"] != f"adapters/{name}":
            gathered.notes.append(f"adapter {name} does not come along: no arm names it")
            del tree["training"]["adapters"][name]
        if adapter.get("dataset") is not None:
            gathered.notes.append(f"training.adapters.{name}.dataset is unset: {adapter['dataset']} stays here")
            adapter["dataset"] = None


def unlicensed(items: Sequence[Item]) -> Iterator[str]:
    """Yield the folders and files whose licence nobody stated, once each."""
    yield from dict.fromkeys(
        "/".join(item.path.split("/")[:2]) for item in items if item.licence in (UNKNOWN_LICENCE, "")
    )
