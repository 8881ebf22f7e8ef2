"""Sweep: every combination of the values that `sweep.keys` names, each an ordinary run below SWEEP/variants.

Later variants are lent what earlier ones did with equal inputs: an index, a training, the answers of an arm. The joint
verdict is not made here but read from the runs (workbench/joint.py); a variant's own report is written by
`workbench report SWEEP/variants/NAME`.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from workbench.bench import Bench
from workbench.config import SweepPlan, Variant, dump_config
from workbench.config.variants import tell_values
from workbench.errors import ConfigError
from workbench.hardware import trim_freed_memory
from workbench.lending import ANSWER
from workbench.measured import SweepReport, VariantRow
from workbench.parts import Material, Parts
from workbench.reporting import SWEEP, is_finished
from workbench.runs import STAGE_FILE, Run, fingerprint, write_atomically
from workbench.verdict import name_arms

VARIANTS = "variants"


def measure_sweep(
    plan: SweepPlan,
    folder: Path,
    *,
    lenders: Sequence[Path] = (),
    on_variant: Callable[[Variant, int], None] = lambda *_: None,
) -> SweepReport:
    """Run every variant that is not up to date and write FOLDER/sweep.json.

    Corpus and questions are read once; models, corpus and questions are looked at before anything runs. Interrupted,
    the same call goes on where it was.

    Args:
        lenders: folders of other runs of the experiment, whose stages may be taken.
        on_variant: called before each run with its place, from 1.
    Raises:
        ConfigError: the folder holds a run.
        MissingModelError: a variant's model is not on this machine.
    """
    if is_finished(folder):
        raise ConfigError(f"{folder} holds a run; a sweep needs a folder of its own: --out {folder}-sweep")
    material = _read_once(plan, folder)
    places = {variant.name: folder / VARIANTS / variant.folder for variant in plan.variants}
    for variant in plan.variants:
        Parts(variant.config, places[variant.name], material=material).check()
    write_atomically(folder / "config.yaml", dump_config(plan.config))
    for number, variant in enumerate(plan.variants, start=1):
        on_variant(variant, number)
        own = places[variant.name]
        others = [place for place in _all_variants(folder, places) if place != own]
        # A collection is lent as it is or not at all: seconds to build it must be those of building it.
        Bench(variant.config, out=own, material=material, lenders=[*others, *lenders], grow_lent=False).evaluate()
        gc.collect()  # a bench holds its models in circles; left to later, they would count as the next one's memory
        trim_freed_memory()
    report = _describe(plan, folder, places)
    write_atomically(folder / SWEEP, report.model_dump_json(indent=1) + "\n")
    return report


def _read_once(plan: SweepPlan, folder: Path) -> Material:
    parts = Parts(plan.config, folder)
    return Material(parts.corpus, parts.questions)


def _all_variants(folder: Path, places: Mapping[str, Path]) -> list[Path]:
    """Return the folders of this sweep's variants and of earlier ones that it names no more: they lend, too."""
    parent = folder / VARIANTS
    there = sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
    return list(dict.fromkeys([*(place for place in places.values() if place.is_dir()), *there]))


def _describe(plan: SweepPlan, folder: Path, places: Mapping[str, Path]) -> SweepReport:
    inputs = [
        json.loads((places[variant.name] / "manifest.json").read_text(encoding="utf-8"))["arms"]
        for variant in plan.variants
    ]
    names = name_arms(
        [(variant.values, one) for variant, one in zip(plan.variants, inputs, strict=True)],
        partial(tell_values, keys=list(plan.keys)),
    )
    who = {place.as_posix(): name for name, place in places.items()}
    return SweepReport(
        name=plan.config.name,
        keys=dict(plan.keys),
        variants=tuple(
            VariantRow(
                name=variant.name,
                folder=places[variant.name].relative_to(folder).as_posix(),
                values=dict(variant.values),
                config=fingerprint(variant.config),
                arms=arms,
                lent={what: who.get(lender, lender) for what, lender in _lent(places[variant.name]).items()},
            )
            for variant, arms in zip(plan.variants, names, strict=True)
        ),
    )


def _lent(folder: Path) -> dict[str, str]:
    """Return what a run did not do itself → the folder of the run that did it."""
    run = Run(folder)
    stages = sorted(path.parent.name for path in folder.glob(f"*/{STAGE_FILE}"))
    lent = {stage: lender.as_posix() for stage in stages if (lender := run.lender_of(stage)) is not None}
    if ANSWER in lent:
        return lent
    answers = (run.last_result(ANSWER) or {}).get("lent", {})
    return lent | {f"answers of {arm}": lender for arm, lender in answers.items()}
