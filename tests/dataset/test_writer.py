"""A scripted model writes rows; all it gets wrong is refused and counted."""

import json

import pytest

from tests.dataset.samples import make_chunks, make_workshop
from tests.dataset.test_formats import PlainTokenizer
from workbench.config import PromptConfig, WriterConfig
from workbench.dataset.writer import Pair, Reject, check_pair, read_reply, write_rows
from workbench.generation.scripted import ScriptedGenerator
from workbench.prompting import PromptBuilder
from workbench.types import Prompt

GOOD = Pair(question="How heavy is it?", answer="75 kilograms")
PASSAGE = "The meter weighs 75 kilograms without its flanges."


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ('[{"question": "How heavy is it?", "answer": "75 kilograms"}]', [GOOD]),
        ("[]", []),
        ("Sure! Here are three questions:", Reject.NOT_JSON),
        ('[{"question": "How heavy is it?", "answer": "75 kil', Reject.NOT_JSON),
        ('{"question": "How heavy is it?", "answer": "75 kilograms"}', Reject.WRONG_SHAPE),
        ('[{"question": "How heavy is it?"}]', Reject.WRONG_SHAPE),
        ('[{"question": "How heavy is it?", "answer": 75}]', Reject.WRONG_SHAPE),
        ('[{"question": "How heavy is it?", "answer": "75", "note": "x"}]', Reject.WRONG_SHAPE),
    ],
)  # fmt: skip
def test_a_reply_is_json_of_the_right_shape_or_refused(reply: str, found: object) -> None:
    assert read_reply(reply) == found


@pytest.mark.parametrize(
    ("question", "answer", "reject"),
    [
        ("How heavy is it?", "75 kilograms", None),
        ("Say how heavy it is.", "75 kilograms", Reject.NO_QUESTION),
        ("How heavy is it?", "75 kg", Reject.NOT_VERBATIM),
        ("Does it weigh 75 kilograms?", "75 kilograms", Reject.GIVEN_AWAY),
        ("What stands there?", "word " * 20 + "word", Reject.TOO_LONG),
    ],
)
def test_a_pair_is_a_question_with_words_of_the_passage_or_refused(
    question: str, answer: str, reject: Reject | None
) -> None:
    assert check_pair(Pair(question=question, answer=answer), f"{PASSAGE} {'word ' * 30}") is reject


def test_rows_of_a_model_point_at_their_words_and_rejects_are_counted() -> None:
    def answer(prompt: Prompt, _: str | None) -> str:
        text = prompt.hits[0].chunk.text
        if "pallet" in text:
            return json.dumps(
                [
                    {"question": "On what does it arrive?", "answer": "a pallet"},
                    {"question": "Why is it so?", "answer": "fate"},
                ]
            )
        return "I do not know."

    shop, chunks = make_workshop(), make_chunks()
    generator = ScriptedGenerator(answer)
    builder = PromptBuilder(PlainTokenizer(), PromptConfig(max_tokens=200))  # type: ignore[arg-type]
    config = WriterConfig(passages=100)
    written = write_rows(shop, chunks, generator, builder, config, batch_size=4)
    (row,) = written.rows
    (source,) = row.sources
    assert (row.generator, row.question, row.completion) == ("writer", "On what does it arrive?", "a pallet")
    text = {one.document.id: one.document.text for one in shop.material.outlines}[source.document_id]
    assert text[source.start : source.end] == "a pallet"
    assert written.rejects == {Reject.NOT_JSON: len(chunks) - 1, Reject.NOT_VERBATIM: 1}
    assert [n for n, _ in generator.calls] == [4] * (len(chunks) // 4) + ([len(chunks) % 4] if len(chunks) % 4 else [])


def test_passages_are_drawn_by_the_seed_and_those_too_long_are_counted() -> None:
    asked: list[list[str]] = []
    for _ in range(2):
        seen: list[str] = []
        generator = ScriptedGenerator(lambda prompt, _, seen=seen: seen.append(prompt.hits[0].chunk.id) or "[]")  # type: ignore[misc]
        builder = PromptBuilder(PlainTokenizer(), PromptConfig(max_tokens=62))  # type: ignore[arg-type]
        written = write_rows(make_workshop(), make_chunks(), generator, builder, WriterConfig(passages=9), batch_size=2)
        asked.append(seen)
        assert len(seen) + written.rejects["passage_too_long"] == 9
        assert written.rejects["passage_too_long"] > 0
    assert asked[0] == asked[1]
