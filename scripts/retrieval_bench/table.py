"""The comparison as Markdown, ready for docs/LOG.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Summary = Mapping[str, Mapping[str, Any]]
METHODS = ("lexical", "dense", "hybrid", "documents", "reranked")
MIB = 2**20


def format_comparison(summary: Summary, ratios: Mapping[str, Mapping[str, float]]) -> str:
    """Return four tables: costs, milliseconds, quality, and where there are peers ratios."""
    tables = [format_costs(summary), format_times(summary), format_quality(summary)]
    return "\n\n".join([*tables, *([format_ratios(ratios)] if ratios else [])])


def format_costs(summary: Summary) -> str:
    """Seconds, memory and disk; medians over the runs, and how far the ingests lay apart."""
    head = ("engine", "load s", "ingest s (least-most)", "texts/s", "open s", "peak MiB", "of it model MiB", "disk MiB")
    rows = []
    for name, row in summary.items():
        each = row["ingest_seconds_each"]
        rows.append(
            (
                name,
                f"{row['load_seconds']:.1f}",
                f"{row['ingest_seconds']:.2f} ({min(each):.2f}-{max(each):.2f})",
                f"{row['n_vectors'] / row['ingest_seconds']:.0f}",
                f"{row['open_seconds']:.2f}",
                f"{row['peak_bytes'] / MIB:.0f}",
                f"{row['loaded_bytes'] / MIB:.0f}",
                f"{row['disk_bytes'] / MIB:.1f}",
            )
        )
    return format_table(head, rows)


def format_times(summary: Summary) -> str:
    """Milliseconds a question, p50 / p99, end to end unless the method says that the vector was given."""
    methods = list(dict.fromkeys(method for row in summary.values() for method in row["milliseconds"]))
    rows = []
    for name, row in summary.items():
        times = row["milliseconds"]
        cells = [f"{times[m]['p50']:.2f} / {times[m]['p99']:.2f}" if m in times else "-" for m in methods]
        rows.append((name, *cells))
    return format_table(("ms p50 / p99", *methods), rows)


def format_quality(summary: Summary) -> str:
    """Return nDCG@10 and recall@100, and below the table each contestant's gains with their intervals."""
    rows, gains = [], []
    for name, row in summary.items():
        found = [row["quality"].get(method, {}) for method in METHODS]
        cells = [" / ".join(f"{value['mean']:.3f}" for value in one.values()) or "-" for one in found]
        rows.append((name, *cells))
        gains += [format_gain(name, pair, gain) for pair, gain in row["gains"].items()]
    return "\n".join([format_table(("nDCG@10 / recall@100", *METHODS), rows), "", *gains])


def format_gain(name: str, pair: str, gain: Mapping[str, float | None]) -> str:
    """Return one line: a difference in points of nDCG@10, its interval where there is one, and p."""
    bounds = [gain["low"], gain["high"]]
    interval = " to ".join(f"{100 * bound:+.1f}" for bound in bounds if bound is not None) or "none"
    return (
        f"- {name}: {pair}: {100 * (gain['difference'] or 0):+.1f} points nDCG@10 (95 % {interval}, p {gain['p']:.4f})"
    )


def format_ratios(ratios: Mapping[str, Mapping[str, float]]) -> str:
    """Theirs over ours, each peer at its better setting: above 1 ours is smaller or faster."""
    keys = list(dict.fromkeys(key for row in ratios.values() for key in row))
    rows = [(key, *(f"{row[key]:.2f}" if key in row else "-" for row in ratios.values())) for key in keys]
    rows = [(key, *cells) if "ndcg" not in key else (key, *(signed(ratios, key))) for key, *cells in rows]
    return format_table(("theirs / ours", *ratios), rows)


def signed(ratios: Mapping[str, Mapping[str, float]], key: str) -> list[str]:
    """Return a row of differences in points."""
    return [f"{100 * row[key]:+.1f} points" if key in row else "-" for row in ratios.values()]


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, padded so that it reads in a terminal too."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    ruler = "|".join("-" * (width + 2) for width in widths)
    return "\n".join([f"| {lines[0]} |", f"|{ruler}|", *(f"| {line} |" for line in lines[1:])])
