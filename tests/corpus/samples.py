"""One small manual, written in every format a reader exists for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docx
from fpdf import FPDF

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


def write_html(path: Path) -> None:
    rows = "".join(f"<tr><td>{code}</td><td>{meaning}</td></tr>" for code, meaning in ROWS)
    items = "".join(f"<li>{item}</li>" for item in ITEMS)
    path.write_text(
        f"<html><head><title>{TITLE} | Maker</title><style>p {{}}</style></head><body><nav>Home</nav><h1>{TITLE}</h1>"
        f"<p>{OPENING}</p><ul>{items}</ul><h2>{SECTION}</h2><table>{rows}</table><p hidden>secret</p></body></html>",
        encoding="utf-8",
    )


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


WRITERS: dict[str, Callable[[Path], None]] = {
    ".docx": write_docx,
    ".htm": write_html,
    ".html": write_html,
    ".markdown": write_markdown,
    ".md": write_markdown,
    ".pdf": write_pdf,
    ".txt": write_plain,
}
