"""The verbs of a knowledge base: each opens a collection's folder and calls one method of `Library`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from workbench.cli.app import Overrides

if TYPE_CHECKING:
    from tqdm import tqdm

    from workbench.library import Library, SyncReport
    from workbench.mirroring import SyncPlan
    from workbench.types import Scope

CollectionFolder = Annotated[Path, typer.Argument(metavar="COLLECTION", help="the collection's folder")]
Folders = Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="the folders it should mirror")]
Settings = Annotated[Path | None, typer.Option("--config", help="settings of the collection (YAML); kept with it")]
Facts = Annotated[
    Path | None,
    typer.Option("--metadata", help="your own metadata and permissions by path: .csv, .jsonl or .yaml"),
]
FilterText = Annotated[
    str | None, typer.Option("--filter", help='metadata filter as JSON, for example \'{"language": "en"}\'')
]
Principals = Annotated[
    list[str] | None, typer.Option("--as", metavar="NAME", help="search with this principal's permissions; repeatable")
]


def open_library(folder: Path, config: Path | None = None, overrides: list[str] | None = None) -> Library:
    """Return the library in `folder`; nothing is loaded yet."""
    from workbench.library import Library

    return Library.open(folder, config=config, overrides=overrides or ())


def sync(
    collection: CollectionFolder,
    folders: Folders,
    *,
    metadata: Facts = None,
    no_metadata: Annotated[
        bool, typer.Option("--no-metadata", help="take back what earlier --metadata rules said, permissions too")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the plan; read and change nothing")] = False,
    config: Settings = None,
    overrides: Overrides = [],  # noqa: B006  (typer copies defaults)
) -> None:
    """Make a collection mirror folders: adds, changes, moves and removes exactly what changed."""
    from tqdm import tqdm as progress_bar

    from workbench.corpus import read_facts

    if metadata is not None and no_metadata:
        raise typer.BadParameter("give --metadata or --no-metadata, not both")
    facts = None if metadata is None else read_facts(metadata)
    with open_library(collection, config, overrides) as library:
        if dry_run:
            _show_plan(library.plan(folders, facts=facts, drop_facts=no_metadata))
            return
        with progress_bar(unit="B", unit_scale=True, desc="sync") as bar:

            def begin(plan: SyncPlan) -> None:
                _warn(plan)
                bar.reset(total=sum(file.size for file in plan.to_read))

            report = library.sync(
                folders,
                facts=facts,
                drop_facts=no_metadata,
                on_plan=begin,
                on_progress=lambda file: _advance(bar, file.size),
            )
    _show_report(report)


def search(
    collection: CollectionFolder,
    question: Annotated[str, typer.Argument(help="what to look for")],
    *,
    k: Annotated[int, typer.Option("-k", min=1, help="passages shown")] = 5,
    filter_: FilterText = None,
    principals: Principals = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Show the best passages for a question, with score, place and page."""
    with open_library(collection, overrides=overrides) as library:
        found = library.search(question, k=k, scope=_scope(filter_, principals))
    if not found.answerable:
        typer.echo("not in the documents; the nearest evidence:", err=True)
    for number, hit in enumerate(found.ranking, start=1):
        chunk = hit.chunk
        page = f" p. {chunk.page}" if chunk.page is not None else ""
        typer.echo(f"[{number}] {hit.score:.4f} {chunk.document_id}:{chunk.start}-{chunk.end}{page}  {chunk.context}")
        typer.echo(f"    {' '.join(chunk.text.split())[:200]}")


def delete(
    collection: CollectionFolder,
    patterns: Annotated[list[str], typer.Argument(metavar="PATTERN...", help="ids or globs, such as 'old/**'")],
) -> None:
    """Delete documents: no search finds them, until a sync reads their files again; `purge` removes their bytes."""
    with open_library(collection) as library:
        deleted = library.delete(patterns)
        events = list(library.collection.events)
    for id_ in deleted:
        typer.echo(id_)
    typer.echo(
        f"deleted {len(deleted)} documents; where their files are still there, the next sync brings them back; remove "
        f"their bytes: workbench purge {collection}",
        err=True,
    )
    for event in events:
        typer.echo(event, err=True)


def status(collection: CollectionFolder) -> None:
    """Show what a collection holds, how it is indexed and why, and which files could not be read."""
    with open_library(collection) as library:
        for key, value in library.status().items():
            typer.echo(f"{key}: {value}")


def _scope(filter_: str | None, principals: list[str] | None) -> Scope:
    from workbench.errors import ConfigError
    from workbench.filters import parse_filter
    from workbench.types import Scope

    parsed = None
    if filter_ is not None:
        try:
            parsed = parse_filter(json.loads(filter_))
        except json.JSONDecodeError as error:
            raise ConfigError(
                f'--filter {filter_}: not JSON ({error}); write it like \'{{"language": "en"}}\''
            ) from error
    return Scope(parsed, None if principals is None else frozenset(principals))


def _advance(bar: tqdm[NoReturn], n_bytes: int) -> None:
    bar.update(n_bytes)


def _show_report(report: SyncReport) -> None:
    update = report.update
    counts = ", ".join(f"{len(getattr(update, name))} {name}" for name in ("added", "changed", "moved", "removed"))
    typer.echo(
        f"documents: {counts}, {update.n_unchanged} unchanged; chunks: {update.n_chunks}, of these "
        f"{update.n_embedded} embedded now"
    )
    for failure in report.failures:
        typer.echo(f"not read: {failure.source} ({failure.kind}): {failure.reason}", err=True)
    for event in report.events:
        typer.echo(event, err=True)


def _warn(plan: SyncPlan) -> None:
    for line in plan.unmatched:
        typer.echo(line, err=True)


def _show_plan(plan: SyncPlan) -> None:
    _warn(plan)
    for name, files in (("add", plan.added), ("change", plan.changed)):
        for file in files:
            typer.echo(f"{name:7}{file.id} ({file.size} bytes)")
    for old, new in plan.moved:
        typer.echo(f"move   {old} -> {new}")
    for path in plan.removed:
        typer.echo(f"remove {path}")
    typer.echo(f"{plan.n_unchanged} unchanged; nothing was done")


VERBS: dict[str, Callable[..., None]] = {"sync": sync, "search": search, "delete": delete, "status": status}
