"""The verbs that keep a collection sound: each opens its folder and calls one function of `workbench/upkeep.py`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.collections import CollectionFolder, open_library

if TYPE_CHECKING:
    from workbench.knowledge import EditionComparison


def purge(
    collection: CollectionFolder,
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="[PATTERN...]", help="documents to delete first: ids or globs")
    ] = None,
) -> None:
    """Remove what was deleted from the disk, search every byte for it, and print the receipt (JSON)."""
    from workbench import upkeep

    with open_library(collection) as library, _progress("search", "B") as show:
        receipt = upkeep.purge(library, patterns or (), on_progress=show)
    typer.echo(json.dumps(asdict(receipt), indent=2, ensure_ascii=False))
    if receipt.unknown:
        typer.echo(f"not there (purged before, or mistyped): {', '.join(receipt.unknown)}", err=True)


def verify(collection: CollectionFolder) -> None:
    """Check every row, vector and index against its checksum, and searches against brute force; 1 if one is wrong."""
    from workbench import upkeep

    with open_library(collection) as library, _progress("verify", "rows") as show:
        findings = upkeep.verify(library, on_progress=show)
    for finding in findings:
        typer.echo(str(finding))
    if findings:
        typer.echo(f"{len(findings)} findings; mend them: workbench repair {collection}", err=True)
        raise typer.Exit(1)
    typer.echo("whole: every row, vector and index is what was written")


def repair(
    collection: CollectionFolder,
    *,
    drop_damaged: Annotated[
        bool, typer.Option("--drop-damaged", help="remove documents that are damaged; the next sync reads them again")
    ] = False,
) -> None:
    """Build what is damaged again from what is not: chunks from documents, vectors from chunks, indexes from both."""
    from workbench import upkeep

    with open_library(collection) as library, _progress("inspect", "rows") as show:
        report = upkeep.repair(library, drop_damaged=drop_damaged, on_progress=show)
    for line in (*report.mended, *(f"removed: {id_}" for id_ in report.dropped)):
        typer.echo(line)
    typer.echo(f"found {len(report.found)}, left {len(report.left)}")
    if report.left:
        raise typer.Exit(1)


def export(collection: CollectionFolder, file: Annotated[Path, typer.Argument(help="the file to make")]) -> None:
    """Write a collection and its settings to one checksummed file; deleted text does not travel."""
    from workbench import upkeep

    with open_library(collection) as library, _progress("check", "rows") as show:
        manifest = upkeep.export(library, file, on_progress=show)
    typer.echo(f"{file}: {manifest.n_documents} documents, {manifest.n_chunks} chunks, {manifest.size} bytes")


def import_(
    file: Annotated[Path, typer.Argument(help="a file that `workbench export` made")],
    collection: Annotated[Path, typer.Argument(metavar="COLLECTION", help="the folder to make")],
) -> None:
    """Make a collection from an exported file, which is checked throughout and not trusted."""
    from workbench import upkeep

    with _progress("check", "rows") as show:
        manifest, note = upkeep.import_(file, collection, on_progress=show)
    typer.echo(f"{collection}: {manifest.n_documents} documents, {manifest.n_chunks} chunks")
    if note:
        typer.echo(note, err=True)


def reembed(
    collection: CollectionFolder,
    embedder: Annotated[str | None, typer.Argument(help="the other embedder, by the name it is kept under")] = None,
    *,
    questions: Annotated[
        Path | None, typer.Option(help="questions with relevant spans to compare by; none: words of the chunks")
    ] = None,
    promote: Annotated[bool, typer.Option("--promote", help="answer from the newer edition from now on")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="answer from the older edition again")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="delete the edition that is not in use")] = False,
) -> None:
    """Embed a collection anew beside its readers and compare; then --promote, --rollback, --drop."""
    from workbench import upkeep

    if (embedder is not None) + promote + rollback + drop != 1:
        raise typer.BadParameter("give an embedder, or one of --promote, --rollback, --drop")
    with open_library(collection) as library, _progress("embed", "texts") as show:
        if promote or rollback:
            name = upkeep.promote(library) if promote else upkeep.rollback(library)
            typer.echo(f"{collection} is searched with {name} now")
        elif drop:
            dropped = upkeep.drop(library)
            typer.echo(f"deleted the edition of {dropped}" if dropped else "there is no other edition")
        elif embedder is not None:
            _show_comparison(upkeep.reembed(library, embedder, questions=questions, on_progress=show), embedder)
            typer.echo(f"take it: workbench reembed {collection} --promote", err=True)


def _show_comparison(found: EditionComparison, embedder: str) -> None:
    typer.echo(f"overlap@{found.k}: {found.overlap:.3f} over {found.n_questions} questions")
    for name, before in found.active.items():
        typer.echo(f"{name}: {before:.3f} now, {found.other[name]:.3f} with {embedder}")


@contextmanager
def _progress(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    from tqdm import tqdm

    with tqdm(desc=what, unit=unit, unit_scale=True, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


VERBS: dict[str, Callable[..., None]] = {
    "purge": purge,
    "verify": verify,
    "repair": repair,
    "export": export,
    "import": import_,
    "reembed": reembed,
}
