"""The application the verbs hang on, and the options they share."""

from __future__ import annotations

from typing import Annotated

import typer

INTERRUPTED = 130  # 128 + SIGINT, as shells count

app = typer.Typer(
    help="Base model, RAG, LoRA or both? Measured offline, on your corpus and your hardware.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Overrides = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="override one knob; repeatable")]
