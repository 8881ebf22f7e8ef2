"""The verbs on models: find, fetch and inspect what lies under WORKBENCH_HOME."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

models_app = typer.Typer(help="Find, fetch and inspect local models.", no_args_is_help=True)


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
