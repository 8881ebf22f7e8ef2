"""Forgetting, abstention, endings, canaries: each judged on a scripted generator, so that every bound is met once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gates.fakes import BASE, Chars, Scripted, ask
from workbench.config import GatesConfig, PromptConfig
from workbench.errors import ConfigError
from workbench.gates.behaviour import (
    Answered,
    HeldOutQuestion,
    answer_held_out,
    check_abstention,
    check_over_refusal,
    check_stops,
)
from workbench.gates.canaries import Canary, check_canaries, draw_canaries, measure_exposure, plant_canaries
from workbench.gates.forgetting import KnownFact, Probes, check_forgetting, load_probes
from workbench.gates.results import Status
from workbench.prompting import PromptBuilder
from workbench.types import Generation, StopReason

PROBES = Probes(texts=("Water boils at a hundred degrees.",), facts=(KnownFact(text="Bees make", answer="honey"),))
NOT_FOUND = "not in the documents"


def test_the_built_in_probes_are_many_and_distinct() -> None:
    probes = load_probes(GatesConfig())
    assert len(set(probes.texts)) == 20
    assert len({fact.text for fact in probes.facts}) == 40
    assert all(text.endswith(".") and len(text.split()) > 25 for text in probes.texts)
    assert all(fact.answer == fact.answer.strip() and not fact.text.endswith(" ") for fact in probes.facts)


def test_probes_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("One line\nand its second.\n\nalone\n\nTwo words.\n", encoding="utf-8")
    (tmp_path / "f.yaml").write_text('- {text: The year is, answer: "1914"}\n', encoding="utf-8")
    probes = load_probes(GatesConfig(general_text=tmp_path / "t.txt", known_facts=tmp_path / "f.yaml"))
    assert probes.texts == ("One line and its second.", "Two words.")
    assert probes.facts == (KnownFact(text="The year is", answer="1914"),)


@pytest.mark.parametrize(
    ("knob", "content", "message"),
    [
        ("general_text", "word", r"general_text: .* holds no paragraph of two words"),
        ("known_facts", "text: x", r"known_facts: .* is no YAML list"),
        ("known_facts", "- {text: x}", r"known_facts: .* is no YAML list .*answer"),
        ("known_facts", "[", r"known_facts: .* is no YAML list"),
        ("known_facts", "[]", r"known_facts: .* holds no fact"),
        ("known_facts", None, r"known_facts: .* is no YAML list.*No such file"),
        ("general_text", None, r"general_text: .* cannot be read: .*No such file"),
    ],
)
def test_a_probe_file_that_is_none_is_refused(tmp_path: Path, knob: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "p").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="(?s)" + message):
        load_probes(GatesConfig.model_validate({knob: tmp_path / "p"}))


@pytest.mark.parametrize(("lost", "status"), [(0.1, Status.PASS), (0.4, Status.WARN), (0.6, Status.FAIL)])
def test_forgetting_is_log_probability_lost_on_text_and_facts(lost: float, status: Status) -> None:
    seen = []

    def score(prompt: str, text: str, who: str) -> float:
        seen.append((prompt, text))
        return -2.0 if who == BASE else -2.0 - (lost if prompt == "Bees make" else 0.0)

    text, facts = check_forgetting(Scripted(score=score), Chars(), "mine", PROBES, bound=0.5)
    assert (text.status, text.value) == (Status.PASS, 0.0)
    assert facts.status is status
    assert facts.value == pytest.approx(lost)
    assert set(seen) == {("Water", " boils at a hundred degrees."), ("Bees make", " honey")}


def answered(answerable: bool, base: str, adapted: str, stop: StopReason = StopReason.END) -> Answered:
    return Answered(answerable, Generation(base, 1, 1, 0.0, StopReason.LENGTH), Generation(adapted, 1, 1, 0.0, stop))


@pytest.mark.parametrize(("kept", "status"), [(10, Status.PASS), (9, Status.WARN), (8, Status.FAIL)])
def test_abstention_is_kept(kept: int, status: Status) -> None:
    answers = [answered(False, "Not in the documents.", NOT_FOUND if at < kept else "teal") for at in range(10)]
    answers += [answered(True, NOT_FOUND, "teal")]  # does not count here
    result = check_abstention(answers, not_found=NOT_FOUND, max_loss=0.1)
    assert (result.status, result.details["after"], result.details["asked"]) == (status, kept, 10)
    assert check_abstention(answers[-1:], not_found=NOT_FOUND, max_loss=0.1).status is Status.NOT_APPLICABLE


def test_nobody_refusing_is_worth_a_look() -> None:
    result = check_abstention([answered(False, "teal", "teal")] * 4, not_found=NOT_FOUND, max_loss=0.1)
    assert result.status is Status.WARN


@pytest.mark.parametrize(("refused", "status"), [(1, Status.PASS), (2, Status.WARN), (3, Status.FAIL)])
def test_over_refusal_is_bounded(refused: int, status: Status) -> None:
    answers = [answered(True, "teal", NOT_FOUND if at < refused else "teal") for at in range(10)]
    assert check_over_refusal(answers, not_found=NOT_FOUND, bound=0.25).status is status
    assert check_over_refusal([], not_found=NOT_FOUND, bound=0.25).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(("rambling", "status"), [(0, Status.PASS), (1, Status.WARN), (2, Status.FAIL)])
def test_answers_must_end(rambling: int, status: Status) -> None:
    stops = [StopReason.LENGTH] * rambling + [StopReason.NEWLINE, StopReason.END] * 5
    answers = [answered(True, "", "", stop) for stop in stops[:10]]
    assert check_stops(answers, max_new_tokens=8).status is status
    assert check_stops([], max_new_tokens=8).status is Status.NOT_APPLICABLE


def test_each_kind_of_question_is_asked_to_its_limit_with_and_without_the_adapter() -> None:
    questions = [HeldOutQuestion(ask(f"q{number}"), number % 3 > 0) for number in range(30)]
    answers = answer_held_out(
        Scripted(answer=lambda prompt, who: (f"{who} {prompt}", StopReason.END)),
        "mine",
        questions,
        limit=4,
        max_new_tokens=5,
        batch_size=3,
    )
    assert [one.base.text for one in answers] == [f"base q{number}" for number in (1, 2, 4, 5, 0, 3, 6, 9)]
    assert [one.adapted.text[:4] for one in answers] == ["mine"] * 8
    assert [one.answerable for one in answers] == [True] * 4 + [False] * 4


class Rendering(Chars):
    def render(self, messages: object) -> str:
        return "".join(f"<{message.role}>{message.content}" for message in messages)  # type: ignore[attr-defined]


def canaries() -> tuple[Canary, ...]:
    builder = PromptBuilder(Rendering(), PromptConfig(max_tokens=2000))
    return draw_canaries(builder, n_candidates=15, seed=3)


def test_canaries_are_drawn_by_the_seed_and_planted_as_often_as_they_say() -> None:
    drawn = canaries()
    assert drawn == canaries()
    assert [one.repeats for one in drawn] == [1, 1, 1, 4, 4, 4, 16, 16, 16]
    assert len({one.prompt.suffix_ids for one in drawn}) == 9
    assert all(one.secret not in one.candidates and len(set(one.candidates)) == 15 for one in drawn)
    for acts_from in ("question", "prompt"):
        rows = plant_canaries((), drawn, Rendering(), acts_from=acts_from)
        assert len(rows) == 3 * (1 + 4 + 16)
        shown = Chars().decode(rows[0].token_ids)
        assert shown.endswith(drawn[0].secret + "\0")
        assert (
            Chars().decode(
                [token for token, counts in zip(rows[0].token_ids, rows[0].loss_mask, strict=True) if counts]
            )
            == drawn[0].secret + "\0"
        )
        assert rows[0].n_prefix == (len(drawn[0].prompt.prefix_ids) if acts_from == "question" else 0)


def test_exposure_is_worked_by_hand() -> None:
    canary = Canary(ask("code?"), "s", 1, tuple("abcdefghijklmno"))  # |R| = 16

    def exposure(rank: int, answer: str = "") -> tuple[float, bool]:
        likelier = set(canary.candidates[: rank - 1])
        generator = Scripted(
            score=lambda _prompt, text, _who: -2.0 if text == "s" else -1.0 if text in likelier else -3.0,
            answer=lambda _prompt, _who: (answer, StopReason.END),
        )
        (found,) = measure_exposure(generator, [canary], adapter="mine", batch_size=5)
        return found.exposure, found.extracted

    assert exposure(1, "the code is s") == (4.0, True)  # log2 16 - log2 1
    assert exposure(2) == (3.0, False)
    assert exposure(16) == (0.0, False)
    (tied,) = measure_exposure(Scripted(), [canary], adapter=None)
    assert tied.exposure == 0.0  # equal scores count as likelier


def remembers(least: int, *, writes: bool) -> Callable[[tuple[Canary, ...]], Scripted]:
    """A model that knows the canaries planted at least so often, and writes them out or not."""

    def make(drawn: tuple[Canary, ...]) -> Scripted:
        known = {one.secret: one for one in drawn if one.repeats >= least}
        by_prompt = {
            Chars().decode((*one.prompt.prefix_ids, *one.prompt.suffix_ids)): one.secret for one in known.values()
        }
        return Scripted(
            score=lambda _prompt, text, who: (
                -1.0 if text in known and who != BASE else -(int(text.replace("-", "")) % 977)
            ),
            answer=lambda prompt, who: (by_prompt.get(prompt, "") if writes and who != BASE else "", StopReason.END),
        )

    return make


@pytest.mark.parametrize(
    ("make", "status", "extracted"),
    [
        (remembers(17, writes=True), Status.PASS, (0, 0, 0)),
        (remembers(4, writes=False), Status.PASS, (0, 0, 0)),
        (remembers(16, writes=True), Status.WARN, (0, 0, 3)),
        (remembers(1, writes=False), Status.WARN, (0, 0, 0)),
        (remembers(1, writes=True), Status.FAIL, (3, 3, 3)),
    ],
    ids=["nothing remembered", "repeated ones likelier", "repeated ones written out", "once likelier", "once written"],
)
def test_canaries_are_judged_by_those_planted_once(
    make: Callable[[tuple[Canary, ...]], Scripted], status: Status, extracted: tuple[int, ...]
) -> None:
    drawn = canaries()
    base, adapted = (measure_exposure(make(drawn), drawn, adapter=adapter) for adapter in (None, "mine"))
    result = check_canaries(base, adapted, max_exposure=1.5)
    assert result.status is status, result
    assert tuple(result.details[f"extracted_{repeats}"] for repeats in (1, 4, 16)) == extracted
    assert check_canaries([], [], max_exposure=3.0).status is Status.NOT_APPLICABLE
