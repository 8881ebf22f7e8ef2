"""One small manual, written in every format a reader exists for."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
import pptx
from fpdf import FPDF

from workbench.corpus.code import LANGUAGES

TITLE, SECTION = "Pump Manual", "Error codes"
OPENING = "The pump moves water. It is blue and weighs nine kilograms."
ITEMS = ("Open the valve", "Press the button")
ROWS = (("Code", "Meaning"), ("E1", "Dry run"), ("E2", "Motor too hot"))
PIPE_ROW = "| E2 | Motor too hot |"


def write_markdown(path: Path) -> None:
    rows = [f"| {code} | {meaning} |" for code, meaning in ROWS]
    table = "\n".join([rows[0], "| --- | --- |", *rows[1:]])
    items = "\n".join(f"- {item}" for item in ITEMS)
    path.write_text(f"# {TITLE}\n\n{OPENING}\n\n{items}\n\n## {SECTION}\n\n{table}\n", encoding="utf-8")


def write_plain(path: Path) -> None:
    path.write_text(f"{OPENING}\n\n{SECTION}\n\n{PIPE_ROW}\n", encoding="utf-8")


def html_source() -> str:
    rows = "".join(f"<tr><td>{code}</td><td>{meaning}</td></tr>" for code, meaning in ROWS)
    items = "".join(f"<li>{item}</li>" for item in ITEMS)
    return (
        f"<html><head><title>{TITLE} | Maker</title><style>p {{}}</style></head><body><nav>Home</nav><h1>{TITLE}</h1>"
        f"<p>{OPENING}</p><ul>{items}</ul><h2>{SECTION}</h2><table>{rows}</table><p hidden>secret</p></body></html>"
    )


def write_html(path: Path) -> None:
    path.write_text(html_source(), encoding="utf-8")


def write_docx(path: Path) -> None:
    document = docx.Document()
    document.add_heading(TITLE, 0)
    document.add_paragraph(OPENING)
    for item in ITEMS:
        document.add_paragraph(item, style="List Bullet")
    document.add_heading(SECTION, 2)
    table = document.add_table(len(ROWS), 2)
    for row, texts in zip(table.rows, ROWS, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document.save(str(path))


class _Pages(FPDF):
    """Pages with a running header and footer."""

    def header(self) -> None:
        self.set_font("Helvetica", size=8)
        self.cell(0, 8, "Maker Ltd", new_x="LMARGIN", new_y="NEXT")

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Helvetica", size=8)
        self.cell(0, 10, f"Page {self.page_no()} of 2", align="C")


def write_pdf(path: Path) -> None:
    pdf = _Pages()
    pdf.add_page()
    _heading(pdf, TITLE, 20)
    pdf.multi_cell(60, 6, OPENING, new_x="LMARGIN", new_y="NEXT")
    pdf.ln(6)
    for item in ITEMS:
        pdf.multi_cell(0, 6, f"- {item}", new_x="LMARGIN", new_y="NEXT")
    pdf.add_page()
    _heading(pdf, SECTION, 15)
    with pdf.table(col_widths=(30, 30), width=60) as table:
        for texts in ROWS:
            table.row(texts)
    pdf.output(str(path))


def _heading(pdf: FPDF, text: str, size: int) -> None:
    pdf.set_font("Helvetica", "B", size)
    pdf.cell(0, 12, text, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Helvetica", size=11)


def write_pptx(path: Path) -> None:
    deck = pptx.Presentation()
    first, second, third = (deck.slides.add_slide(deck.slide_layouts[layout]) for layout in (1, 5, 5))
    first.shapes.title.text, second.shapes.title.text, third.shapes.title.text = TITLE, SECTION, "secret"
    frame = first.placeholders[1].text_frame
    frame.text = ITEMS[0]
    frame.add_paragraph().text = ITEMS[1]
    first.notes_slide.notes_text_frame.text = OPENING
    table = second.shapes.add_table(len(ROWS), 2, 0, 0, 99999, 99999).table
    for n, texts in enumerate(ROWS):
        for m, text in enumerate(texts):
            table.cell(n, m).text = text
    third.element.set("show", "0")
    deck.save(str(path))


def write_xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = SECTION
    sheet.append([OPENING])
    sheet.append([])
    for texts in ROWS:
        sheet.append(texts)
    unseen = book.create_sheet("Unseen")
    unseen.append(["secret"])
    unseen.sheet_state = "hidden"
    book.properties.title, book.properties.creator = TITLE, "Maker's author"
    book.save(path)


def write_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ";").writerows([[OPENING], [], *ROWS])


def write_json(path: Path) -> None:
    rows = [dict(zip(ROWS[0], texts, strict=True)) for texts in ROWS[1:]]
    path.write_text(json.dumps({"title": TITLE, "summary": OPENING, SECTION: rows}), encoding="utf-8")


def write_jsonl(path: Path) -> None:
    records = [{"_id": "1", "title": TITLE, "text": OPENING}, {"_id": "2", "title": SECTION, "text": PIPE_ROW}]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")


def write_rst(path: Path) -> None:
    line = f"{'=' * 5} {'=' * 20}"
    rows = [f"{code:5} {meaning}" for code, meaning in ROWS]
    table = "\n".join([line, rows[0], line, *rows[1:], line])
    items = "\n".join(f"* {item}" for item in ITEMS)
    title, section = "=" * len(TITLE), "-" * len(SECTION)
    hidden = ".. secret"
    path.write_text(f"{TITLE}\n{title}\n\n{OPENING}\n\n{items}\n\n{hidden}\n\n{SECTION}\n{section}\n\n{table}\n")


def write_eml(path: Path) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = TITLE, "Ann <ann@example.org>", "bob@example.org"
    message["Date"] = "Mon, 02 Mar 2020 10:00:00 +0100"
    message.set_content("This mail is written in HTML; secret.")
    message.add_alternative(html_source(), subtype="html")
    message.add_attachment(b"secret", maintype="application", subtype="octet-stream", filename="plan.bin")
    path.write_bytes(message.as_bytes())


PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title><dc:creator>Ann</dc:creator>
 <dc:language>en-GB</dc:language><dc:date>2020-03-02</dc:date></metadata><manifest>
 <item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
 <item id="c1" href="text/one%20.xhtml" media-type="application/xhtml+xml"/></manifest>
 <spine><itemref idref="n"/><itemref idref="c1"/></spine></package>"""
CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
 <rootfile full-path="OEBPS/book.opf"/></rootfiles></container>"""


def write_epub(path: Path, **members: str) -> None:
    """Write a book; `members` replace or add files, with "/" written as "__" and "." as "_dot_"."""
    contents = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": PACKAGE.format(title=TITLE),
        "OEBPS/nav.xhtml": "<html><body>secret</body></html>",
        "OEBPS/text/one .xhtml": html_source(),
    } | {name.replace("__", "/").replace("_dot_", "."): content for name, content in members.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def write_code(path: Path) -> None:
    path.write_text(f"# {OPENING}\nstart()\n\n# {PIPE_ROW}\nstop()\n", encoding="utf-8")


WRITERS: dict[str, Callable[[Path], None]] = {
    ".csv": write_csv,
    ".docx": write_docx,
    ".eml": write_eml,
    ".epub": write_epub,
    ".htm": write_html,
    ".html": write_html,
    ".json": write_json,
    ".jsonl": write_jsonl,
    ".markdown": write_markdown,
    ".md": write_markdown,
    ".ndjson": write_jsonl,
    ".pdf": write_pdf,
    ".pptx": write_pptx,
    ".rst": write_rst,
    ".tsv": write_csv,
    ".txt": write_plain,
    ".xhtml": write_html,
    ".xlsx": write_xlsx,
    **dict.fromkeys(LANGUAGES, write_code),
}
STRUCTURED = (".docx", ".eml", ".epub", ".html", ".md", ".pdf", ".pptx", ".rst")  # formats that know all of it
