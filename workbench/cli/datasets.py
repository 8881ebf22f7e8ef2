"""The verbs on training datasets: `workbench dataset build | show | convert | audit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.app import Overrides
from workbench.cli.auditing import audit

if TYPE_CHECKING:
    from workbench.dataset import Manifest
    from workbench.rows import DatasetRow

datasets_app = typer.Typer(help="Make, show, convert and audit training datasets.", no_args_is_help=True)

datasets_app.command()(audit)

DatasetFolder = Annotated[Path, typer.Argument(help="a dataset's folder, for example runs/quickstart/dataset/rows")]


@datasets_app.command()
def build(
    config: Annotated[Path, typer.Argument(help="the experiment's YAML file, for example configs/dataset.yaml")],
    out: Annotated[Path | None, typer.Option(help="the run's folder; default: runs/NAME")] = None,
    overrides: Overrides = [],  # noqa: B006  (typer copies defaults)
) -> None:
    """Make a dataset from the documents an experiment may train on, in OUT/dataset/rows (indexes first if needed)."""
    from workbench.config import load_config

    loaded = load_config(config, overrides=overrides)
    from workbench.bench import Bench
    from workbench.dataset import read_manifest

    bench = Bench(loaded, out=out)
    bench.index()  # with a progress bar of its own
    with _progress() as show_progress:
        folder = bench.build_dataset(show_progress)
    _show_counts(read_manifest(folder))
    typer.echo(f"dataset: {folder}")


@datasets_app.command()
def show(
    folder: DatasetFolder,
    n: Annotated[int, typer.Option("-n", min=1, help="rows to show")] = 5,
    generator: Annotated[str | None, typer.Option(help="only rows of this generator")] = None,
) -> None:
    """Print rows as a person reads them, spread over the whole dataset, with where each comes from."""
    from workbench.dataset import read_dataset
    from workbench.errors import DatasetError

    rows = read_dataset(folder)
    places = [place for place, row in enumerate(rows) if generator in (None, row.generator)]
    if not places:
        known = ", ".join(name for name, count in rows.manifest.generators.items() if count.kept)
        raise DatasetError(f"{folder} has no row of generator {generator!r}; it has: {known or 'no row at all'}")
    for place in places[:: max(1, len(places) // n)][:n]:
        typer.echo(_written(rows[place]))
    typer.echo(f"{len(places)} of {len(rows)} rows, {rows.manifest.n_dev} in dev", err=True)


@datasets_app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="a dataset's folder, or a file of rows of any format")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="the file to make")],
    to: Annotated[str, typer.Option(help="chat, prompt, alpaca, sharegpt or text")],
    *,
    without_text: Annotated[bool, typer.Option("--without-text", help="leave rows of plain text out")] = False,
) -> None:
    """Write rows in a format that other trainers read; the format of IN is told by its content."""
    from workbench.curation import convert_rows

    n_rows, n_left_out = convert_rows(source, target, to, without_text=without_text)
    typer.echo(f"{target}: {n_rows} rows" + (f"; {n_left_out} of plain text left out" if n_left_out else ""))


@datasets_app.command("from-feedback")
def from_feedback(
    log: Annotated[Path, typer.Argument(metavar="FOLDER", help="a server's log, for example runs/NAME/serving/log")],
    out: Annotated[Path, typer.Option(help="the dataset's folder, which is replaced")],
    dev: Annotated[float, typer.Option(min=0.0, max=0.9, help="share of the questions held out")] = 0.1,
) -> None:
    """Make a dataset of the corrections that readers gave; the questions must have been logged with their words."""
    from workbench.curation import build_from_feedback

    _show_counts(build_from_feedback(log, out, dev=dev))
    typer.echo(f"dataset: {out}; check it before training: workbench dataset audit {out}")


# `workbench dataset audit` belongs here.


def _written(row: DatasetRow) -> str:
    lines = [f"── {row.id} · {row.task} · {row.template} · {row.split}"]
    lines += [
        f"   [{n}] {p.document_id}:{p.start}-{p.end} {_short(p.text)}" for n, p in enumerate(row.passages, start=1)
    ]
    lines += [f"   {turn.role}: {_short(turn.content)}" for turn in row.turns]
    if row.question:
        lines.append(f"   Q: {row.question}")
    lines.append(f"   {'text' if row.task == 'text' else 'A'}: {row.completion}")
    lines += [f"   from {span.document_id}:{span.start}-{span.end}" for span in row.sources[:1]]
    return "\n".join(lines) + "\n"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:100]}..."


def _show_counts(manifest: Manifest) -> None:
    from rich.console import Console
    from rich.table import Table

    reasons = sorted({reason for count in manifest.generators.values() for reason in count.dropped})
    table = Table("generator", "made", "kept", *(reason.replace("_", " ") for reason in reasons))
    for name, count in manifest.generators.items():
        cells = (str(count.dropped.get(reason, 0) or "") for reason in reasons)
        table.add_row(name, str(count.made), str(count.kept), *cells)
    Console().print(table)
    facts = ", ".join(f"{n} {kind}" for kind, n in manifest.facts.items())
    typer.echo(f"{manifest.n_rows} rows ({manifest.n_dev} dev) from {manifest.documents} documents; facts: {facts}")
    answers, covered = manifest.coverage["answers"], manifest.coverage["covered"]
    if answers:
        typer.echo(f"{covered} of {answers} answers of training questions stand in a fact ({covered / answers:.0%})")


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    from tqdm import tqdm

    with tqdm(unit=" rows", leave=False) as bar:

        def show_progress(what: str, n_rows: int) -> None:
            bar.set_description(what)
            bar.update(max(0, n_rows - bar.n))

        yield show_progress
