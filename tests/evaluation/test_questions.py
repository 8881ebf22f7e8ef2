"""Four question formats, told apart by content; faults name file, line and field."""

import json
from pathlib import Path

import pytest

from workbench.errors import QuestionFileError
from workbench.evaluation import load_questions
from workbench.types import Question, Span, Split

CONTEXT = "Aurelia builds flutes in Bergen. The Bergen works opened in 1931."
SQUAD = {
    "version": "2.0",
    "data": [
        {
            "title": "Aurelia Works",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {
                            "id": "where",
                            "question": "Where are flutes built?",
                            "answers": [
                                {"text": "Bergen", "answer_start": 25},
                                {"text": "in Bergen", "answer_start": 22},
                                {"text": "Bergen", "answer_start": 25},
                            ],
                        },
                        {"id": "who", "question": "Who founded it?", "answers": [], "is_impossible": True},
                    ],
                },
                {"context": "Nothing more.", "qas": []},
            ],
        }
    ],
}
CHAT_LINE = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Where are flutes built?"},
        {"role": "assistant", "content": "Bergen"},
    ]
}


def write(folder: Path, content: str, name: str = "questions.jsonl") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def squad_with(**changes: object) -> str:
    """The sample with fields of its first question changed; one field a line, so that lines can be named."""
    squad = json.loads(json.dumps(SQUAD))
    squad["data"][0]["paragraphs"][0]["qas"][0].update(changes)
    return json.dumps(squad, indent=1)


def test_project_lines_give_questions_as_written(tmp_path: Path) -> None:
    questions = (
        Question(id="a", text="Where?", answers=("Bergen",), relevant=(Span(document_id="d", start=2, end=8),)),
        Question(id="b", text="Who?", split=Split.NEW, kind="unanswerable"),
    )
    path = write(tmp_path, "".join(question.model_dump_json() + "\n\n" for question in questions))
    assert load_questions(path).questions == questions


def test_squad_gives_passages_and_spans_in_them(tmp_path: Path) -> None:
    loaded = load_questions(write(tmp_path, json.dumps(SQUAD), "odd-name.csv"))
    assert [passage.id for passage in loaded.passages] == ["aurelia-works/000", "aurelia-works/001"]
    passage, (where, who) = loaded.passages[0], loaded.questions
    assert passage.text == CONTEXT and passage.title == "Aurelia Works"
    assert passage.blocks[0].end == len(CONTEXT)
    assert where.answers == ("Bergen", "in Bergen") and where.group == "Aurelia Works"
    (span,) = where.relevant  # the two overlapping marks are one place
    assert CONTEXT[span.start : span.end] == "in Bergen" and span.document_id == passage.id
    assert not who.answerable and who.relevant == ()


def test_passages_beside_a_corpus_are_refused(tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError, match=r"brings 2 passages of its own, .*unset corpus\.path"):
        load_questions(write(tmp_path, json.dumps(SQUAD)), documents={"works.md": CONTEXT})


def test_passages_with_the_same_text_and_title_have_the_same_fingerprint(tmp_path: Path) -> None:
    one, two = (load_questions(write(tmp_path, json.dumps(SQUAD), name)).passages for name in ("a", "b"))
    assert [passage.fingerprint for passage in one] == [passage.fingerprint for passage in two]
    assert one[0].fingerprint != one[1].fingerprint


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_csv_rows_give_questions_and_the_span_of_their_answer(tmp_path: Path, delimiter: str) -> None:
    rows = [
        ["question", "answers", "id", "split", "document"],
        ["Where?", "the fjord|in Bergen", "a", "seen", "works.md"],
        ["Who?", "", "", "new", ""],
    ]
    path = write(tmp_path, "\ufeff" + "\n".join(delimiter.join(row) for row in rows), "q.csv")
    where, who = load_questions(path, documents={"works.md": CONTEXT}).questions
    assert where.answers == ("the fjord", "in Bergen") and where.split is Split.SEEN and where.group == "works.md"
    assert CONTEXT[where.relevant[0].start : where.relevant[0].end] == "in Bergen"
    assert who.id.startswith("q-") and not who.answerable


@pytest.mark.parametrize(
    ("answers", "text", "found"),
    [
        ("5", "At 15 degrees take 5 and rest.", "5"),
        ("5", "It is 2.5 or 5,000 wide.", None),
        ("5 %", "A share of 5 %.", "5 %"),
        ("Bergen|in Bergen", "Built in Bergen", "in Bergen"),
        ("the thirties", CONTEXT, None),
        ("Bergen", CONTEXT, None),  # twice
        ("", CONTEXT, None),
    ],
)
def test_a_csv_answer_is_placed_only_where_it_stands_once(
    tmp_path: Path, answers: str, text: str, found: str | None
) -> None:
    path = write(tmp_path, f'question,answers,document\nWhen?,"{answers}",works.md\n')
    (question,) = load_questions(path, documents={"works.md": text}).questions
    assert question.group == "works.md"
    assert [text[span.start : span.end] for span in question.relevant] == ([] if found is None else [found])


def test_a_csv_row_on_a_document_that_could_not_be_read_is_taken_without_a_span(tmp_path: Path) -> None:
    path = write(tmp_path, "question,answer,document\nWhen?,1931,torn.pdf\n")
    (question,) = load_questions(path, documents={"works.md": CONTEXT}, unread={"torn.pdf"}).questions
    assert (question.group, question.relevant) == ("torn.pdf", ())


def test_json_whose_key_is_called_question_is_no_csv(tmp_path: Path) -> None:
    # broken in a way that gives the first line a cell of this name
    with pytest.raises(QuestionFileError, match="`line`: is not JSON"):
        load_questions(write(tmp_path, '{"id": "a",question,"answers": []}\n'))


def test_chat_takes_the_last_user_turn_and_the_last_answer(tmp_path: Path) -> None:
    (question,) = load_questions(write(tmp_path, lines(CHAT_LINE))).questions
    assert (question.text, question.answers) == ("Where are flutes built?", ("Bergen",))


def test_ids_made_from_content_do_not_depend_on_the_order(tmp_path: Path) -> None:
    first, second = "Where?,Bergen\n", "When?,1931\n"
    there = load_questions(write(tmp_path, "question,answer\n" + first + second)).questions
    back = load_questions(write(tmp_path, "question,answer\n" + second + first)).questions
    assert [question.id for question in there] == [question.id for question in reversed(back)]


GOOD = {"id": "a", "text": "Where?", "answers": ["Bergen"]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lines(GOOD, GOOD | {"id": "b", "answers": "Bergen"}), "q.x:2: `answers`: must be a list"),
        (lines(GOOD | {"answer": "B"}), "q.x:1: `answer`: unknown field"),
        (lines(GOOD) + "{oops\n", "q.x:2: `line`: is not JSON"),
        ("{oops\n" + lines(GOOD), "q.x:1: `line`: is not JSON"),
        (lines(GOOD, GOOD), "q.x:2: `id`: 'a' is already the id of line 1"),
        (lines(GOOD | {"answers": ["B", " "]}), "q.x:1: `answers[1]`: is blank"),
        (lines(GOOD, [1]), "q.x:2: `line`: is a JSON list, not an object"),
        (lines(GOOD | {"relevant": [{"document_id": "d", "start": 4, "end": 4}]}), "`relevant[0]`: span end 4 is not"),
        (lines(GOOD | {"relevant": [{"document_id": "x", "start": 0, "end": 4}]}), "'x' is not in the corpus"),
        (lines(GOOD | {"relevant": [{"document_id": "d", "start": 0, "end": 99}]}), "99 is past the document's end"),
        (lines({"messages": CHAT_LINE["messages"][:4]}), "q.x:1: `messages`: has no assistant turn after"),
        (lines(CHAT_LINE | {"tools": []}), "q.x:1: `tools`: unknown field"),
        (lines({"messages": [{"role": "system", "content": "x"}]}), "`messages`: has no user turn"),
        ("question,answer\nA?,b\nC?\n", "q.x:3: `row`: has 1 cells, but the header has 2"),
        ('question,answer\n"A\n?",b\nC?,d,e\n', "q.x:4: `row`: has 3 cells"),
        ("question,reply\nA?,b\n", "q.x:1: `reply`: unknown column"),
        ("question,answer,document\nA?,b,x\n", "q.x:2: `document`: 'x' is not in the corpus"),
        ("question,answer,split\nA?,b,tset\n", "q.x:2: `split`: input should be 'train'"),
        ('question,answer\n"A?,b\n', "q.x:2: `row`: is not CSV"),
        (squad_with(answers=[]), "`answers`: is empty, but `is_impossible` is not true"),
        (
            squad_with(answers=[{"text": "Bergen", "answer_start": 24}]),
            "q.x:11: `answers[0].answer_start`: 24 points at ' Berge', but the answer is 'Bergen'",
        ),
        (squad_with(question=7), "q.x:11: `data[0].paragraphs[0].qas[0].question`: input should be a valid string"),
        ('{"version": "1.1",\n"data": [}', "q.x:2: `data`: is not JSON"),
        ("", "q.x is empty"),
        ("Dear reader,\n", "q.x:1: begins with 'Dear reader,'; expected JSON lines"),
        ('["a"]', "expected JSON lines"),
    ],
)
def test_a_fault_is_told_with_file_line_and_field(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(QuestionFileError) as caught:
        load_questions(write(tmp_path, content, "q.x"), documents={"d": "Bergen"})
    assert told in str(caught.value)


def test_ten_faults_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    path = write(tmp_path, lines(*({"id": str(number)} for number in range(13))))
    with pytest.raises(QuestionFileError) as caught:
        load_questions(path)
    told = str(caught.value).splitlines()
    assert len(told) == 11 and told[9].startswith("questions.jsonl:10: `text`") and "3 more" in told[10]


def test_a_missing_file_and_other_encodings_are_told(tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError, match="does not exist"):
        load_questions(tmp_path / "none.jsonl")
    (tmp_path / "latin").write_bytes(b"question,answer\ncaf\xe9,x\n")
    with pytest.raises(QuestionFileError, match=r"latin:2: byte 19 is not UTF-8"):
        load_questions(tmp_path / "latin")


def test_a_beir_folder_is_sent_to_where_it_is_measured(tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError, match=r"is a folder; set questions\.path"):
        load_questions(tmp_path)
    (tmp_path / "qrels").mkdir()
    for name in ("corpus.jsonl", "queries.jsonl"):
        (tmp_path / name).touch()
    with pytest.raises(QuestionFileError, match="bench_retrieval"):
        load_questions(tmp_path)
