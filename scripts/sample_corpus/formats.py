"""Write one document as Markdown, text, HTML, PDF or DOCX: from the same lines, the same bytes every time.

Dates inside PDF and DOCX are fixed; what is left to the libraries is how they lay a page out and compress it.
"""

from __future__ import annotations

import html
import io
import re
import textwrap
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NamedTuple

import docx
from fpdf import FPDF

AUTHOR = "Skerrinvale Instruments"
WRITTEN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TEXT_COLUMNS = 80


class Part(NamedTuple):
    """A run of lines of one kind: "heading", "paragraph", "bullets", "steps", "table" or "code"."""

    kind: str
    lines: list[str]  # marks taken off; of a table: the rows as written, without the rule


def parse_parts(lines: Sequence[str]) -> list[Part]:
    """Group a document's Markdown lines into parts. Every paragraph, item and row is one line."""
    parts = []
    for kind, group in groupby(_with_kinds(lines), key=lambda pair: pair[0]):
        texts = [text for _, text in group]
        if kind in ("heading", "paragraph"):
            parts += [Part(kind, [text]) for text in texts]
        elif kind:
            parts.append(Part(kind, texts))
    return parts


def split_row(row: str) -> list[str]:
    """Return the cells of a table row."""
    return [cell.strip() for cell in row.strip("|").split("|")]


def write_markdown(title: str, lines: Sequence[str]) -> bytes:
    """The lines as they are, below their title."""
    return ("\n".join([f"# {title}", *lines]).rstrip() + "\n").encode()


def write_text(title: str, lines: Sequence[str]) -> bytes:
    """Wrapped text; headings underlined, tables in columns."""
    blocks = [f"{title}\n{'=' * len(title)}"]
    for kind, texts in parse_parts(lines):
        match kind:
            case "heading":
                blocks.append(f"{texts[0]}\n{'-' * len(texts[0])}")
            case "paragraph":
                blocks.append(_wrap(texts[0], "", ""))
            case "bullets":
                blocks.append("\n".join(_wrap(text, "- ", "  ") for text in texts))
            case "steps":
                blocks.append("\n".join(_wrap(text, f"{n}. ", "   ") for n, text in enumerate(texts, 1)))
            case "table":
                rows = [split_row(row) for row in texts]
                widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
                cells = [[c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in rows]
                blocks.append("\n".join("   ".join(row).rstrip() for row in cells))
            case _:
                blocks.append("\n".join(f"    {text}" for text in texts))
    return ("\n\n".join(blocks) + "\n").encode()


def write_html(title: str, lines: Sequence[str]) -> bytes:
    """A plain page, with the navigation and the footer that a reader has to leave out."""
    body = [f"<h1>{html.escape(title, quote=False)}</h1>"]
    for kind, texts in parse_parts(lines):
        safe = [html.escape(text, quote=False) for text in texts]
        match kind:
            case "heading":
                body.append(f"<h2>{safe[0]}</h2>")
            case "paragraph":
                body.append(f"<p>{safe[0]}</p>")
            case "bullets" | "steps":
                tag = "ul" if kind == "bullets" else "ol"
                body += [f"<{tag}>", *(f"<li>{text}</li>" for text in safe), f"</{tag}>"]
            case "table":
                rows = [split_row(row) for row in safe]
                body += ["<table>", _html_row(rows[0], "th"), *(_html_row(row, "td") for row in rows[1:]), "</table>"]
            case _:
                body.append("<pre>" + "\n".join(safe) + "</pre>")
    head = f'<meta charset="utf-8">\n<title>{html.escape(title, quote=False)}</title>'
    nav = '<nav><a href="index.html">All documents</a></nav>'
    page = "\n".join([nav, "<main>", *body, "</main>", f"<footer>{AUTHOR}, Orrinmouth</footer>"])
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{page}\n</body>\n</html>\n'.encode()


def write_pdf(title: str, lines: Sequence[str]) -> bytes:
    """A4 pages with bookmarks, in a built-in font (so Latin-1 only)."""
    pdf = FPDF()
    pdf.set_compression(False)  # so that the bytes do not depend on the zlib of the machine
    pdf.set_creation_date(WRITTEN)
    pdf.set_producer(AUTHOR)
    pdf.set_title(title)
    pdf.set_margin(22)
    pdf.add_page()
    _pdf_line(pdf, title, size=17, style="B", level=0)
    for kind, texts in parse_parts(lines):
        match kind:
            case "heading":
                _pdf_line(pdf, texts[0], size=13, style="B", level=1)
            case "table":
                pdf.set_font("Helvetica", size=10)
                with pdf.table([split_row(row) for row in texts], text_align="LEFT", line_height=6):
                    pass
                pdf.ln(4)
            case "bullets" | "steps":
                for number, text in enumerate(texts, 1):
                    _pdf_line(pdf, f"{number}. {text}" if kind == "steps" else f"- {text}", size=10.5)
            case _:
                for text in texts:
                    _pdf_line(pdf, text, size=10.5)
    return bytes(pdf.output())


def write_docx(title: str, lines: Sequence[str]) -> bytes:
    """Paragraphs in Word's own styles; the archive is packed again with fixed times."""
    document = docx.Document()
    properties = document.core_properties
    properties.title, properties.author, properties.revision = title, AUTHOR, 1
    properties.created = properties.modified = WRITTEN.replace(tzinfo=None)
    document.add_heading(title, level=1)
    for kind, texts in parse_parts(lines):
        match kind:
            case "heading":
                document.add_heading(texts[0], level=2)
            case "table":
                _docx_table(document, [split_row(row) for row in texts])
            case _:
                style = {"bullets": "List Bullet", "steps": "List Number"}.get(kind)
                for text in texts:
                    document.add_paragraph(text, style=style)
    raw = io.BytesIO()
    document.save(raw)
    return _repack(raw)


WRITERS: dict[str, Callable[[str, Sequence[str]], bytes]] = {
    ".md": write_markdown,
    ".txt": write_text,
    ".html": write_html,
    ".pdf": write_pdf,
    ".docx": write_docx,
}


def _with_kinds(lines: Sequence[str]) -> list[tuple[str, str]]:
    pairs, in_code = [], False
    for line in lines:
        if line == "```":
            in_code = not in_code
            pairs.append(("", ""))
        elif in_code:
            pairs.append(("code", line))
        elif line.startswith("## "):
            pairs.append(("heading", line[3:]))
        elif line.startswith("- "):
            pairs.append(("bullets", line[2:]))
        elif step := re.match(r"\d+\. ", line):
            pairs.append(("steps", line[step.end() :]))
        elif line.startswith("|"):
            pairs += [("table", line)] * (not line.startswith("|---"))
        else:
            pairs.append(("paragraph" if line else "", line))
    return pairs


def _wrap(text: str, first: str, rest: str) -> str:
    # A part number broken after its hyphen would be glued together by readers that undo hyphenation.
    return textwrap.fill(text, TEXT_COLUMNS, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _html_row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _pdf_line(pdf: FPDF, text: str, *, size: float, style: str = "", level: int | None = None) -> None:
    pdf.set_font("Helvetica", style=style, size=size)
    if level is not None:
        pdf.ln(2)
        pdf.start_section(text, level=level)
    pdf.multi_cell(0, h=size * 0.5, text=text, align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(2.5)


def _docx_table(document: Any, rows: Sequence[Sequence[str]]) -> None:
    table = document.add_table(rows=0, cols=len(rows[0]), style="Table Grid")
    for row in rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text


def _repack(raw: io.BytesIO) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)
    return packed.getvalue()
