"""report.html: one self-contained page, no outside URL, made from the template beside this file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from workbench.decision import Decision
from workbench.report.answer import (
    crossover_sentences,
    interaction_sentences,
    ladder_rows,
    ordered_standings,
    router_sentences,
    strata_rows,
    tiles,
    verdict_matrix,
)
from workbench.report.cost_plot import plot_total_cost
from workbench.report.data import ReportData
from workbench.report.drilldown import all_cases, count_filters
from workbench.report.examples import pick_examples
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
from workbench.report.methods import methods
from workbench.report.plots import arm_colours, plot_forest, plot_loss, plot_quality_against_cost, plot_retrieval
from workbench.report.race import race_table
from workbench.report.rows import (
    PairRow,
    Summary,
    cost_table,
    kind_table,
    pair_rows,
    reference_pairs,
    retrieval_table,
    score_table,
)
from workbench.report.series import SeriesTable, series_tables
from workbench.report.series_plots import plot_freshness, plot_learning, plot_scaling
from workbench.report.svg import VARIABLES
from workbench.report.sweep import sweep_tables
from workbench.report.threats import threats


def render_page(data: ReportData) -> str:
    """Return report.html. Pure: the same data give the same bytes."""
    summary, colours = data.summary, arm_colours(data.summary)
    cases, n_not_shown = all_cases(data)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            name=data.name,
            score=SCORE_NAMES[summary["ranked_by"]],
            confidence=f"{summary['confidence']:.0%}",
            counts=summary["counts"],
            errors={arm: count for arm, count in summary["counts"]["errors"].items() if count},
            controls=[arm for arm, settings in summary["settings"].items() if settings["control"]],
            arms=[(arm, arm_note(settings)) for arm, settings in summary["settings"].items()],
            colours={arm: VARIABLES[colour] for arm, colour in colours.items()},
            decision=data.decision,
            **(_decision_view(data, data.decision, colours) if data.decision else {}),
            splits=[_split_view(summary, split) for split in SPLIT_NAMES],
            losses=[(adapter, Markup(plot_loss(adapter, curve))) for adapter, curve in data.curves.items()],
            held_out=summary["loss"],
            gates=[(adapter, gate) for adapter, results in data.gates.items() for gate in results],
            retrieval=retrieval_table(summary),
            retrieval_plot=Markup(plot_retrieval(summary)),
            costs=cost_table(summary),
            unplaced=unplaced_note(summary["counts"]),
            split_names=SPLIT_NAMES,
            examples=pick_examples(data),
            cases=cases,
            n_not_shown=n_not_shown,
            filters=count_filters(cases),
            series=_series_view(data, colours),
            variants=[(table, ()) for table in sweep_tables(data)],
            methods=methods(data),
            threats=threats(data),
            failures=data.failures,
            refusals=refusal_sentences(summary),
            config_yaml=data.config_yaml,
            manifest=list(_flat(data.manifest)),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("workbench.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["strong"] = _strong
    environment.filters["score_text"] = lambda value, metric: score_text(metric, value)
    environment.filters["estimate_text"] = lambda estimate, metric: estimate_text(metric, estimate)
    return environment


def _decision_view(data: ReportData, decision: Decision, colours: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page shows of the verdict."""
    parts = {"all": "All questions"} | SPLIT_NAMES
    return {
        "tiles": tiles(decision),
        "standings": ordered_standings(decision),
        "factors": decision_table(data),
        "cost_plot": Markup(plot_total_cost(decision, colours)),
        "crossovers": crossover_sentences(decision),
        "margin": f"{100 * decision.margin:g}",
        "matrices": [(name, *verdict_matrix(decision, part)) for part, name in parts.items()],
        "interactions": interaction_sentences(decision),
        "routed": router_sentences(decision.router),
        "ladder": ladder_rows(decision, "all"),
        "strata_arms": list(data.summary["arms"]),
        "strata": strata_rows(decision, list(data.summary["arms"])),
    }


def _series_view(data: ReportData, colours: Mapping[str, str]) -> list[tuple[SeriesTable, list[tuple[str, Markup]]]]:
    """Return each series that was measured as a table and its figures; a race comes first."""
    raced: list[tuple[SeriesTable, list[tuple[str, Markup]]]]
    raced = [(race_table(data.race), [])] if data.race is not None and data.race.stops else []
    drawn = [plot_freshness(data.freshness, colours)] if data.freshness is not None else []
    drawn += [plot_scaling(data.scaling, colours)] if data.scaling is not None else []
    drawn += [plot_learning(data.learning, colours)] if data.learning is not None else []
    figures = [[(plot.caption, Markup(plot.svg)) for plot in plots] for plots in drawn]
    return raced + list(zip(series_tables(data), figures, strict=True))


def _split_view(summary: Summary, split: str) -> dict[str, Any]:
    """Return what the page shows of one split."""
    part = summary["splits"][split]
    scored = any(summary["ranked_by"] in figures for figures in part["arms"].values())
    references = reference_pairs(summary, split)
    return {
        "id": split,
        "name": SPLIT_NAMES[split],
        "note": SPLIT_NOTES[split],
        "lead": lead_sentence(summary, split),
        "n": max((_n_questions(figures, summary["ranked_by"]) for figures in part["arms"].values()), default=0),
        "table": score_table(summary, split),
        "cost_plot": Markup(plot_quality_against_cost(summary, split)) if scored else None,
        "forest_plot": Markup(plot_forest(summary, split)) if scored else None,
        "references": [(arm, _bars(pairs)) for arm, pairs in references],
        "pairs": [(pair, SCORE_NAMES[pair.metric]) for pair in pair_rows(summary, split)],
        "kinds": kind_table(summary, split),
    }


def _n_questions(figures: Mapping[str, Any], metric: str) -> int:
    """Return how many questions an arm was scored on: the answerable and the unanswerable ones."""
    return sum(int(figures[name]["n"]) for name in (metric, "abstention") if name in figures)


def _bars(pairs: list[PairRow]) -> list[tuple[PairRow, dict[str, float]]]:
    """Pair each comparison with its bar in percent of the cell's width; 0 stands in the middle of all of them."""
    ends = [abs(end) for pair in pairs for end in (pair.low, pair.high, pair.difference) if end is not None]
    reach = 1.05 * max(ends, default=1.0) or 1.0

    def place(value: float | None) -> float:
        return round(50 + 50 * (value or 0.0) / reach, 2)

    return [
        (
            pair,
            {
                "low": place(pair.low),
                "width": round(place(pair.high) - place(pair.low), 2),
                "at": place(pair.difference),
            },
        )
        for pair in pairs
    ]


def _strong(sentence: str) -> Markup:
    """Escape a sentence and turn its ** marks into <strong>."""
    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(sentence))))


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted path, text) for every leaf of a manifest."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        yield path, ", ".join(str(item) for item in value)
    else:
        yield path, str(value)
