"""What the reports of several runs have in common, and what each has of its own: one report's inputs for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.measured import VariantRow
from workbench.report.data import Curve, ReportData

Rows = Sequence[VariantRow]
Runs = Sequence[ReportData]


def adapter_names(rows: Rows, runs: Runs) -> list[dict[str, str]]:
    """Return for each run adapter → its name among those of all; equal weights, equal name."""
    weights = [run.manifest["fingerprints"]["adapters"] for run in runs]
    kinds: dict[str, set[str]] = {}
    for one in weights:
        for adapter, print_ in one.items():
            kinds.setdefault(adapter, set()).add(print_)
    by_weights: dict[tuple[str, str], str] = {}
    named = []
    for row, one in zip(rows, weights, strict=True):
        names = {}
        for adapter, print_ in one.items():
            name = adapter if len(kinds[adapter]) == 1 else f"{adapter} · {row.name}"
            names[adapter] = by_weights.setdefault((adapter, print_), name)
        named.append(names)
    return named


def join_losses(rows: Rows, runs: Runs) -> dict[str, dict[str, float]]:
    """Return the last losses of each different adapter."""
    losses: dict[str, dict[str, float]] = {}
    for names, run in zip(adapter_names(rows, runs), runs, strict=True):
        for adapter, figures in run.summary["loss"].items():
            losses.setdefault(names[adapter], dict(figures))
    return losses


def join_curves(rows: Rows, runs: Runs) -> tuple[dict[str, Curve], dict[str, Sequence[Mapping[str, Any]]]]:
    """Return the loss curves and the gates' results of each different adapter."""
    curves: dict[str, Curve] = {}
    gates: dict[str, Sequence[Mapping[str, Any]]] = {}
    for names, run in zip(adapter_names(rows, runs), runs, strict=True):
        for adapter, curve in run.curves.items():
            curves.setdefault(names[adapter], curve)
        for adapter, results in run.gates.items():
            gates.setdefault(names[adapter], results)
    return curves, gates


def join_retrieval(summary: Mapping[str, Any], rows: Rows, runs: Runs) -> dict[str, Any]:
    """Return the summary with the runs' retrieval figures: one for all where they are alike, else an arm's own."""
    joined = dict(summary) | _retrieval([run.summary for run in runs], rows, runs)
    splits = {
        split: dict(part) | _retrieval([run.summary["splits"][split] for run in runs], rows, runs)
        for split, part in summary["splits"].items()
    }
    return joined | {"splits": splits}


def _retrieval(parts: Sequence[Mapping[str, Any]], rows: Rows, runs: Runs) -> dict[str, Any]:
    plain = [part["retrieval"] for part in parts]
    alike = all(figures == plain[0] for figures in plain)
    own: dict[str, Any] = {}
    for row, run, part in zip(rows, runs, parts, strict=True):
        if part["retrieval"] and not alike:
            own.setdefault(row.arms[_first_reader(run)], part["retrieval"])
        for arm, figures in part.get("own_retrieval", {}).items():
            own.setdefault(row.arms[arm], figures)
    return {"retrieval": plain[0] if alike else {}, "own_retrieval": own}


def _first_reader(run: ReportData) -> str:
    """Return the arm whose rankings the figures of a run's own retrieval are of."""
    settings = run.summary["settings"]
    found: str = next(arm for arm, one in settings.items() if one["strategy"] == "rag" and not one.get("retrieval"))
    return found


def join_manifests(rows: Rows, runs: Runs) -> dict[str, Any]:
    """Return what all manifests share and, under "variants", what differs in each."""
    leaves = [dict(_leaves(run.manifest)) for run in runs]
    shared = {
        path: value
        for path, value in leaves[0].items()
        if path[0] not in ("name", "arms") and all(path in one and one[path] == value for one in leaves)
    }
    tree = _tree(shared)
    tree["variants"] = {
        row.name: _tree({path: value for path, value in one.items() if path not in shared and path[0] != "arms"})
        for row, one in zip(rows, leaves, strict=True)
    }
    return tree


def _leaves(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, (*path, key))
        else:
            yield (*path, key), inner


def _tree(leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = value
    return tree
