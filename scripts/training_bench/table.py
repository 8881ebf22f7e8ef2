"""The comparison as Markdown, ready for docs/LOG.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrieval_bench.table import format_table

MIB = 2**20


def format_road(title: str, found: Mapping[str, Any]) -> str:
    """Return speed and memory of one road, and the ratios with what the operations allow."""
    about, epoch, contestants = found["about"], found["epoch"], found["contestants"]
    head = (
        "trainer",
        "tokens/s",
        f"s an epoch of {epoch['rows']}",
        "peak MiB",
        "of it model",
        "Gflop a token",
        "Gflop/s",
    )
    tokens = {
        name: row["tokens_a_second"] * sum(row["step_seconds"][-about["timed_steps"] :])
        for name, row in contestants.items()
    }
    rows = []
    for name, row in contestants.items():
        a_token = row["flops"] / tokens[name] / 1e9
        cells = (row["tokens_a_second"], row["epoch_seconds"], row["peak_bytes"] / MIB, row["loaded_bytes"] / MIB)
        rows.append(
            (name, *(f"{cell:.0f}" for cell in cells), f"{a_token:.3f}", f"{a_token * row['tokens_a_second']:.0f}")
        )
    text = (
        f"{title}: {about['rows']} rows of {about['tokens_a_row']:.1f} tokens, {about['loss_tokens_a_row']:.1f} with "
        f"loss; batch {about['batch_size']}, r {about['r']}, {about['dtype']}; {about['timed_steps']} steps after a "
        f"first, each the least of {about['rounds']} rounds"
    )
    parts = [text, format_table(head, rows)]
    if found["first_losses_apart"] is not None:
        parts.append(f"first step's losses lie at most {found['first_losses_apart']:.1g} nats apart")
    parts += [
        f"{name} planned {row['planned_bytes'] / MIB:.0f} MiB: {row['planned_bytes'] / row['peak_bytes'] - 1:+.1%}"
        for name, row in contestants.items()
        if row.get("planned_bytes")
    ]
    return "\n\n".join([*parts, *format_ratios(contestants, key="tokens_a_second")])


def format_ratios(contestants: Mapping[str, Mapping[str, Any]], *, key: str) -> list[str]:
    """Return a table of each of ours against each peer; an empty list without a peer."""
    rows = []
    for name, ours in contestants.items():
        for other, theirs in contestants.items():
            if name.startswith("ours/") and not other.startswith("ours/"):
                faster = ours[key] / theirs[key] if key == "tokens_a_second" else theirs[key] / ours[key]
                rows.append(
                    (
                        f"{name} against {other}",
                        f"{faster:.2f}",
                        f"{theirs['flops'] / ours['flops']:.2f}",
                        f"{ours['peak_bytes'] / theirs['peak_bytes']:.2f}",
                    )
                )
    head = ("ratio", "times as fast", "by operations alone", "peak, ours / theirs")
    return [format_table(head, rows)] if rows else []


def format_prefill(found: Mapping[str, Any]) -> str:
    """Return seconds of a whole training; what was not run is told."""
    about, contestants = found["about"], found["contestants"]
    head = ("trainer", "s", "tokens/s", "peak MiB", "measured")
    rows = []
    for name, row in contestants.items():
        how = "seconds a token of the short road" if row["extrapolated"] else "whole"
        seconds, rate = row["seconds"], found["tokens"] / row["seconds"]
        rows.append((name, f"{seconds:.0f}", f"{rate:.0f}", f"{row['peak_bytes'] / MIB:.0f}", how))
    text = (
        f"reader rows, {about['epochs']} epochs of {about['rows']} rows, {about['distinct_prefixes']} prefixes of "
        f"{about['prefix_tokens_a_row']:.0f} tokens computed on the way"
    )
    return "\n\n".join([text, format_table(head, rows), *format_ratios(contestants, key="seconds")])


def format_quality(found: Mapping[str, Mapping[str, Any]], *, n_rows: int, n_held_out: int) -> str:
    """Return the held-out losses: mean and standard deviation over the seeds."""
    rows = [
        (name, f"{row['mean']:.4f}", f"{row['sd']:.4f}", " ".join(f"{loss:.4f}" for loss in row["losses"]))
        for name, row in found.items()
    ]
    text = f"held-out loss in nats a token: {n_rows} rows learnt, {n_held_out} of other documents scored"
    return f"{text}\n\n" + format_table(("trainer", "mean", "sd", "each seed"), rows)
