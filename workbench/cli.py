"""The command line: one verb, one `Bench` method; no logic. Errors are one line on stderr.

Exit codes: 0 done, 1 mend it (the message says how), 2 wrong usage, 130 interrupted (the same command goes on).
Nothing heavy is imported before a verb runs: `workbench --help` must answer at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.bench import Bench

app = typer.Typer(
    help="Base model, RAG, LoRA or both? Measured offline, on your corpus and your hardware.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="Find, fetch and inspect local models.", no_args_is_help=True)
app.add_typer(models_app, name="models")

INTERRUPTED = 130  # 128 + SIGINT, as shells count

Config = Annotated[Path, typer.Argument(help="the experiment's YAML file, for example configs/quickstart.yaml")]
Out = Annotated[Path | None, typer.Option(help="the run's folder; default: runs/NAME")]
Overrides = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="override one knob; repeatable")]
RunFolder = Annotated[Path, typer.Argument(help="a run's folder, for example runs/quickstart")]


def _bench(config: Path, out: Path | None, overrides: list[str]) -> Bench:
    from workbench.config import load_config

    loaded = load_config(config, overrides=overrides)
    from workbench.bench import Bench

    return Bench(loaded, out=out)


@app.command()
def run(config: Config, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006  (typer copies defaults)
    """Index, train, answer, score and report: all stages that are not up to date."""
    bench = _bench(config, out, overrides)
    path = bench.run()
    _print_summary(path.parent)
    typer.echo(f"report: {path}")


@app.command()
def index(config: Config, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006
    """Bring the collection in line with the corpus; only what changed is embedded."""
    bench = _bench(config, out, overrides)
    stage, reused = bench.update_index()
    update = stage["update"]
    if reused:
        typer.echo(f"nothing changed: {update['n_chunks']} chunks")
    else:
        counts = ", ".join(f"{len(update[name])} {name}" for name in ("added", "changed", "removed"))
        typer.echo(
            f"documents: {counts}, {update['n_unchanged']} unchanged; chunks: {update['n_chunks']}, of these "
            f"{update['n_embedded']} embedded now; {stage['seconds']:.1f} s"
        )
    for event in [] if reused else stage["events"]:
        typer.echo(event, err=True)
    for failure in bench.parts.corpus.failures:
        typer.echo(f"not read: {failure.source} ({failure.kind}): {failure.reason}", err=True)


@app.command()
def train(config: Config, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006
    """Train the adapters that the arms name; continues an interrupted training."""
    for name, stage in _bench(config, out, overrides).train().items():
        typer.echo(
            f"{name}: {stage['rows']} rows ({stage['rows_too_long']} too long and {stage['rows_unplaced']} without a "
            f"place in a document were left out), {stage['steps']} steps, loss {stage['loss']:.3f}, held-out "
            f"{stage['held_out_loss'] if stage['held_out_loss'] is not None else 'not measured'}, "
            f"step {stage['best_step']} kept, {stage['seconds']:.0f} s"
        )
        if stage["best_step"] == 0:
            typer.echo(f"{name}: the held-out loss never fell, so the adapter kept is the untrained one", err=True)


@app.command()
def evaluate(config: Config, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006
    """Answer the test questions with every arm and score them (indexes and trains first if needed)."""
    bench = _bench(config, out, overrides)
    bench.evaluate()
    _print_summary(bench.run_folder.folder)


@app.command()
def ask(
    config: Config,
    question: Annotated[str, typer.Argument(help="the question")],
    arm: Annotated[str, typer.Option(help="the arm that answers")] = "rag",
    out: Out = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Answer one question with one arm and show the passages it read."""
    answer = _bench(config, out, overrides).ask(question, arm=arm)
    typer.echo(answer.generation.text)
    cited = {citation.number for citation in answer.citations}
    for number, hit in enumerate(answer.prompt.hits, start=1):
        mark = "*" if number in cited else " "
        place = f"{hit.chunk.document_id}:{hit.chunk.start}-{hit.chunk.end}"
        typer.echo(f"{mark}[{number}] {place}  {' '.join(hit.chunk.text.split())[:100]}", err=True)


@app.command()
def report(folder: RunFolder) -> None:
    """Write report.md and report.html again from a run's files."""
    from workbench.reporting import write_run_report

    typer.echo(f"report: {write_run_report(folder)}")


@app.command()
def compare(first: RunFolder, second: RunFolder) -> None:
    """Set two runs side by side: what differs between them, and each shared arm's paired difference."""
    from workbench.reporting import compare_run_folders

    pair = compare_run_folders(first, second)
    typer.echo(f"differing: {', '.join(pair.differing) or 'nothing'}; second minus first, {pair.metric}:")
    for change in pair.changes:
        gain = change.difference
        typer.echo(
            f"{change.split:5} {change.arm:12} {gain.difference:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] "
            f"p {gain.p:.3f}, {change.n} questions"
        )


@models_app.command("list")
def list_models() -> None:
    """Show the models of the catalogue and those added here."""
    from workbench.models import list_models as rows

    for row in rows():
        typer.echo(
            f"{row.name:24} {'here' if row.installed else '-':5} {row.kind:10} {row.licence:12} {row.description}"
        )


@models_app.command()
def fetch(name: Annotated[str, typer.Argument(help="a catalogue name, or hf:OWNER/NAME@REVISION")]) -> None:
    """Bring a model to this machine, check it, and keep it under WORKBENCH_HOME."""
    from workbench.models import fetch_model

    typer.echo(fetch_model(name, on_progress=lambda line: typer.echo(line, err=True)).folder)


@models_app.command()
def add(
    folder: Annotated[Path, typer.Argument(help="a folder of safetensors, JSON and text")],
    name: Annotated[str | None, typer.Option(help="the name to keep it under; default: the folder's")] = None,
) -> None:
    """Vet a local model folder and copy it to WORKBENCH_HOME."""
    from workbench.models import add_folder

    typer.echo(add_folder(folder, name).folder)


@models_app.command()
def show(name: Annotated[str, typer.Argument(help="a model's name or folder")]) -> None:
    """Show a model's source, licence, files and fingerprint."""
    from workbench.models import show_model

    for key, value in show_model(name).items():
        typer.echo(f"{key}: {value}")


def main() -> None:
    """Run the command line; a WorkbenchError becomes one line and exit code 1."""
    try:
        app()
    except (WorkbenchError, OSError) as error:  # OSError: disk full, no permission, a failing disk
        sys.exit(_say(error))
    except SystemExit as exit_:  # Typer turns KeyboardInterrupt into this
        if exit_.code == INTERRUPTED:
            print("\nworkbench: interrupted; the same command goes on where it stopped", file=sys.stderr)  # noqa: T201
        raise


def _say(error: Exception) -> int:
    for line in str(error).splitlines():
        print(f"workbench: {line}", file=sys.stderr)  # noqa: T201
    return 1


def _print_summary(folder: Path) -> None:
    import json

    from workbench.report import print_table

    print_table(json.loads((folder / "summary.json").read_text(encoding="utf-8")))
