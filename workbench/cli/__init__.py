"""The command line: one verb, one method; no logic. Errors are one line on stderr.

Exit codes: 0 done, 1 mend it (the message says how), 2 wrong usage, 130 interrupted (the same command goes on).
Nothing heavy is imported before a verb runs: `workbench --help` must answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from workbench import offline
from workbench.cli.adapters import adapter_app
from workbench.cli.app import INTERRUPTED, app
from workbench.cli.bundles import bundle_app
from workbench.cli.collections import VERBS as COLLECTION_VERBS
from workbench.cli.datasets import datasets_app
from workbench.cli.doctor import VERBS as DOCTOR_VERBS
from workbench.cli.experiments import VERBS as EXPERIMENT_VERBS
from workbench.cli.keys import keys_app
from workbench.cli.models import models_app
from workbench.cli.monitoring import VERBS as MONITORING_VERBS
from workbench.cli.series import VERBS as SERIES_VERBS
from workbench.cli.serving import VERBS as SERVING_VERBS
from workbench.cli.upkeep import VERBS as UPKEEP_VERBS
from workbench.errors import WorkbenchError

__all__ = ["app", "main"]

PANELS: dict[str, Mapping[str, Callable[..., None]]] = {
    "Experiments": EXPERIMENT_VERBS,
    "Series of runs": SERIES_VERBS,
    "Serving": {**SERVING_VERBS, **MONITORING_VERBS},
    "Collections": COLLECTION_VERBS,
    "Upkeep of collections": UPKEEP_VERBS,
    "This machine": DOCTOR_VERBS,
}
for panel, verbs in PANELS.items():
    for name, verb in verbs.items():
        app.command(name, rich_help_panel=panel)(verb)
app.add_typer(adapter_app, name="adapter", rich_help_panel="Models")
app.add_typer(bundle_app, name="bundle", rich_help_panel="Machines without a network")
app.add_typer(datasets_app, name="dataset", rich_help_panel="Training datasets")
app.add_typer(keys_app, name="keys", rich_help_panel="Serving")
app.add_typer(models_app, name="models", rich_help_panel="Models")


def main() -> None:
    """Run the command line; a WorkbenchError becomes one line and exit code 1."""
    offline.guard()  # whatever the verb; a config with `offline: false` lifts it
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
