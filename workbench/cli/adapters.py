"""The verbs on trained adapters: each calls one function of `workbench/adapter_shelf.py`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

adapter_app = typer.Typer(help="List, inspect, merge and export trained adapters.", no_args_is_help=True)

AdapterFolder = Annotated[
    Path, typer.Argument(help="an adapter's folder, for example runs/quickstart/train-reader/adapter")
]
Base = Annotated[str | None, typer.Option(help="the base model's name or folder; default: found by its fingerprint")]


class Dtype(StrEnum):
    """Number formats of merged weights."""

    AUTO = "auto"
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


class Format(StrEnum):
    """What an adapter is exported to."""

    SAFETENSORS = "safetensors"
    GGUF = "gguf"


DtypeOption = Annotated[Dtype, typer.Option(help="number format of the weights; auto: the base model's own")]


@adapter_app.command("list")
def list_(
    runs: Annotated[list[Path] | None, typer.Argument(metavar="[RUNS...]", help="folders to look below")] = None,
) -> None:
    """Show the adapters below some folders (default: runs), their bases and whether they passed their gates."""
    from workbench.adapter_shelf import list_adapters

    rows = list_adapters(runs or [Path("runs")])
    for row in rows:
        if row.fault:
            typer.echo(f"{row.folder}  {row.fault}")
        else:
            typer.echo(
                f"{row.folder}  {row.name}, rank {row.rank}, from the {row.acts_from} on, base {row.base}, "
                f"gates: {row.gates}"
            )
    if not rows:
        typer.echo("no adapters; make some: workbench train CONFIG", err=True)


@adapter_app.command()
def show(folder: AdapterFolder) -> None:
    """Show an adapter's base, recipe, fingerprints and gates (JSON)."""
    from workbench.adapter_shelf import show_adapter

    typer.echo(json.dumps(show_adapter(folder), indent=2, ensure_ascii=False))


@adapter_app.command()
def merge(
    folder: AdapterFolder,
    *,
    out: Annotated[Path, typer.Option(help="the model folder to make")],
    base: Base = None,
    dtype: DtypeOption = Dtype.AUTO,
) -> None:
    """Write base + adapter as one model folder, which appears only if its logits equal those of the two apart."""
    from workbench.adapter_shelf import merge_adapter

    check = merge_adapter(folder, out, base=base, dtype=dtype.value)
    typer.echo(f"{out}: {check}")


@adapter_app.command()
def export(
    folder: AdapterFolder,
    *,
    to: Annotated[Format, typer.Option(help="safetensors: a merged model folder; gguf: one file for llama.cpp")],
    out: Annotated[Path | None, typer.Option(help="default: NAME-merged or NAME.gguf, here")] = None,
    base: Base = None,
    dtype: DtypeOption = Dtype.AUTO,
    converter: Annotated[
        Path | None, typer.Option(help="gguf: llama.cpp's convert_hf_to_gguf.py; default: $LLAMA_CPP, then PATH")
    ] = None,
) -> None:
    """Write an adapter for other tools, merged into its base."""
    from workbench.adapter_shelf import export_adapter

    written, check = export_adapter(folder, to.value, out, base=base, dtype=dtype.value, converter=converter)
    typer.echo(f"{written}: {check}")
