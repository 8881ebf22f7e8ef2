"""report.md: the same tables for a terminal pager, a code review, an issue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workbench.decision import Decision
from workbench.report.answer import (
    crossover_sentences,
    interaction_sentences,
    ladder_rows,
    ordered_standings,
    router_sentences,
    verdict_matrix,
)
from workbench.report.data import ReportData
from workbench.report.factors import decision_table
from workbench.report.figures import (
    SCORE_NAMES,
    SPLIT_NAMES,
    SPLIT_NOTES,
    arm_note,
    estimate_text,
    score_text,
    unplaced_note,
)
from workbench.report.findings import lead_sentence, refusal_sentences
from workbench.report.rows import Cell, Summary, cost_table, kind_table, reference_pairs, retrieval_table, score_table
from workbench.report.sweep import sweep_tables
from workbench.report.threats import threats


def render_markdown(data: ReportData) -> str:
    """Return report.md. Pure: the same data give the same text."""
    summary = data.summary
    parts = [f"# {data.name}", *_answer(data), _scale(summary["confidence"]), *_warnings(summary)]
    for split, name in SPLIT_NAMES.items():
        parts += [f"## {name}", f"{SPLIT_NOTES[split]}", lead_sentence(summary, split), *_split_tables(data, split)]
    arms, cost_rows = cost_table(summary)
    if cost_rows:
        rows = ([name, *(cell.text for cell in cells)] for name, cells in cost_rows)
        parts += ["## Costs", _table(["cost", *arms], rows)]
    names, retrieval_rows = retrieval_table(summary)
    if retrieval_rows:
        rows = ([f"{split} {arm}".rstrip(), *map(_with_interval, cells)] for split, arm, cells in retrieval_rows)
        parts += ["## Retrieval", _table(["split", *names], rows)]
    if told := refusal_sentences(summary):
        parts += ["## Refusals", " ".join(told)]
    if data.decision is not None:
        parts += _verdict(data, data.decision)
    for split, name in SPLIT_NAMES.items():
        arms, kinds = kind_table(summary, split)
        if kinds:
            rows = ([kind, score, str(n), *(cell.text for cell in cells)] for kind, score, n, cells in kinds)
            parts += [f"## By kind of question: {name.lower()}", _table(["kind", "score", "n", *arms], rows)]
    parts += _failures(data)
    notes = ([arm, arm_note(settings)] for arm, settings in summary["settings"].items())
    parts += ["## Threats to validity", _bullets(threats(data))]
    parts += ["## Arms", _table(["arm", "what it does"], notes)]
    parts += ["## Configuration", f"```yaml\n{data.config_yaml.rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


def _answer(data: ReportData) -> list[str]:
    """The recommendation, why, where each arm ended, what would change it; then the decision table."""
    decision = data.decision
    if decision is None:
        return []
    advice, score = decision.recommendation, SCORE_NAMES[decision.metric]
    parts = [advice.sentence, *(f"**{alarm.severity}**: {alarm.message}" for alarm in decision.alarms)]
    parts += [_bullets(advice.reasons)] if advice.reasons else []
    rows = [
        [
            one.arm,
            f"{score_text(decision.metric, one.score.value)} {estimate_text(decision.metric, one.score)}",
            one.place,
            one.reason,
        ]
        for one in ordered_standings(decision)
    ]
    parts += [_table(["arm", score, "place", "because"], rows)] if rows else []
    if advice.flips:
        parts += ["## What would change it", _bullets(flip.sentence for flip in advice.flips)]
    parts += ["## With care", _bullets(advice.cautions)] if advice.cautions else []
    parts += _variants(data)
    arms, factors = decision_table(data)
    if factors:
        lines = ([f"{one.name} ({one.measured_as}{one.missing and '; not measured'})", *one.cells] for one in factors)
        parts += ["## The decision table", _table(["factor", *arms], lines)]
    return parts


def _variants(data: ReportData) -> list[str]:
    """A sweep's variants: scores, then costs."""
    parts = []
    for table in sweep_tables(data):
        parts += [f"## {table.title}", *table.sentences, _table(table.header, table.rows), table.note]
    return parts


def _verdict(data: ReportData, decision: Decision) -> list[str]:
    """Who beats whom, and what stands behind it."""
    arms, rows = verdict_matrix(decision, "all")
    parts = ["## Who beats whom"] if rows else []
    lines = ([arm, *(f"{cell.outcome} {cell.text}".strip() for cell in cells)] for arm, cells in rows)
    parts += [_table(["row against column", *arms], lines)] if rows else []
    told = [*interaction_sentences(decision), *crossover_sentences(decision), *router_sentences(decision.router)]
    parts += [_bullets(told)] if told else []
    ladder = ladder_rows(decision, "all")
    if ladder:
        header = ["arm", "found, right", "found, read wrongly", "not found, wrong", "not found, right anyway"]
        parts.append(_table(header, ([arm, *(cell.text for cell in cells)] for arm, cells in ladder)))
    return parts


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


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
