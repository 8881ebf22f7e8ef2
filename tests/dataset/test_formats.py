"""Formats in and out: told apart by content, there and back again, every fault with its line and field."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.config import PromptConfig
from workbench.dataset.exports import export_rows
from workbench.dataset.formats import Format, tell_format
from workbench.dataset.imports import read_rows
from workbench.errors import DatasetError
from workbench.rows import DatasetRow, RowPassage, Task

PROMPT = PromptConfig(system="Be brief.")
SYSTEM = {"role": "system", "content": "Be kind."}
TALK = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "How?"},
    {"role": "assistant", "content": "Well, so."},
]
FILES: dict[Format, list[dict[str, Any]]] = {
    Format.CHAT: [{"messages": [SYSTEM, *TALK]}, {"messages": TALK[:2]}],
    Format.PROMPT: [
        {"prompt": "Say ä.", "completion": "ä"},
        {"prompt": [SYSTEM, TALK[0]], "completion": [TALK[1]]},
    ],
    Format.ALPACA: [
        {"instruction": "Add.\n\n1 and 2", "input": "", "output": "3"},
        {"instruction": "And?", "input": "", "output": "4", "system": "Count.", "history": [["1?", "1"], ["2?", "2"]]},
    ],
    Format.SHAREGPT: [
        {
            "conversations": [
                {"from": "system", "value": "S"},
                {"from": "human", "value": "Q"},
                {"from": "gpt", "value": "A"},
            ]
        }
    ],
}  # fmt: skip


def write(tmp_path: Path, records: list[dict[str, Any]], name: str = "rows.data") -> Path:
    path = tmp_path / name
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.mark.parametrize("format_", list(FILES))
def test_a_file_goes_through_rows_and_comes_back_the_same(tmp_path: Path, format_: Format) -> None:
    path = write(tmp_path, FILES[format_])
    assert tell_format(path.read_text(), path) is format_
    rows = read_rows(path)
    assert [json.loads(line) for line in export_rows(rows, format_, PROMPT).splitlines()] == FILES[format_]
    assert len({row.id for row in rows}) == len(rows)


@pytest.mark.parametrize("format_", list(FILES))
@pytest.mark.parametrize("other", list(FILES))
def test_rows_survive_any_other_format(tmp_path: Path, format_: Format, other: Format) -> None:
    rows = read_rows(write(tmp_path, FILES[format_]))
    path = tmp_path / "other.jsonl"
    path.write_text(export_rows(rows, other, PROMPT), encoding="utf-8")
    again = read_rows(path)
    assert [(row.turns, row.completion) for row in again] == [(row.turns, row.completion) for row in rows]


def test_texts_are_parted_by_two_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "prose.txt"
    path.write_text("First line.\n\nStill the first.\n\n\nThe second [not JSON].\n", encoding="utf-8")
    rows = read_rows(path)
    assert [row.completion for row in rows] == ["First line.\n\nStill the first.", "The second [not JSON]."]
    assert {row.task for row in rows} == {Task.TEXT}
    assert export_rows(rows, Format.TEXT, PROMPT) == path.read_text()


def test_one_json_list_is_read_like_lines(tmp_path: Path) -> None:
    path = tmp_path / "alpaca.json"
    path.write_text(json.dumps(FILES[Format.ALPACA], indent=2), encoding="utf-8")
    lines = read_rows(write(tmp_path, FILES[Format.ALPACA]))
    assert read_rows(path) == lines


def test_a_conversation_gives_one_row_a_turn_that_is_learned(tmp_path: Path) -> None:
    first, second = read_rows(write(tmp_path, [{"messages": [SYSTEM, *TALK]}]))
    assert (first.completion, [turn.content for turn in first.turns]) == ("Hello", ["Be kind.", "Hi"])
    assert (second.completion, len(second.turns)) == ("Well, so.", 4)
    assert first.group == second.group != ""
    skipped = [TALK[0], TALK[1] | {"weight": 0}, *TALK[2:]]
    (only,) = read_rows(write(tmp_path, [{"messages": skipped}]))
    assert only.completion == "Well, so."
    assert json.loads(export_rows([only], Format.CHAT, PROMPT))["messages"] == skipped


def test_equal_records_keep_ids_of_their_own(tmp_path: Path) -> None:
    one, two = read_rows(write(tmp_path, [{"prompt": "a", "completion": "b"}] * 2))
    assert two.id == f"{one.id}-2"


def test_reader_rows_are_written_in_the_layout_of_the_prompt_builder() -> None:
    from workbench.prompting import PromptBuilder
    from workbench.types import Chunk, Hit

    chunk = Chunk("c", "d", 0, 9, "It is red", ("Gauge", "Paint"), header="| a |")
    passage = RowPassage(document_id="d", start=0, end=9, text="It is red", context=chunk.context)
    row = DatasetRow(
        id="r", task=Task.READER, question="Which colour? ", passages=(passage,), completion="red", generator="reader"
    )
    written = json.loads(export_rows([row], Format.CHAT, PROMPT))["messages"]
    built = PromptBuilder(PlainTokenizer(), PROMPT).build(row.question, (Hit(chunk, 1.0),))  # type: ignore[arg-type]
    assert [(one["role"], one["content"]) for one in written] == [*built.messages, ("assistant", "red")]
    assert written[1]["content"] == "[1] Gauge > Paint\n| a |\nIt is red\n\nQuestion: Which colour?"


class PlainTokenizer:
    """Renders messages as their texts, a token a word."""

    def render(self, messages: list[Any]) -> str:
        return "\n".join(message.content for message in messages)

    def encode(self, text: str) -> list[int]:
        return list(range(len(text.split())))

    def neutralise(self, text: str) -> str:
        return text


def test_a_text_has_no_place_among_chats_and_that_is_said() -> None:
    row = DatasetRow(id="t1", task=Task.TEXT, completion="Prose.", generator="text")
    with pytest.raises(DatasetError, match=r"row t1 is plain text, which alpaca has no place for.*--without-text"):
        export_rows([row], Format.ALPACA, PROMPT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"messages": []}\n', "rows:1: `messages`: must be a list of turns"),
        ('{"prompt": "a", "completion": "b"}\n{"prompt": 3, "completion": "b"}\n', "rows:2: `prompt`: must be a text"),
        ('{"prompt": "a", "completion": "b"}\n{"prompt": "a"\n', "rows:2: `line`: is not JSON"),
        ('{"prompt": "a", "completion": " "}\n', "rows:1: `completion`: must be a text that is not blank"),
        ('{"messages": [{"role": "robot", "content": "x"}]}\n', r"rows:1: `messages\[0\].role`: is 'robot'"),
        ('{"conversations": [{"from": "human", "value": 1}]}\n', r"rows:1: `conversations\[0\].value`: must be"),
        ('{"messages": [{"role": "user", "content": "x"}]}\n', "rows:1: `messages`: has no assistant turn to learn"),
        (
            '[\n{"instruction": "a", "output": "b"},\n{"instruction": "", "output": "b"}\n]',
            "rows:3: `instruction`: is missing",
        ),
        ('[\n{"instruction": "a", "output": "b"},\n7\n]', "rows:3: `line`: is a JSON int, not an object"),
        ('[\n{"instruction": "a", "output": "b"},\n', "rows:3: `line`: the list is not closed"),
        ('{"instruction": "a", "output": "b", "history": [["x"]]}\n', r"rows:1: `history\[0\]`: must be a pair"),
        ('{"text": "a"}\n', "rows:1: the first record has text; known are messages, conversations"),
        ('\n{"prompt": nope}\n', "rows:2: is not JSON"),
        (" \n", "rows is empty"),
    ],
)
def test_a_fault_names_file_line_and_field(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "rows"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError, match=message):
        read_rows(path)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        read_rows(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="is a folder"):
        read_rows(tmp_path)
    (tmp_path / "latin").write_bytes("line\nä".encode("latin-1"))
    with pytest.raises(DatasetError, match="latin:2: byte 5 is not UTF-8"):
        read_rows(tmp_path / "latin")
