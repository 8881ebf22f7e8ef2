"""From a file's bytes to clean characters: size cap, encoding, line ends, invisible characters, NFC.

Not parsing: a reader cleans first and computes its spans afterwards, so every span is exact in the final text.
Source: Unicode Standard Annex 15 (NFC); WHATWG Encoding Standard (BOM before any label; latin-1 means windows-1252).
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from pathlib import Path

from workbench.config import Limits
from workbench.errors import UnreadableDocumentError

MAX_FILE_BYTES = Limits().input_bytes  # a parsing child sets it to its own limit, once

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LATIN = {"latin-1", "latin1", "iso-8859-1", "ascii", "us-ascii"}  # what web pages call windows-1252
# Soft hyphen, zero-width space, word joiner, BOM, bidi controls, tag characters (used to hide text from people).
# The joiners U+200C and U+200D stay: they are spelling in Persian, in Indic scripts and in emoji.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_SOFT_BREAK = re.compile("\u00ad[ \t]*(?:\r\n?|\n)[ \t]*(?=\\w)")  # a word broken at the end of a line
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # without escape, which logs in colour are full of
_MAX_CONTROL_SHARE = 0.02  # of the characters; beyond it the file is not text
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_BLANK = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00a0\u2007\u202f]")  # controls, no-break spaces


def read_bytes(path: Path) -> bytes:
    """Return the whole file. Raises UnreadableDocumentError: missing, no permission, empty, over MAX_FILE_BYTES."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            message = f"{path.name} has {size_bytes:,} bytes, the limit is {MAX_FILE_BYTES:,} (limits.input_bytes)"
            raise UnreadableDocumentError(f"{message}; split the file", "too_large")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableDocumentError(f"{path.name} cannot be opened: {error.strerror or error}", "missing") from error
    if not data.strip():
        raise UnreadableDocumentError(f"{path.name} is empty ({len(data)} bytes)", "empty")
    return data


def decode_text(data: bytes, name: str, *, declared: str | None = None) -> tuple[str, str]:
    """Return the text and the encoding it was in: by BOM, else as `declared`, else UTF-8, else Windows-1252.

    Raises:
        UnreadableDocumentError: NUL bytes or control characters (a binary file, or UTF-16 without its BOM), or no
            encoding fits.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _check_text(_decode(data[len(bom) :], encoding, name), name), encoding
    if b"\0" in data:
        message = f"{name} holds NUL bytes, so it is not text; if it is UTF-16, save it as UTF-8"
        raise UnreadableDocumentError(message, "binary")
    for candidate in (_known_encoding(declared), "utf-8"):
        try:
            if candidate:
                return _check_text(data.decode(candidate), name), candidate
        except (UnicodeError, LookupError):  # the latter for codecs that are no encodings, such as zip or rot13
            continue
    return _check_text(_decode(data, "cp1252", name), name), "cp1252"


def _check_text(text: str, name: str) -> str:
    n_controls = len(_CONTROLS.findall(text))
    if n_controls > _MAX_CONTROL_SHARE * len(text):
        message = f"{name} holds {n_controls:,} control characters in {len(text):,}, so it is not text"
        raise UnreadableDocumentError(message, "binary")
    return text


def clean_text(text: str) -> str:
    r"""Return NFC text with `\n` line ends, plain spaces for no-break ones, and no invisible or control characters."""
    text = _SOFT_BREAK.sub("", text) if "\u00ad" in text else text
    text = _LINE_END.sub("\n", _INVISIBLE.sub("", text))
    return unicodedata.normalize("NFC", _BLANK.sub(" ", text))


def squeeze_spaces(text: str) -> str:
    """Return `text` on one line, with single spaces and none at its ends."""
    return " ".join(text.split())


def strip_heading_marks(text: str) -> str:
    """Return a heading's words on one line: without Markdown's `#` marks or underline."""
    text = re.sub(r"\n[ \t]*(=+|-+)[ \t]*$", "", text.strip())
    text = re.sub(r"^#{1,6}(?:[ \t]+|$)", "", text)
    return squeeze_spaces(re.sub(r"[ \t]+#+$", "", text))


def _known_encoding(declared: str | None) -> str | None:
    if declared is None:
        return None
    if declared.lower() in _LATIN:
        return "cp1252"
    try:
        return codecs.lookup(declared).name
    except (LookupError, ValueError):  # unknown, or a NUL in the name
        return None


def _decode(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        message = f"{name} is not {encoding}: byte {error.start} is 0x{data[error.start]:02x}; save it as UTF-8"
        raise UnreadableDocumentError(message, "encoding") from error
