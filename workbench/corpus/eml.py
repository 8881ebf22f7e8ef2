"""E-mail (.eml): subject, who wrote to whom and when, and the body people see; attachments are named, not read.

The HTML body is preferred to the plain one: it is what mail programs show. A plain part that says something else
would be read by nobody but us, unless the HTML shows no words (a picture). Quoted replies stay.
Source: RFC 5322 and MIME, through the standard library.
"""

from __future__ import annotations

from collections.abc import Iterator
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from pathlib import Path

from workbench.corpus.assembly import Piece, assemble, choose_title
from workbench.corpus.cleaning import clean_text, decode_text, read_bytes
from workbench.corpus.describing import describe, invisible_letters, iso_date
from workbench.corpus.guards import name_content
from workbench.corpus.html import read_page
from workbench.corpus.plain import find_paragraphs
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind, Parsed

MAX_PARTS = 1_000
_SHOWN_HEADERS = ("From", "To", "Cc", "Date")


def read_eml(path: Path) -> Parsed:
    """Read one mail. Raises UnreadableDocumentError: no mail, binary, too many parts, nested beyond reason."""
    data = read_bytes(path)
    if found := name_content(data):
        raise UnreadableDocumentError(f"{path.name} is {found}, not a mail; give it its own suffix", "binary")
    try:
        message = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(data)
        return build_parsed(path, message)
    except UnreadableDocumentError:
        raise
    except Exception as error:  # the header parser raises IndexError, AttributeError and more on hostile headers
        message_ = f"{path.name} is not a whole mail: {type(error).__name__}: {error}"
        raise UnreadableDocumentError(message_, "damaged") from error


def build_parsed(path: Path, message: EmailMessage) -> Parsed:
    """Return the mail as a document. Raises UnreadableDocumentError."""
    headers = {name: str(message.get(name, "")).strip() for name in ("Subject", *_SHOWN_HEADERS)}
    if not any(headers.values()):
        raise UnreadableDocumentError(f"{path.name} is no mail: it has no From, To, Date or Subject", "damaged")
    if sum(1 for _ in message.walk()) > MAX_PARTS:
        raise UnreadableDocumentError(f"{path.name} has more than {MAX_PARTS:,} MIME parts", "too_large")
    body, hidden, language = read_body(message, path.name)
    names = [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]
    text, blocks = assemble(find_pieces(headers, body, names))
    metadata = describe(
        text,
        format_="eml",
        author=headers["From"],
        to=headers["To"],
        created=iso_date(headers["Date"]),
        attachments=names,
        language=language,
        hidden=hidden,
    )
    return Parsed(choose_title(path, text, (), (headers["Subject"],)), text, blocks, metadata)


def find_pieces(headers: dict[str, str], body: list[Piece], attachments: list[str]) -> Iterator[Piece]:
    """Yield the subject as a heading, the other headers as one block, the body, the attachments' names."""
    if not any(piece.kind is BlockKind.HEADING and piece.text == headers["Subject"] for piece in body):
        yield Piece(headers["Subject"], BlockKind.HEADING, 1)
    lines = [f"{name}: {headers[name]}" for name in _SHOWN_HEADERS if headers[name]]
    yield Piece("\n".join(lines), BlockKind.LIST)
    yield from body
    if attachments:
        yield Piece("Attachments: " + ", ".join(attachments), BlockKind.PARAGRAPH)


def read_body(message: EmailMessage, name: str) -> tuple[list[Piece], list[str], str | None]:
    """Return the body's blocks, the texts hidden in it, and its declared language; nothing for a mail without one."""
    hidden: list[str] = []
    for subtype in ("html", "plain"):
        part = message.get_body((subtype,))
        if part is not None:
            pieces, unseen, language = read_part(part, name)
            hidden += unseen
            if any(piece.text.strip("|- \n") for piece in pieces):  # a table of pictures has no words either
                return pieces, hidden, language
    return [], hidden, None


def read_part(part: MIMEPart, name: str) -> tuple[list[Piece], list[str], str | None]:
    """Return what `read_body` does, for one of its two forms."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset()
    if part.get_content_subtype() == "html":
        page = read_page(data, name, declared=charset)
        return list(page.pieces), list(page.hidden), page.language
    raw, _ = decode_text(data, name, declared=charset)
    text = clean_text(raw).strip()
    pieces = [Piece(text[block.start : block.end], block.kind) for block in find_paragraphs(text)]
    return pieces, [invisible_letters(raw)], None
