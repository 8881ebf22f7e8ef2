"""Which documents an update touches, and what is asked: nothing twice, larger updates hold smaller ones."""

import pytest

from workbench.config import FreshnessConfig
from workbench.errors import ConfigError
from workbench.parts import Corpus, QuestionSet
from workbench.series.updates import UpdatePlan
from workbench.types import Document, Question, Span, Split

COLOURS = ("amber", "teal", "crimson", "ivory", "cobalt", "olive", "umber", "violet", "ochre", "lilac", "sepia")


def corpus_of(n: int) -> tuple[Corpus, QuestionSet]:
    documents, questions = [], []
    for place in range(n):
        colour = COLOURS[place % len(COLOURS)]
        text = f"Pump {place} is painted {colour}. It weighs {place + 20} kilos."
        documents.append(Document(f"{place}.md", f"{place}.md", f"Pump {place}", text, (), f"mark {place}"))
        for kind, answer in (("colour", colour), ("weight", f"{place + 20} kilos")):
            start = text.index(answer)
            questions.append(
                Question(
                    id=f"{kind}-{place}",
                    text=f"What {kind} has pump {place}?",
                    answers=(answer,),
                    relevant=(Span(document_id=f"{place}.md", start=start, end=start + len(answer)),),
                    split=Split.TRAIN,
                )
            )
    return Corpus(tuple(documents), ()), QuestionSet(tuple(questions), (), frozenset())


def test_states_hold_what_they_say() -> None:
    corpus, questions = corpus_of(24)
    plan = UpdatePlan(corpus, questions, FreshnessConfig(shares=(0.1, 0.5), questions=6), seed=0)
    assert plan.sizes == {0.1: 1, 0.5: 4}
    assert not set(plan.changed) & {*plan.added, *plan.deleted} and not set(plan.added) & set(plan.deleted)
    before, after = plan.before, plan.after(0.5)
    there = [{document.id for document in state.corpus.documents} for state in (before, after)]
    everything = {document.id for document in corpus.documents}
    assert there == [everything - set(plan.added), everything - set(plan.deleted)]
    small = {document.id for document in plan.after(0.1).corpus.documents}
    assert small == everything - set(plan.added[1:]) - {plan.deleted[0]}
    texts = {document.id: document.text for document in after.corpus.documents}
    for question in after.questions.of(Split.TRAIN):
        spot = question.relevant[0]
        assert texts[spot.document_id][spot.start : spot.end] == question.answers[0]  # taught as it stands there now


def test_what_is_asked_after_an_update_was_asked_before_it_with_the_old_answers() -> None:
    corpus, questions = corpus_of(24)
    plan = UpdatePlan(corpus, questions, FreshnessConfig(shares=(0.1, 0.5), questions=6), seed=0)
    before, old = plan.before.questions.by_id, plan.old_answers()
    for share in plan.sizes:
        asked = plan.after(share).questions.test
        assert {question.kind for question in asked} == {"changed", "added", "deleted", "kept"}
        for question in asked:
            known = before[question.id]
            if question.kind == "changed":
                assert known.answers == old[question.id] and not set(known.answers) & set(question.answers)
            else:
                assert known.answers == question.answers
            if question.kind == "deleted":
                assert old[question.id] == question.answers
    other = UpdatePlan(corpus, questions, FreshnessConfig(shares=(0.1, 0.5), questions=6), seed=0)
    assert other.after(0.5) == plan.after(0.5)
    assert UpdatePlan(corpus, questions, FreshnessConfig(shares=(0.5,)), seed=1).deleted != plan.deleted


def test_more_than_there_is_to_change_is_refused() -> None:
    corpus, questions = corpus_of(9)
    few = QuestionSet(questions.questions[:4], (), frozenset())
    with pytest.raises(ConfigError, match="2 are asked about by training questions"):
        UpdatePlan(corpus, few, FreshnessConfig(shares=(0.5,)), seed=0)
