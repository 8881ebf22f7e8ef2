"""What the formats beyond the first five need of their own: slides, sheets, tables, books, mail, JSON, RST, code."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

import openpyxl
import pptx
import pytest

from tests.corpus.samples import write_epub
from tests.corpus.test_readers import blocks_of, read_sample, read_source
from workbench.corpus import read_document, tables
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind

HEADING, PARAGRAPH, LIST, TABLE, CODE = BlockKind


def test_sheets_keep_blanks_dates_and_merged_cells_and_a_second_table_its_own_header(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Prices"
    for row in (
        ["As of May"],
        [None, "Kind", "Price", "Since"],
        [None, "pump", 12.5, datetime(2024, 5, 1)],
        [None, None, 3.0, True],
        [],
        [None, "valve | small", None, None],
        [],
        ["Country", "Office"],
        ["Norway", "Oslo\nCentre"],
    ):
        sheet.append(row)
    sheet.merge_cells("B3:B4")
    book.create_sheet("Empty")
    book.save(tmp_path / "a.xlsx")
    read = read_document(tmp_path / "a.xlsx", tmp_path)
    assert blocks_of(read) == [
        (HEADING, "Prices"),
        (PARAGRAPH, "As of May"),
        (
            TABLE,
            "| Kind | Price | Since |\n| --- | --- | --- |\n| pump | 12.5 | 2024-05-01 |\n| pump | 3 | TRUE |\n"
            "| valve \\| small |  |  |",
        ),
        (TABLE, "| Country | Office |\n| --- | --- |\n| Norway | Oslo Centre |"),
    ]
    assert read.title == "a" and read.metadata["sheets"] == ("Prices", "Empty")


def test_hidden_sheets_slides_and_letters_are_counted_not_read(tmp_path: Path) -> None:
    assert read_sample(".xlsx", tmp_path).metadata["hidden_characters"] == len("secret")
    assert read_sample(".pptx", tmp_path).metadata["hidden_characters"] == len("secret")
    assert read_sample(".html", tmp_path).metadata["hidden_characters"] == len("secret")
    tagged = "Plain." + "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    flag = "\U0001f3f4\U000e0067\U000e0062\U000e007f"
    assert read_source("a.txt", tagged, tmp_path).metadata["hidden_characters"] == 4
    assert "hidden_characters" not in read_source("a.txt", f"Flag {flag}", tmp_path).metadata


def test_slides_open_groups_and_number_their_lists(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    group = slide.shapes.add_group_shape()
    frame = group.shapes.add_textbox(0, 0, 9, 9).text_frame
    frame.text = "In a group"
    below = frame.add_paragraph()
    below.text, below.level = "and below", 1
    deck.core_properties.title, deck.core_properties.author = "Deck", "Ann"
    deck.core_properties.created = datetime(2024, 1, 2, 3, 4, 5)
    deck.save(str(tmp_path / "a.pptx"))
    read = read_document(tmp_path / "a.pptx", tmp_path)
    assert blocks_of(read) == [(PARAGRAPH, "In a group"), (LIST, "- and below")]
    facts = {key: read.metadata[key] for key in ("format", "pages", "author", "created")}
    assert (read.title, facts) == (
        "Deck",
        {"format": "pptx", "pages": 1, "author": "Ann", "created": "2024-01-02T03:04:05"},
    )


@pytest.mark.parametrize(
    ("name", "source", "table"),
    [
        ("a.csv", 'a;b\n"1;2";x\n', "| a | b |\n| --- | --- |\n| 1;2 | x |"),
        ("a.csv", "a,b\n1,2,3\n4\n", "| a | b |  |\n| --- | --- | --- |\n| 1 | 2 | 3 |\n| 4 |  |  |"),
        ("a.csv", "1,2\n3,4\n", "| column 1 | column 2 |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"),
        ("a.tsv", "a\tb, c\n1\t2\n", "| a | b, c |\n| --- | --- |\n| 1 | 2 |"),
        ("a.csv", "näme|b\nx|y\n", "| näme | b |\n| --- | --- |\n| x | y |"),
    ],
)
def test_csv_finds_its_delimiter_and_header(name: str, source: str, table: str, tmp_path: Path) -> None:
    assert blocks_of(read_source(name, source, tmp_path)) == [(TABLE, table)]
    assert blocks_of(read_source(name, source.encode("utf-16"), tmp_path)) == [(TABLE, table)]


def test_tables_beyond_the_limits_are_refused_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 10)
    with pytest.raises(UnreadableDocumentError, match="more than 10 rows") as caught:
        read_source("a.csv", "a,b\n" * 12, tmp_path)
    assert caught.value.kind == "too_large"


def test_a_book_is_read_in_spine_order_with_the_facts_of_its_package(tmp_path: Path) -> None:
    read = read_sample(".epub", tmp_path)
    assert (read.metadata["author"], read.metadata["created"], read.metadata["language"]) == ("Ann", "2020-03-02", "en")
    write_epub(tmp_path / "b.epub", OEBPS__nav_dot_xhtml="<p>again secret</p>")
    assert read_document(tmp_path / "b.epub", tmp_path).text == read.text


def test_mail_shows_its_headers_and_body_and_names_its_attachments(tmp_path: Path) -> None:
    read = read_sample(".eml", tmp_path)
    assert "From: Ann <ann@example.org>\nTo: bob@example.org\nDate: Mon, 02 Mar 2020 10:00:00 +0100" in read.text
    assert read.text.endswith("Attachments: plan.bin")
    assert read.metadata["created"] == "2020-03-02T10:00:00+01:00"
    assert read.metadata["attachments"] == ("plan.bin",)
    plain = EmailMessage()
    plain["Subject"], plain["From"] = "Grüße", "a@example.org"
    plain.set_content("Eins.\n\nZwei für dich.", charset="latin-1")
    body = blocks_of(read_source("b.eml", plain.as_bytes(), tmp_path))
    assert body == [
        (HEADING, "Grüße"),
        (LIST, "From: a@example.org"),
        (PARAGRAPH, "Eins."),
        (PARAGRAPH, "Zwei für dich."),
    ]


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<p><img src='cid:1'></p>", "Plain words."),
        ("<table><tr><td><img></td><td><img></td></tr></table>", "Plain words."),
        ("<p style='display:none'>secret</p>", "Plain words."),
        ("<p>Rich words.</p>", "Rich words."),
        ("<p>\N{THUMBS UP SIGN}</p>", "\N{THUMBS UP SIGN}"),
    ],
)
def test_a_mail_whose_html_shows_no_words_is_read_from_its_plain_part(html: str, said: str, tmp_path: Path) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Pictures"
    mail.set_content("Plain words.")
    mail.add_alternative(html, subtype="html")
    read = read_source("a.eml", mail.as_bytes(), tmp_path)
    assert blocks_of(read) == [(HEADING, "Pictures"), (PARAGRAPH, said)]
    assert read.metadata.get("hidden_characters", 0) == (len("secret") if "secret" in html else 0)


def test_what_is_hidden_from_screen_readers_alone_is_read(tmp_path: Path) -> None:
    read = read_source("a.html", '<p>Open <span aria-hidden="true">the valve</span><b hidden>secret</b></p>', tmp_path)
    assert blocks_of(read) == [(PARAGRAPH, "Open the valve")]
    assert read.metadata["hidden_characters"] == len("secret")


def test_json_writes_every_leaf_under_its_path(tmp_path: Path) -> None:
    source = """{"name": "Pump", "weight": 9.5, "spare": null, "tags": ["a", true],
      "maker": {"city": "Oslo", "x": {"y": 1}},
      "parts": [{"id": 1, "name": "seal"}, {"id": 2, "name": "rotor"}],
      "log": [{"id": 7, "when": {"day": 2}, "codes": [1, 2]}, {"note": "ok"}]}"""
    assert blocks_of(read_source("a.json", source, tmp_path)) == [
        (LIST, "name: Pump\nweight: 9.5\nspare: null"),
        (HEADING, "tags"),
        (LIST, "- a\n- true"),
        (HEADING, "maker"),
        (LIST, "city: Oslo"),
        (HEADING, "x"),
        (LIST, "y: 1"),
        (HEADING, "parts"),
        (TABLE, "| id | name |\n| --- | --- |\n| 1 | seal |\n| 2 | rotor |"),
        (HEADING, "log"),
        (HEADING, "7"),
        (LIST, "when.day: 2\ncodes: 1, 2"),
        (LIST, "note: ok"),
    ]


def test_json_lines_with_texts_become_text_under_their_titles(tmp_path: Path) -> None:
    source = '{"_id": "4", "title": "Lift", "text": "Wings lift.", "metadata": {"year": 1958}}\n\n'
    source += '{"_id": "5", "text": "Two."}'
    read = read_source("a.jsonl", source, tmp_path)
    assert blocks_of(read) == [
        (HEADING, "Lift"),
        (PARAGRAPH, "Wings lift."),
        (LIST, "_id: 4\nmetadata.year: 1958"),
        (HEADING, "5"),
        (PARAGRAPH, "Two."),
    ]
    assert read.metadata["records"] == 2


def test_rst_opens_directives_it_does_not_know_and_runs_nothing(tmp_path: Path) -> None:
    source = """Top
===

:Author: Ann

See :func:`run`.

.. versionadded:: 2.0
   New words.

.. note::

   Take care.

.. code-block:: python

   x = 1

.. include:: /etc/passwd

#. one

   * inner
#. two

+---+---+
| a | b |
+===+===+
| 1 | 2 |
+---+---+
"""
    read = read_source("a.rst", source, tmp_path)
    assert blocks_of(read) == [
        (HEADING, "Top"),
        (PARAGRAPH, "See :func:`run`."),
        (PARAGRAPH, "2.0"),
        (PARAGRAPH, "New words."),
        (PARAGRAPH, "Take care."),
        (CODE, "x = 1"),
        (CODE, ".. include:: /etc/passwd"),
        (LIST, "1. one\n  - inner\n2. two"),
        (TABLE, "| a | b |\n| --- | --- |\n| 1 | 2 |"),
    ]
    assert read.metadata["author"] == "Ann"


def test_code_is_cut_at_definitions_under_the_lines_that_open_them(tmp_path: Path) -> None:
    source = '''"""Doc."""

import os

# Opens the valve.
@cached
def open_valve(n):
    a = 1

    return a

class Pump:
    """One."""

    def stop(self):
        pass
'''
    read = read_source("a.py", source, tmp_path)
    assert read.text == source.rstrip()
    assert (read.title, read.metadata["programming_language"]) == ("a.py", "python")
    assert blocks_of(read) == [
        (HEADING, '"""Doc."""'),
        (HEADING, "import os"),
        (HEADING, "# Opens the valve.\n@cached\ndef open_valve(n):"),
        (CODE, "a = 1\n\n    return a"),
        (HEADING, "class Pump:"),
        (CODE, '"""One."""'),
        (HEADING, "def stop(self):"),
        (CODE, "pass"),
    ]
    assert [block.level for block in read.blocks if block.kind is HEADING] == [1, 1, 1, 1, 2]
