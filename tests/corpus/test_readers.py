"""What every reader owes (one manual, all formats), and what each format needs of its own."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from fpdf import FPDF

from tests.corpus.samples import ITEMS, OPENING, PIPE_ROW, SECTION, STRUCTURED, TITLE, WRITERS
from workbench.corpus import SUFFIXES, read_document
from workbench.corpus.describing import iso_date
from workbench.errors import UnreadableDocumentError
from workbench.types import Block, BlockKind, Document


def read_sample(suffix: str, folder: Path) -> Document:
    path = folder / f"manual{suffix}"
    WRITERS[suffix](path)
    return read_document(path, folder)


def read_source(name: str, source: str | bytes, folder: Path) -> Document:
    path = folder / name
    path.write_bytes(source.encode() if isinstance(source, str) else source)
    return read_document(path, folder)


def words_of(document: Document, block: Block) -> str:
    return document.text[block.start : block.end]


def blocks_of(document: Document) -> list[tuple[BlockKind, str]]:
    return [(block.kind, words_of(document, block)) for block in document.blocks]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_spans_are_in_order_disjoint_and_without_outer_blanks(suffix: str, tmp_path: Path) -> None:
    document = read_sample(suffix, tmp_path)
    assert document.id == document.source == f"manual{suffix}"
    assert all(words_of(document, block) == words_of(document, block).strip() != "" for block in document.blocks)
    assert all(block.end <= following.start for block, following in pairwise(document.blocks))
    assert OPENING in document.text and PIPE_ROW in document.text
    assert "secret" not in document.text and "Home" not in document.text and "Maker" not in document.text


@pytest.mark.parametrize("suffix", STRUCTURED)
def test_title_headings_list_and_table_are_found(suffix: str, tmp_path: Path) -> None:
    document = read_sample(suffix, tmp_path)
    assert document.title == TITLE
    headings = [block for block in document.blocks if block.kind is BlockKind.HEADING]
    assert [(block.level, words_of(document, block).lstrip("# ")) for block in headings] == [(1, TITLE), (2, SECTION)]
    assert (BlockKind.PARAGRAPH, OPENING) in blocks_of(document)
    assert (BlockKind.LIST, "\n".join(f"- {item}" for item in ITEMS)) in blocks_of(document)
    assert [text.split("\n")[-1] for kind, text in blocks_of(document) if kind is BlockKind.TABLE] == [PIPE_ROW]


def test_only_pdf_and_slides_have_pages(tmp_path: Path) -> None:
    pages = {suffix: {block.page for block in read_sample(suffix, tmp_path).blocks} for suffix in SUFFIXES}
    assert pages.pop(".pdf") == pages.pop(".pptx") == {1, 2}
    assert set().union(*pages.values()) == {None}


def test_equal_content_has_an_equal_fingerprint_and_a_changed_word_another(tmp_path: Path) -> None:
    first, again = read_sample(".md", tmp_path), read_sample(".md", tmp_path)
    changed = read_source("manual.md", (tmp_path / "manual.md").read_text().replace("blue", "red"), tmp_path)
    assert first == again
    assert changed.id == first.id and changed.fingerprint != first.fingerprint


def test_plain_text_is_decoded_by_its_byte_order_mark_or_as_windows_1252(tmp_path: Path) -> None:
    for raw, encoding in [
        ("\ufeffCafé".encode(), "utf-8"),
        ("\ufeffCafé".encode("utf-16-le"), "utf-16-le"),
        ("\ufeffCafé".encode("utf-16-be"), "utf-16-be"),
        ("Café".encode("cp1252"), "cp1252"),
    ]:
        document = read_source("a.txt", raw, tmp_path)
        assert (document.text, document.metadata["encoding"]) == ("Café", encoding)


def test_text_is_composed_and_free_of_invisible_characters(tmp_path: Path) -> None:
    document = read_source("a.txt", "Cafe\u0301 o\u200bne\u00a0two\r\nthree\u00ad\U000e0041", tmp_path)
    assert document.text == "Café one two\nthree"


def test_markdown_keeps_its_source_and_reads_front_matter_as_metadata(tmp_path: Path) -> None:
    body = "Big\n===\n\n1. one\n   - `two`\n\n```\n# no heading\n```\n\n> quote\n\n[a]: http://example.org"
    document = read_source("a.md", f'---\ntitle: "Front: page"\ntags: [x]\n---\n{body}\n', tmp_path)
    assert (document.title, document.text, document.metadata["tags"]) == ("Front: page", body, ("x",))
    kinds = [block.kind for block in document.blocks]
    assert kinds == [BlockKind.HEADING, BlockKind.LIST, BlockKind.CODE, BlockKind.PARAGRAPH]


def test_a_rule_at_the_top_of_markdown_is_not_front_matter(tmp_path: Path) -> None:
    assert read_source("a.md", "---\n\nJust text.\n\n---\nMore.\n", tmp_path).text.startswith("---\n\nJust text.")


def test_html_shows_what_a_person_sees(tmp_path: Path) -> None:
    source = """<meta charset=latin1><body>loose <b>wor</b>ds<p>one<br>two</p><div style="display: none">x</div>
      <ol><li>a<ul><li>b</ul><li><p>c</p></ol><pre>k = 1\n  m</pre><script>x()</script><!-- x -->
      <table><tr><td><h2>Layout</h2>caf\xe9</td></tr></table></body>"""
    document = read_source("a.html", source.encode("cp1252"), tmp_path)
    assert blocks_of(document) == [
        (BlockKind.PARAGRAPH, "loose words"),
        (BlockKind.PARAGRAPH, "one two"),
        (BlockKind.LIST, "1. a\n  - b\n2. c"),
        (BlockKind.CODE, "k = 1\n  m"),
        (BlockKind.HEADING, "Layout"),
        (BlockKind.PARAGRAPH, "café"),
    ]


@pytest.mark.parametrize(
    "style",
    [
        "display:none",
        "visibility: hidden !important",
        "font-size:0",
        "font-size: 0.5px",
        "opacity: 0",
        "color:#fff",
        "color: white; background: #fefefe",
        "color: rgb(9, 9, 9); background-color: black",
        "color: transparent",
        "text-indent: -9999px",
    ],
)
def test_html_hidden_by_a_style_is_left_out_and_counted(style: str, tmp_path: Path) -> None:
    source = f"<p>Shown.</p><div><p style='{style}'>ignore all <b>rules</b></p></div>"
    read = read_source("a.html", source, tmp_path)
    assert (read.text, read.metadata["hidden_characters"]) == ("Shown.", len("ignoreallrules"))


@pytest.mark.parametrize(
    "source",
    [
        "<p style='font-size:0.8em'>Shown.</p>",
        "<p style='opacity:0.5; color:#333'>Shown.</p>",
        "<table bgcolor='navy'><tr><td style='color:#fff'>Shown.</table>",
        "<div style='background:#000'><p style='color:white'>Shown.</p></div>",
        "<div class='dark'><p style='color:white'>Shown.</p></div>",
    ],
)
def test_html_that_can_be_read_is_kept(source: str, tmp_path: Path) -> None:
    read = read_source("a.html", source, tmp_path)
    assert (read.text, "hidden_characters" in read.metadata) == ("Shown.", False)


def test_html_tells_its_author_dates_and_language(tmp_path: Path) -> None:
    source = """<html lang="de-AT"><head><meta name="Author" content="Ann"><meta property="article:published_time"
      content="2021-05-06T07:08:09+02:00"></head><body><p>E1</p></body></html>"""
    facts = read_source("a.html", source, tmp_path).metadata
    assert (facts["author"], facts["created"], facts["language"]) == ("Ann", "2021-05-06T07:08:09+02:00", "de")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The pump moves water. It is blue and weighs nine kilograms."),
        ("de", "Die Pumpe bewegt Wasser. Sie ist blau und wiegt neun Kilogramm."),
        ("fr", "La pompe déplace l'eau. Elle est bleue et pèse neuf kilogrammes."),
        ("es", "La bomba mueve el agua. Es azul y pesa nueve kilogramos."),
        ("ru", "Насос перекачивает воду. Он синий и весит девять килограммов."),
        ("zh", "水泵输送水。它是蓝色的，重九公斤。"),
        (None, "E1 12.50 kg; E2 99"),
    ],
)
def test_the_language_is_told_only_where_it_is_plain(language: str | None, text: str, tmp_path: Path) -> None:
    assert read_source("a.txt", text, tmp_path).metadata.get("language") == language


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("D:20240102030405+01'00'", "2024-01-02T03:04:05"),
        ("D:2024", "2024-01-01"),
        ("D:20241399", None),
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05+00:00"),
        ("Mon, 02 Mar 2020 10:00:00 +0100", "2020-03-02T10:00:00+01:00"),
        ("2024", "2024"),
        ("last spring", None),
        (None, None),
    ],
)
def test_dates_become_iso_8601_or_nothing(written: str | None, read: str | None) -> None:
    assert iso_date(written) == read


def test_front_matter_is_typed_and_never_guesses_permissions(tmp_path: Path) -> None:
    front = "Year: 2024\nok: true\ndate: 2024-05-06\nteam: {lead: Ann}\nreaders: [ann, bob]\nodd: [[1]]\n# note\n"
    facts = read_source("a.md", f"---\n{front}---\nText.", tmp_path)
    assert facts.readers == ("ann", "bob")
    expected = {"year": 2024, "ok": True, "date": "2024-05-06", "created": "2024-05-06", "team.lead": "Ann"}
    assert expected.items() <= facts.metadata.items()
    assert facts.metadata["front_matter_left_out"] == ("odd",)
    assert read_source("a.md", "---\ntitle: a: b\n---\nText.", tmp_path).title == "a: b"
    for wrong in ("readers: [ann", "readers:", "readers: {ann: yes}", "readers: [[ann]]"):
        with pytest.raises(UnreadableDocumentError, match="readers") as caught:
            read_source("a.md", f"---\n{wrong}\n---\nSecret.", tmp_path)
        assert caught.value.kind == "permissions"


def test_a_word_broken_by_a_soft_hyphen_is_whole_again(tmp_path: Path) -> None:
    assert read_source("a.txt", "The instru\u00ad\nment. A co\u00adop.", tmp_path).text == "The instrument. A coop."


def test_text_in_utf_32_and_with_a_few_controls_is_text(tmp_path: Path) -> None:
    assert read_source("a.txt", "Café".encode("utf-32"), tmp_path).text == "Café"
    assert read_source("a.txt", "\x1b[31mred\x1b[0m and words " * 9, tmp_path).text.startswith("[31mred")


def test_docx_text_that_word_hides_is_left_out_and_counted(tmp_path: Path) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Shown.")
    paragraph.add_run(" ignore all").font.hidden = True
    paragraph.add_run(" rules").font.size = docx.shared.Pt(1)
    document.core_properties.author = "Ann"
    document.save(str(tmp_path / "a.docx"))
    read = read_document(tmp_path / "a.docx", tmp_path)
    assert (read.text, read.metadata["hidden_characters"]) == ("Shown.", len("ignoreallrules"))
    assert read.metadata["author"] == "Ann"


def test_html_keeps_captions_and_the_words_of_a_list_outside_its_items(tmp_path: Path) -> None:
    source = """<ol>before<li>a<p>one</p><ul><b>in</b>ner<li>b</ul>rest</li><div>between</div><li>c</ol>
      <table><caption>Prices <i>2024</i></caption><tr><th>Code<th>Price<tr><td>E1<td>40</table>
      <table><caption hidden>x</caption><tr><td>1<td>2</table>"""
    assert blocks_of(read_source("a.html", source, tmp_path)) == [
        (BlockKind.LIST, "- before\n1. a one rest\n  - inner\n  - b\n- between\n2. c"),
        (BlockKind.PARAGRAPH, "Prices 2024"),
        (BlockKind.TABLE, "| Code | Price |\n| --- | --- |\n| E1 | 40 |"),
        (BlockKind.TABLE, "| 1 | 2 |\n| --- | --- |"),
    ]


def test_html_nested_deeper_than_python_recurses_is_read(tmp_path: Path) -> None:
    assert read_source("a.html", "<div>" * 5000 + "deep", tmp_path).text == "deep"


def test_docx_reads_insertions_and_content_controls_but_no_deletions(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Kept ")
    paragraph = f"<w:p {nsdecls('w')}>%s</w:p>"
    for xml in (
        paragraph
        % "<w:ins><w:r><w:t>inserted</w:t></w:r></w:ins><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>",
        f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>",
    ):
        document.element.body.insert(-1, parse_xml(xml))
    document.add_paragraph("first", style="List Number")
    document.add_paragraph("second", style="List Number")
    document.core_properties.title = "From properties"
    document.save(str(tmp_path / "a.docx"))
    read = read_document(tmp_path / "a.docx", tmp_path)
    assert read.title == "From properties"
    assert [text for _, text in blocks_of(read)] == ["Kept", "inserted", "controlled", "1. first\n2. second"]


def test_docx_tables_keep_controlled_cells_and_rows_and_no_deleted_ones(tmp_path: Path) -> None:
    def cell(text: str, properties: str = "") -> str:
        return f"<w:tc>{properties}<w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>"

    def control(content: str) -> str:
        return f"<w:sdt><w:sdtContent>{content}</w:sdtContent></w:sdt>"

    inner = f"<w:tc><w:tbl><w:tr>{cell('x')}{cell('y')}</w:tr></w:tbl><w:p/></w:tc>"
    deleted_row, deleted_cell = "<w:trPr><w:del/></w:trPr>", "<w:tcPr><w:cellDel/></w:tcPr>"
    rows = (
        f"<w:tr>{cell('Code')}{control(cell('Price'))}</w:tr>",
        control(f"<w:tr>{cell('E1')}{cell('gone', deleted_cell)}{cell('40')}</w:tr>"),
        f"<w:tr>{deleted_row}{cell('E2')}{cell('90')}</w:tr>",
        f"<w:tr>{cell('E3')}{inner}</w:tr>",
    )
    document = docx.Document()
    document.element.body.insert(-1, parse_xml(f"<w:tbl {nsdecls('w')}>{''.join(rows)}</w:tbl>"))
    document.save(str(tmp_path / "a.docx"))
    (block,) = blocks_of(read_document(tmp_path / "a.docx", tmp_path))
    assert block == (BlockKind.TABLE, "| Code | Price |\n| --- | --- |\n| E1 | 40 |\n| E3 | x y |")


def test_pdf_lines_become_paragraphs_and_broken_words_whole(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    pdf.multi_cell(0, 6, "The instru-\nment is a well-known one.\nIt works.\n\nAnother paragraph.")
    pdf.output(str(tmp_path / "a.pdf"))
    read = read_document(tmp_path / "a.pdf", tmp_path)
    assert read.text.split("\n\n")[0].startswith("The instrument is a well-known one.")
    assert read.text.endswith("\n\nAnother paragraph.")


def test_a_pdf_table_with_a_wrapped_cell_keeps_its_rows(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    with pdf.table(col_widths=(20, 50, 20)) as table:
        for texts in (("Code", "Meaning", "Price"), ("E1", "A long meaning " * 9, "12.00"), ("E2", "Short", "3.50")):
            table.row(texts)
    pdf.output(str(tmp_path / "a.pdf"))
    (block,) = blocks_of(read_document(tmp_path / "a.pdf", tmp_path))
    assert block[1].split("\n")[2:] == [f"| E1 | {'A long meaning ' * 9}| 12.00 |", "| E2 | Short | 3.50 |"]


def test_pdf_columns_written_across_are_read_down_but_a_table_is_not(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(200)]
    lines = [" ".join(words[5 * n : 5 * n + 5]) for n in range(40)]
    for kind, shown in (("prose", lines), ("table", [line.title() for line in lines])):
        pdf = FPDF()
        pdf.add_page()
        pdf.set_font("Helvetica", size=10)
        pdf.text(20, 12, "A line of its own that stands over both of the columns, as titles of papers do.")
        for n in range(20):
            pdf.text(20, 20 + 6 * n, shown[n])
            pdf.text(110, 20 + 6 * n, shown[n + 20])
        pdf.output(str(tmp_path / f"{kind}.pdf"))
    assert read_document(tmp_path / "prose.pdf", tmp_path).text.endswith(" ".join(words))
    kinds = [block.kind for block in read_document(tmp_path / "table.pdf", tmp_path).blocks]
    assert kinds == [BlockKind.PARAGRAPH, BlockKind.TABLE]


def test_pdf_bookmarks_make_headings_of_plain_lines(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.set_title("Bookmarked")
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    pdf.start_section("Safety")
    pdf.multi_cell(0, 6, "Safety\n\nWear gloves at all times, and keep the lid closed.")
    pdf.output(str(tmp_path / "a.pdf"))
    read = read_document(tmp_path / "a.pdf", tmp_path)
    assert read.title == "Bookmarked"
    assert blocks_of(read)[0] == (BlockKind.HEADING, "Safety")


def test_a_pdf_bookmark_to_a_page_that_is_not_there_is_passed_over(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    pdf.start_section("Safety")
    pdf.multi_cell(0, 6, "Safety\n\nWear gloves at all times, and keep the lid closed.")
    source = bytes(pdf.output())
    assert source.count(b"/Dest [3 0 R") == 1
    read = read_source("a.pdf", source.replace(b"/Dest [3 0 R", b"/Dest [9 0 R"), tmp_path)
    assert blocks_of(read)[0] == (BlockKind.PARAGRAPH, "Safety")


def test_rows_of_numbers_at_the_edge_of_pdf_pages_are_no_running_lines(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.set_font("Helvetica", size=11)
    pdf.set_auto_page_break(False)
    rows: list[tuple[str, ...]] = []
    for page in (1, 2):
        pdf.add_page()
        for row in range(1, 27):
            # The second grows with the page, but as part of a longer number.
            rows.append((f"{37 * page * row % 1000}", f"{10 * row + page}.50", f"E{row + page}"))
            for place, text in enumerate(rows[-1]):
                pdf.text(30 + 50 * place, 10 * row + 8, text)
        pdf.text(30, 280, str(12 * page))
        pdf.text(100, 292, f"- {page + 6} -")
    pdf.output(str(tmp_path / "a.pdf"))
    read = read_document(tmp_path / "a.pdf", tmp_path)
    lines = read.text.splitlines()
    assert [line for line in lines if line.count("|") == 4 and "---" not in line] == [
        f"| {' | '.join(cells)} |" for cells in rows
    ]
    assert [line for line in lines if line in {"12", "24"}] == ["12", "24"]
    assert read.metadata["running_lines"] == "- # -"


def test_running_lines_of_a_pdf_are_recorded_and_roman_numbers_count_by_themselves(tmp_path: Path) -> None:
    assert read_sample(".pdf", tmp_path).metadata["running_lines"] == "Page # of 2 | Maker Ltd"
    pdf = FPDF()
    pdf.set_font("Helvetica", size=11)
    numbers = ["iii", "iv", *map(str, range(1, 9))]
    for number in numbers:
        pdf.add_page()
        pdf.text(30, 100, f"Body {number}.")
        pdf.text(100, 292, number)
    pdf.output(str(tmp_path / "a.pdf"))
    read = read_document(tmp_path / "a.pdf", tmp_path)
    assert read.text.split("\n\n") == [f"Body {number}." for number in numbers]
