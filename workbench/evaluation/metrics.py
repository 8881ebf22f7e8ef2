"""Scores of one answer: pure functions, in [0, 1], best over the accepted answers.

Not the log-probability of the gold answer: that comes from the model (`GOLD_LOGPROB` names its score).
Source of normalisation, exact match and F1: Rajpurkar et al., SQuAD, https://arxiv.org/abs/1606.05250 and its
evaluation script; cutting citation marks is ours.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from workbench.contracts import Metric
from workbench.types import Question

CITATION_MARK = re.compile(r"\[\d+(?:\s*[,;]\s*\d+)*\]")
ARTICLE = re.compile(r"\b(a|an|the)\b")
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower-case, without citation marks [n], punctuation and articles, words parted by one space."""
    plain = CITATION_MARK.sub(" ", text).lower().translate(WITHOUT_PUNCTUATION)
    return " ".join(ARTICLE.sub(" ", plain).split())


def exact_match(answer: str, gold: Sequence[str]) -> float:
    """EM = 1 if the normalised answer equals an accepted answer, else 0. Source: SQuAD, section 6.1."""
    return float(normalise_answer(answer) in {normalise_answer(accepted) for accepted in gold})


def contains(answer: str, gold: Sequence[str]) -> float:
    """1 if the normalised answer holds an accepted answer as whole words in a row, else 0.

    Long answers inflate it, so it is never read without F1. Source: Mallen et al., https://arxiv.org/abs/2212.10511
    """
    return float(any(_holds(answer, accepted) for accepted in gold))


def token_f1(answer: str, gold: Sequence[str]) -> float:
    """F1 = 2PR / (P + R), with P and R the shares of common words (as bags) in the answer and in the accepted one.

    An empty side gives 1 if both are empty, else 0. Source: SQuAD, section 6.1.
    """
    return max(_pair_f1(normalise_answer(answer).split(), normalise_answer(accepted).split()) for accepted in gold)


def abstained(answer: str, not_found: str) -> float:
    """1 if the normalised answer holds the phrase that means "the documents do not say", else 0."""
    return float(_holds(answer, not_found))


def score_answer(question: Question, answer: str, not_found: str) -> dict[str, float | None]:
    """Return every score of one answer; None: does not apply to this question.

    Answerable: METRICS, and `over_refusal` (1 if it abstained; lower is better). Unanswerable: `abstention` only.
    """
    refused = abstained(answer, not_found)
    answerable = question.answerable
    scores: dict[str, float | None] = {
        name: metric(answer, question.answers) if answerable else None for name, metric in METRICS.items()
    }
    return scores | {"abstention": None if answerable else refused, "over_refusal": refused if answerable else None}


def _holds(answer: str, phrase: str) -> bool:
    wanted = normalise_answer(phrase)
    return bool(wanted) and f" {wanted} " in f" {normalise_answer(answer)} "


def _pair_f1(answer: Sequence[str], accepted: Sequence[str]) -> float:
    if not answer or not accepted:
        return float(answer == accepted)
    common = sum((Counter(answer) & Counter(accepted)).values())
    return 2 * common / (len(answer) + len(accepted))  # = 2PR / (P + R)


METRICS: Mapping[str, Metric] = MappingProxyType({"exact_match": exact_match, "contains": contains, "f1": token_f1})
GOLD_LOGPROB = "gold_logprob"  # nats a token of the first accepted answer; the runner asks the model for it
SCORES = (*METRICS, GOLD_LOGPROB, "abstention", "over_refusal")


def score_limits(name: str) -> tuple[float, float] | None:
    """Return between which values a score lies; None: log-probabilities have no lower limit."""
    return None if name == GOLD_LOGPROB else (0.0, 1.0)
