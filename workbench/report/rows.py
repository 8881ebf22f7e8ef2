"""The summary as rows of cells: what the terminal, Markdown and the page all lay out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.report.figures import (
    MISSING,
    SCORE_NAMES,
    amount_text,
    difference_text,
    interval_text,
    p_text,
    score_text,
)

Summary = Mapping[str, Any]
COST_COLUMNS = {"seconds_p50": "s/question", "prompt_tokens_p50": "tokens in", "new_tokens_p50": "tokens out"}
RETRIEVAL_NAMES = {"mrr": "MRR", "ndcg@10": "nDCG@10"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure as text, its interval as text (may be empty), and whether it leads its column."""

    text: str
    interval: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One arm's line of a table."""

    arm: str
    control: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class PairRow:
    """One comparison, `a` minus `b`. `low` and `high` None: the data cannot tell. `confidence` is the interval's."""

    a: str
    b: str
    metric: str
    difference: float
    low: float | None
    high: float | None
    p: float
    n: int
    confidence: float

    @property
    def decided(self) -> bool:
        """Whether the interval leaves 0 out and p agrees: where few questions differ, an interval alone is too sure.

        The smallest p of m differing questions is 2^(1-m): five of them decide nothing at 95 %, whatever they say.
        """
        if self.low is None or self.high is None or self.p > 1 - self.confidence:
            return False
        return self.low > 0 or self.high < 0

    @property
    def texts(self) -> tuple[str, str, str]:
        """The difference, its interval, and p."""
        interval = interval_text(self.metric, {"low": self.low, "high": self.high})
        return difference_text(self.metric, self.difference), interval, p_text(self.p)


def is_control(summary: Summary, arm: str) -> bool:
    """Whether the arm is shown but never ranked."""
    return bool(summary["settings"].get(arm, {}).get("control"))


def score_table(summary: Summary, split: str) -> tuple[list[str], list[Row]]:
    """Return the header (without the arm's column) and one row an arm; scores no arm has are left out."""
    arms = summary["splits"][split]["arms"]
    names = [name for name in SCORE_NAMES if any(name in figures for figures in arms.values())]
    ranked = [figures for arm, figures in arms.items() if not is_control(summary, arm)]
    top = {name: _best(name, [figures[name]["mean"] for figures in ranked if name in figures]) for name in names}
    rows = []
    for arm, figures in arms.items():
        control = is_control(summary, arm)
        cells = [_score_cell(name, figures.get(name), None if control else top[name]) for name in names]
        cells += [Cell(amount_text(name, summary["costs"].get(arm, {}).get(name))) for name in COST_COLUMNS]
        rows.append(Row(arm, control, tuple(cells)))
    return [SCORE_NAMES[name] for name in names] + list(COST_COLUMNS.values()), rows


def pair_rows(summary: Summary, split: str, *, metric: str | None = None) -> list[PairRow]:
    """Return every comparison of a split, of one metric or (None) of all."""
    pairs = summary["splits"][split]["pairs"]
    return [PairRow(**pair, confidence=summary["confidence"]) for pair in pairs if metric in (None, pair["metric"])]


def compare(summary: Summary, split: str, a: str, b: str, metric: str) -> PairRow | None:
    """Return `a` minus `b` on a split, whichever way round the summary holds it; None: never compared."""
    for pair in pair_rows(summary, split, metric=metric):
        if (pair.a, pair.b) == (a, b):
            return pair
        if (pair.a, pair.b) == (b, a):
            low = None if pair.high is None else -pair.high
            high = None if pair.low is None else -pair.low
            return PairRow(a, b, metric, -pair.difference, low, high, pair.p, pair.n, pair.confidence)
    return None


def reference_pairs(summary: Summary, split: str) -> list[tuple[str, list[PairRow]]]:
    """Return, for the base arm and the plain retrieval arm, each other arm minus it in the ranked score."""
    arms, metric = summary["splits"][split]["arms"], summary["ranked_by"]
    references = []
    for strategy in ("closed_book", "rag"):
        plain = [
            arm
            for arm, settings in summary["settings"].items()
            if settings["strategy"] == strategy and not settings["adapter"] and not settings["control"]
        ]
        references += plain[:1]
    found = []
    for reference in references:
        pairs = [compare(summary, split, arm, reference, metric) for arm in arms if arm != reference]
        if any(pairs):
            found.append((reference, [pair for pair in pairs if pair is not None]))
    return found


def cost_table(summary: Summary) -> tuple[list[str], list[tuple[str, list[Cell]]]]:
    """Return the arms, and a row of cells for each cost: those of a question, then whatever building an arm cost."""
    costs = {arm: figures for arm, figures in summary["costs"].items() if figures}
    names = list(dict.fromkeys(name for figures in costs.values() for name in figures))
    rows = [
        (_spaced(name), [Cell(amount_text(name, figures.get(name))) for figures in costs.values()]) for name in names
    ]
    return list(costs), rows


def retrieval_table(summary: Summary) -> tuple[list[str], list[tuple[str, str, list[Cell]]]]:
    """Return the names of the measures, and rows: the split, the arm where it retrieves in a way of its own, cells."""
    found = {(split, ""): part["retrieval"] for split, part in summary["splits"].items() if part["retrieval"]}
    for split, part in summary["splits"].items():
        found |= {(split, arm): figures for arm, figures in part.get("own_retrieval", {}).items()}
    names = list(dict.fromkeys(name for figures in found.values() for name in figures))
    rows = [
        (split, arm, [_score_cell(name, figures.get(name), None) for name in names])
        for (split, arm), figures in found.items()
    ]
    return [RETRIEVAL_NAMES.get(name, name) for name in names], rows


def kind_table(summary: Summary, split: str) -> tuple[list[str], list[tuple[str, str, int, list[Cell]]]]:
    """Return a split's arms, and for each kind of question: its name, the score, how many questions, a cell an arm."""
    part = summary["splits"][split]
    arms = list(part["arms"])
    rows = []
    for kind, figures in part["kinds"].items():
        for name in (summary["ranked_by"], "abstention"):
            shown = {arm: scores[name] for arm, scores in figures.items() if name in scores}
            if shown:
                ranked = [figure["mean"] for arm, figure in shown.items() if not is_control(summary, arm)]
                top = _best(name, ranked)
                cells = [_score_cell(name, shown.get(arm), None if is_control(summary, arm) else top) for arm in arms]
                rows.append((kind, SCORE_NAMES[name], max(figure["n"] for figure in shown.values()), cells))
    return arms, rows


def _score_cell(name: str, figure: Summary | None, top: float | None) -> Cell:
    if figure is None:
        return Cell(MISSING)
    return Cell(score_text(name, figure["mean"]), interval_text(name, figure), figure["mean"] == top)


def _best(name: str, means: Sequence[float]) -> float | None:
    """Return the leading mean; None where all are alike or one stands alone: then nothing leads."""
    if len(set(means)) < 2:
        return None
    return min(means) if name == "over_refusal" else max(means)


def _spaced(name: str) -> str:
    name = name.replace("peak_bytes", "peak_process_bytes")  # resident memory of the whole process, model included
    endings = {
        "_p50": ", median",
        "_p95": ", p95",
        "_total": ", all questions",
        "_bytes": " memory",
    }
    for ending, words in endings.items():
        if name.endswith(ending):
            name = name.removesuffix(ending) + words
    return name.replace("_", " ")
