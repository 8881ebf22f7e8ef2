"""report.md: the same tables for a terminal pager, a code review, an issue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workbench.report.data import ReportData
from workbench.report.figures import SCORE_NAMES, SPLIT_NAMES, SPLIT_NOTES, arm_note, unplaced_note
from workbench.report.findings import lead_sentence, refusal_sentences
from workbench.report.rows import Cell, Summary, cost_table, kind_table, reference_pairs, retrieval_table, score_table


def render_markdown(data: ReportData) -> str:
    """Return report.md. Pure: the same data give the same text."""
    summary = data.summary
    parts = [f"# {data.name}", _scale(summary["confidence"]), *_warnings(summary)]
    for split, name in SPLIT_NAMES.items():
        parts += [f"## {name}", f"{SPLIT_NOTES[split]}", lead_sentence(summary, split), *_split_tables(data, split)]
    arms, cost_rows = cost_table(summary)
    if cost_rows:
        rows = ([name, *(cell.text for cell in cells)] for name, cells in cost_rows)
        parts += ["## Costs", _table(["cost", *arms], rows)]
    names, retrieval_rows = retrieval_table(summary)
    if retrieval_rows:
        rows = ([split, *map(_with_interval, cells)] for split, cells in retrieval_rows)
        parts += ["## Retrieval", _table(["split", *names], rows)]
    if told := refusal_sentences(summary):
        parts += ["## Refusals", " ".join(told)]
    for split, name in SPLIT_NAMES.items():
        arms, kinds = kind_table(summary, split)
        if kinds:
            rows = ([kind, score, str(n), *(cell.text for cell in cells)] for kind, score, n, cells in kinds)
            parts += [f"## By kind of question: {name.lower()}", _table(["kind", "score", "n", *arms], rows)]
    parts += _failures(data)
    notes = ([arm, arm_note(settings)] for arm, settings in summary["settings"].items())
    parts += ["## Arms", _table(["arm", "what it does"], notes)]
    parts += ["## Configuration", f"```yaml\n{data.config_yaml.rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


def _scale(confidence: float) -> str:
    return f"Scores in points, 0 to 100, with {confidence:.0%} intervals; seconds and tokens are medians a question."


def _warnings(summary: Summary) -> list[str]:
    failed = ", ".join(f"{arm} {count}" for arm, count in summary["counts"]["errors"].items() if count)
    told = [f"Answers that failed, each counted as wrong: {failed}."] if failed else []
    return [*told, *filter(None, [unplaced_note(summary["counts"])])]


def _split_tables(data: ReportData, split: str) -> list[str]:
    summary = data.summary
    header, score_rows = score_table(summary, split)
    if not score_rows:
        return []
    parts = [_table(["arm", *header], ([row.arm, *map(_with_interval, row.cells)] for row in score_rows))]
    for reference, pairs in reference_pairs(summary, split):
        rows = ([pair.a, *pair.texts, str(pair.n)] for pair in pairs)
        score = SCORE_NAMES[summary["ranked_by"]]
        parts.append(_table([f"against {reference}", f"{score} difference", "interval", "p", "n"], rows))
    return parts


def _failures(data: ReportData) -> list[str]:
    if not data.failures:
        return []
    rows = ([failure.source, failure.kind, failure.reason] for failure in data.failures)
    return ["## Files that could not be read", _table(["file", "kind", "why"], rows)]


def _with_interval(cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.best else cell.text
    return f"{text} {cell.interval}".rstrip()


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a pipe table, first column left, the others right; pipes and line breaks in cells are made harmless."""
    lines = [header, [":--", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
