"""The verbs of an experiment: each loads the YAML and calls one method of `Bench`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.app import Overrides
from workbench.errors import ConfigError
from workbench.processes import process_rank

if TYPE_CHECKING:
    from workbench.bench import Bench

Config = Annotated[Path, typer.Argument(help="the experiment's YAML file, for example configs/quickstart.yaml")]
Out = Annotated[Path | None, typer.Option(help="the run's folder; default: runs/NAME")]
RunFolder = Annotated[Path, typer.Argument(help="a run's folder, for example runs/quickstart")]


def open_bench(config: Path, out: Path | None, overrides: list[str]) -> Bench:
    """Return the bench of a YAML file."""
    from workbench.config import load_config

    loaded = load_config(config, overrides=overrides)
    from workbench.bench import Bench

    return Bench(loaded, out=out)


def run(config: Config, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006  (typer copies defaults)
    """Index, train, answer, score and report: all stages that are not up to date."""
    bench = open_bench(config, out, overrides)
    path = bench.run()
    _print_summary(path.parent)
    print_decision(path.parent)
    typer.echo(f"report: {path}")


def index(config: Config, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006
    """Bring the collection in line with the corpus; only what changed is embedded."""
    bench = open_bench(config, out, overrides)
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


def train(
    config: Config,
    out: Out = None,
    adapter: Annotated[
        str | None, typer.Option(help="one of training.adapters; default: all that the arms name")
    ] = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Train the adapters that the arms name; continues an interrupted training."""
    trained = open_bench(config, out, overrides).train(adapter)
    for name, stage in trained.items() if process_rank() == 0 else ():
        if "taken_from" in stage:
            typer.echo(f"{name}: taken as it is from {stage['taken_from']}")
            continue
        typer.echo(
            f"{name}: {stage['rows']} rows ({stage['rows_too_long']} too long and {stage['rows_unplaced']} without a "
            f"place in a document were left out), {stage['steps']} steps, loss {stage['loss']:.3f}, held-out "
            f"{stage['held_out_loss'] if stage['held_out_loss'] is not None else 'not measured'}, "
            f"step {stage['best_step']} kept, {stage['seconds']:.0f} s"
        )
        if stage["planned_bytes"]:
            error = stage["planned_bytes"] / (stage["peak_gpu_bytes"] or stage["peak_bytes"]) - 1
            typer.echo(
                f"{name}: memory planned {stage['planned_bytes'] / 2**30:.2f} GiB, off by {error:+.1%}", err=True
            )
        if stage["best_step"] == 0:
            typer.echo(f"{name}: the held-out loss never fell, so the adapter kept is the untrained one", err=True)


def evaluate(config: Config, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006
    """Answer the test questions with every arm and score them (indexes and trains first if needed)."""
    bench = open_bench(config, out, overrides)
    bench.evaluate()
    _print_summary(bench.run_folder.folder)
    print_decision(bench.run_folder.folder)


def ask(
    config: Config,
    question: Annotated[str, typer.Argument(help="the question")],
    arm: Annotated[str, typer.Option(help="the arm that answers")] = "rag",
    out: Out = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Answer one question with one arm and show the passages it read; a routed arm says which it chose, and why."""
    answer = open_bench(config, out, overrides).ask(question, arm=arm)
    typer.echo(answer.generation.text)
    if answer.route is not None:
        typer.echo(f"arm {answer.route.arm}: {answer.route.why}", err=True)
    cited = {citation.number for citation in answer.citations}
    for number, hit in enumerate(answer.prompt.hits, start=1):
        mark = "*" if number in cited else " "
        place = f"{hit.chunk.document_id}:{hit.chunk.start}-{hit.chunk.end}"
        typer.echo(f"{mark}[{number}] {place}  {' '.join(hit.chunk.text.split())[:100]}", err=True)


def report(folder: RunFolder) -> None:
    """Write report.md and report.html again from the files of a run, or of a sweep."""
    from workbench.joint import write_folder_report

    typer.echo(f"report: {write_folder_report(folder)}")


def compare(first: RunFolder, second: RunFolder) -> None:
    """Set two runs side by side: whether they may be compared, what differs, each shared arm in both, both answers."""
    from workbench.reporting import compare_run_folders, decide_run

    pair = compare_run_folders(first, second)
    from workbench.report.comparing import print_pair

    print_pair(pair, (str(first), str(second)), (decide_run(first), decide_run(second)))


def recommend(
    folder: Annotated[Path | None, typer.Argument(help="a run's folder, for example runs/quickstart")] = None,
    from_corpus: Annotated[
        Path | None, typer.Option(help="an experiment's YAML: a prior from its corpus and questions, before any run")
    ] = None,
    overrides: Overrides = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="print the whole decision as JSON")] = False,
) -> None:
    """Say which arm to take and why, under the run's wishes or others: --set decision.questions_per_month=50000."""
    if (folder is None) == (from_corpus is None):
        given = "both were" if folder is not None else "neither was"
        raise ConfigError(f"recommend takes a run's folder, or --from-corpus CONFIG before there is one; {given} given")
    if folder is None:
        assert from_corpus is not None
        _print_prior(from_corpus, overrides, as_json=as_json)
        return
    from workbench.joint import decide_folder

    decision = decide_folder(folder, overrides=overrides)
    if as_json:
        typer.echo(decision.model_dump_json(indent=1))
        return
    from workbench.report import print_advice

    print_advice(decision)


def _print_prior(config: Path, overrides: list[str], *, as_json: bool) -> None:
    from workbench.config import load_config

    loaded = load_config(config, overrides=overrides)
    from workbench.prior import foresee
    from workbench.report.prior import print_prior

    prior, figures = foresee(loaded)
    if as_json:
        typer.echo(prior.model_dump_json(indent=1))
    else:
        print_prior(prior, figures, config=str(config))


def _print_summary(folder: Path) -> None:
    import json

    from workbench.report import print_table

    print_table(json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def print_decision(folder: Path) -> None:
    """Print what a run's or a sweep's folder recommends, in one sentence, and the command that says why."""
    from workbench.decision import Decision
    from workbench.report.advice import plain

    decision = Decision.model_validate_json((folder / "decision.json").read_bytes())
    typer.echo(
        f"{plain(decision.recommendation.sentence)}\nwhy, and what would change it: workbench recommend {folder}"
    )


VERBS: dict[str, Callable[..., None]] = {
    "run": run,
    "index": index,
    "train": train,
    "evaluate": evaluate,
    "ask": ask,
    "report": report,
    "recommend": recommend,
    "compare": compare,
}
