"""`workbench serve`: an experiment's arms, base and adapters behind OpenAI's API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from workbench.cli.app import Overrides
from workbench.cli.experiments import Config, Out, open_bench


def serve(
    config: Config,
    out: Out = None,
    host: Annotated[str | None, typer.Option(help="default: serving.host, the loopback; another needs keys")] = None,
    port: Annotated[int | None, typer.Option(help="default: serving.port; 0: any free one")] = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Serve the experiment's arms, base and adapters, collections and a page, until Ctrl-C or SIGTERM."""
    given = {"serving.host": host, "serving.port": port}
    bench = open_bench(
        config, out, [*overrides, *(f"{key}={value}" for key, value in given.items() if value is not None)]
    )
    from workbench.serving import serve as serve_bench

    serve_bench(bench, tell=lambda line: typer.echo(line, err=True))


VERBS: dict[str, Callable[..., None]] = {"serve": serve}
