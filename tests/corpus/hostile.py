"""Files that want to hurt: bombs, lies, cut ends, wrong names. Each is bytes made here, by name; nothing is stored.

`HOSTILE` ends well in any process; `KILLERS` may take gigabytes or minutes and are only for a confined child.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from fpdf import FPDF

from tests.corpus import samples

Made = Callable[[], bytes]
OLE = bytes.fromhex("d0cf11e0a1b11ae1")
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)
BOMB_XML = f'<?xml version="1.0"?>{LAUGHS}]><x>&j;</x>'
THEFT_XML = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
MEMBERS = {".docx": "word/document.xml", ".pptx": "ppt/presentation.xml", ".xlsx": "xl/workbook.xml"}


def sample(suffix: str) -> bytes:
    """Return the bytes of the sample manual in one format."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"manual{suffix}"
        samples.WRITERS[suffix](path)
        return path.read_bytes()


def cut(suffix: str, quarters: int) -> bytes:
    """Return the first `quarters` quarters of a sample."""
    whole = sample(suffix)
    return whole[: len(whole) * quarters // 4]


def pack(members: Mapping[str, bytes | str], *, compress: bool = True) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def swap(suffix: str, member: str, content: bytes | str) -> bytes:
    """Return a sample with one member of its archive replaced or added."""
    with zipfile.ZipFile(io.BytesIO(sample(suffix))) as archive:
        members: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    return pack(members | {member: content})


def zip_bomb(suffix: str) -> bytes:
    """Return an archive that unpacks a thousandfold."""
    return swap(suffix, f"{MEMBERS.get(suffix, 'OEBPS/text').split('/')[0]}/media.bin", bytes(20 * 2**20))


def lying_sizes(suffix: str) -> bytes:
    """Return an archive whose directory says a tenth of each member's true size."""
    data = bytearray(sample(suffix))
    place = data.find(b"PK\x01\x02")
    while place >= 0:
        (size,) = struct.unpack_from("<I", data, place + 24)
        struct.pack_into("<I", data, place + 24, size // 10)
        place = data.find(b"PK\x01\x02", place + 4)
    return bytes(data)


def wrong_sum(suffix: str) -> bytes:
    """Return an archive in whose members single bytes were changed."""
    data = bytearray(sample(suffix))
    for place in range(200, len(data) // 2, 97):
        data[place] ^= 0x55
    return bytes(data)


def encrypted_member() -> bytes:
    """Return a workbook whose members say that they are encrypted."""
    data = bytearray(sample(".xlsx"))
    for magic, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        place = data.find(magic)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(magic, place + 4)
    return bytes(data)


def sheet(rows: str, *, dimension: str = "A1") -> bytes:
    """Return a workbook whose first sheet has these rows in XML."""
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    xml = f'<worksheet xmlns="{namespace}"><dimension ref="{dimension}"/><sheetData>{rows}</sheetData></worksheet>'
    return swap(".xlsx", "xl/worksheets/sheet1.xml", xml)


def many_members() -> bytes:
    """Return a Word file with 30,000 empty members."""
    return pack({"word/document.xml": "<x/>"} | {f"word/{n}": "" for n in range(30_000)}, compress=False)


def locked_pdf() -> bytes:
    """Return a PDF that asks for a password."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_encryption(owner_password="owner", user_password="user")
    return bytes(pdf.output())


def page_loop() -> bytes:
    """Return a PDF whose page tree is its own child, and claims two thousand million pages."""
    objects = (
        b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[2 0 R 2 0 R 2 0 R]/Count 2000000000>>endobj\n"
    )
    return b"%PDF-1.7\n" + objects + b"trailer<</Root 1 0 R/Size 3>>\n%%EOF"


def stream_bomb(n_bytes: int) -> bytes:
    """Return a PDF whose page content unpacks to `n_bytes` of drawing."""
    packed = zlib.compress(b"0 0 m " * (n_bytes // 6), 9)
    parts = [
        b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n",
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n",
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n",
        b"4 0 obj<</Length %d/Filter/FlateDecode>>stream\n%b\nendstream endobj\n" % (len(packed), packed),
    ]
    return b"%PDF-1.7\n" + b"".join(parts) + b"trailer<</Root 1 0 R/Size 5>>\n%%EOF"


def nested_mail(depth: int) -> bytes:
    """Return a mail of multiparts inside each other."""
    opened = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(depth))
    return f"From: a@example.org\nSubject: deep\n{opened}Content-Type: text/plain\n\nbottom\n".encode()


def with_package(old: str, new: str) -> bytes:
    """Return a book whose package names another chapter than it holds."""
    return swap(".epub", "OEBPS/book.opf", samples.PACKAGE.replace(old, new))


def alias_bomb() -> bytes:
    """Return Markdown whose front matter grows tenfold with each line, were it written out."""
    lines = [f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(20)]
    return f"---\na: &a [x, x]\n{''.join(lines)}---\nwords\n".encode()


HOSTILE: dict[str, tuple[Made, str]] = {  # file name → its bytes, and the failure's kind; "" where it may be read
    **{
        f"cut-{n}{suffix}": (lambda suffix=suffix, n=n: cut(suffix, n), kind)  # type: ignore[misc]
        for suffix, kind in ((".docx", "damaged"), (".pptx", "damaged"), (".xlsx", "damaged"), (".epub", "damaged"),
                             (".pdf", "damaged"), (".eml", ""), (".html", ""), (".json", "damaged"))
        for n in (1, 2, 3)
    },
    **{f"bomb{suffix}": (lambda suffix=suffix: zip_bomb(suffix), "too_large")  # type: ignore[misc]
       for suffix in (".docx", ".pptx", ".xlsx", ".epub")},
    **{f"laughs{suffix}": (lambda suffix=suffix, member=member: swap(suffix, member, BOMB_XML), "damaged")  # type: ignore[misc]
       for suffix, member in (MEMBERS | {".epub": "OEBPS/book.opf"}).items()},
    **{f"theft{suffix}": (lambda suffix=suffix, member=member: swap(suffix, member, THEFT_XML), "damaged")  # type: ignore[misc]
       for suffix, member in (MEMBERS | {".epub": "META-INF/container.xml"}).items()},
    "laughs-utf16.docx": (lambda: swap(".docx", "word/document.xml", BOMB_XML.encode("utf-16")), "damaged"),
    **{f"lying{suffix}": (lambda suffix=suffix: lying_sizes(suffix), "damaged")  # type: ignore[misc]
       for suffix in (".docx", ".pptx", ".xlsx", ".epub")},
    **{f"flipped{suffix}": (lambda suffix=suffix: wrong_sum(suffix), "damaged")  # type: ignore[misc]
       for suffix in (".docx", ".pptx", ".xlsx", ".epub")},
    "many-members.docx": (many_members, "too_large"),
    "locked.docx": (lambda: OLE + bytes(600), "encrypted"),
    "locked.xlsx": (lambda: OLE + bytes(600), "encrypted"),
    "locked-members.xlsx": (encrypted_member, "encrypted"),
    "locked.pdf": (locked_pdf, "encrypted"),
    "rights.epub": (lambda: swap(".epub", "META-INF/rights.xml", "<x/>"), "encrypted"),
    "chapter-gone.epub": (lambda: with_package("one%20", "gone"), "damaged"),
    "climbing.epub": (lambda: with_package("text/", "../../../etc/"), "damaged"),
    "word.xlsx": (lambda: sample(".docx"), "damaged"),
    "sheet.pptx": (lambda: sample(".xlsx"), "damaged"),
    "book.docx": (lambda: sample(".epub"), "damaged"),
    "page.pdf": (lambda: sample(".html"), "damaged"),
    "page.docx": (lambda: sample(".html"), "damaged"),
    "manual.txt": (lambda: sample(".pdf"), "binary"),
    "manual.md": (lambda: sample(".docx"), "binary"),
    "sheet.csv": (lambda: sample(".xlsx"), "binary"),
    "picture.txt": (lambda: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
    "picture.eml": (lambda: b"\xff\xd8\xff\xe0\0\x10JFIF", "binary"),
    "letter.txt": (lambda: b"{\\rtf1\\ansi hello}", "binary"),
    "nul.csv": (lambda: b"a,b\n\0,1\n", "binary"),
    "nul.py": (lambda: b"print('\0')\n", "binary"),
    "controls.txt": (lambda: bytes(range(1, 9)) * 50, "binary"),
    "program.json": (lambda: b"\x7fELF" + bytes(90), "binary"),
    "page-loop.pdf": (page_loop, "damaged"),
    "stream-bomb.pdf": (lambda: stream_bomb(60_000), "no_text"),
    "no-pages.pdf": (lambda: b"%PDF-1.4\ntrailer<</Root 1 0 R>>\n%%EOF", "damaged"),
    "deep.html": (lambda: b"<div>" * 20_000 + b"bottom", ""),
    "deep-lists.html": (lambda: b"<ul><li>x" * 5_000, ""),
    "deep-quotes.md": (lambda: b"> " * 3_000 + b"bottom", ""),
    "deep-lists.md": (lambda: b"".join(b"  " * n + b"- x\n" for n in range(300)), ""),
    "deep.json": (lambda: b"[" * 100_000 + b"]" * 100_000, "damaged"),
    "deep-300.json": (lambda: b"[" * 300 + b"1" + b"]" * 300, "damaged"),
    "deep.rst": (lambda: "".join("  " * n + "x\n\n" for n in range(300)).encode(), ""),
    "deep.eml": (lambda: nested_mail(3_000), ""),
    "many-parts.eml": (lambda: nested_mail(1) + b"--b0\n\nx\n" * 2_000, "too_large"),
    "charset.eml": (lambda: b"Subject: x\nContent-Type: text/plain; charset=zip\n\nwords\n", ""),
    "no-mail.eml": (lambda: b"just words, and no header\n", "damaged"),
    "twice.json": (lambda: b'{"a": 1, "a": 2}', "damaged"),
    "huge-number.json": (lambda: b'{"a": ' + b"9" * 10_000 + b"}", "damaged"),
    "broken-line.jsonl": (lambda: b'{"a": 1}\n{"a": \n', "damaged"),
    "endless-line.txt": (lambda: b"word" * 500_000, ""),
    "endless-line.md": (lambda: b"*_[`" * 100_000, ""),
    "endless-cell.csv": (lambda: b'a,b\n"' + b"x" * 300_000, "damaged"),
    "wide.csv": (lambda: b"x," * 100_000 + b"\n" + b"1,2\n" * 100, "too_large"),
    "lying-dimension.xlsx": (lambda: sheet('<row r="1"><c r="A1"><v>7</v></c></row>', dimension="A1:XFD1048576"), ""),
    "row-too-far.xlsx": (lambda: sheet('<row r="99999999999"><c r="A99999999999"><v>7</v></c></row>'), "too_large"),
    "merged-all.xlsx": (lambda: swap(".xlsx", "xl/worksheets/sheet1.xml",
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData/>'
        '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells></worksheet>'), "too_large"),
    "include.rst": (lambda: b".. include:: /etc/passwd\n\n.. raw:: html\n   :file: /etc/passwd\n\nwords\n", ""),
    "aliases.md": (alias_bomb, ""),
    "no-yaml.md": (lambda: b"---\nreaders: [ann\n---\nsecret words\n", "permissions"),
    "long-front.md": (lambda: b"---\na: " + b"x" * 100_000 + b"\n---\nwords\n", "too_large"),
}  # fmt: skip

KILLERS: dict[str, Made] = {  # for a confined child alone: each may end in a kill, none may end the batch
    "column-too-far.xlsx": lambda: sheet('<row r="1"><c r="ZZZZZZZZZ1"><v>7</v></c></row>'),
    "stream-bomb.pdf": lambda: stream_bomb(900_000_000),
    "deep.json": lambda: json.dumps("x").join(["[" * 30_000_000, ""]).encode(),
    "deep.html": lambda: b"<div>" * 2_000_000 + b"bottom",
    "wide-rows.csv": lambda: b",".join([b"x"] * 1_900_000) + b"\n",
    "quotes.rst": lambda: b"*a " * 400_000,
    "tags.html": lambda: b"<table><tr><td>" * 400_000,
}
