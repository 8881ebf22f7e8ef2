"""What a file must prove before a parser sees it: its first bytes, its archive's sizes, its XML's innocence.

Not a sandbox: what gets past these checks still runs in a child that can be killed. Office files and EPUB are zip
archives of XML; none of them needs a document type, so one that brings entities is refused instead of expanded.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

from workbench.corpus import cleaning
from workbench.errors import UnreadableDocumentError

MAX_MEMBERS = 20_000  # files in one archive
MAX_UNPACKED_BYTES = 8 * cleaning.MAX_FILE_BYTES
MAX_RATIO = 200  # unpacked to packed size of one member; deflate's own limit is about 1,000
_RATIO_FROM_BYTES = 8 * 2**20  # small members may shrink as they like: an empty sheet does

_BLOCK_BYTES = 2**20
# What zipfile raises for a damaged member, a wrong CRC, a password or a method it does not know.
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError)
_DECLARATIONS = (b"<!DOCTYPE", b"<!ENTITY")
_OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")  # old Office; also the wrapper of a password-protected new one
_PK_MAGIC = b"PK\x03\x04"
_MAGICS = (  # longest story first; what starts like this is no text
    (b"%PDF-", "a PDF"),
    (_PK_MAGIC, "a zip archive or an Office file"),
    (_OLE_MAGIC, "an old Office file"),
    (b"{\\rtf", "an RTF file"),
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a media file"),
    (b"ID3", "an audio file"),
    (b"OggS", "an audio file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3", "an SQLite database"),
)

WAYS_OUT = {  # formats without a reader that people do have: what to do with them
    ".doc": "save it as .docx",
    ".ppt": "save it as .pptx",
    ".xls": "save it as .xlsx or .csv",
    ".xlsb": "save it as .xlsx",
    ".odt": "save it as .docx",
    ".ods": "save it as .xlsx",
    ".odp": "save it as .pptx",
    ".rtf": "save it as .docx",
    ".mobi": "convert it to .epub",
    ".azw3": "convert it to .epub",
    ".djvu": "convert it to .pdf with a text layer",
    ".msg": "save it as .eml",
    ".mbox": "split it into .eml files",
    ".parquet": "export it as .csv or .jsonl",
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"), "unpack it into the folder"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".webp"), "pictures hold no text; OCR it first"),
}


def name_content(data: bytes) -> str | None:
    """Return what `data` is by its first bytes, for people ("a PNG picture"); None: possibly text."""
    return next((name for magic, name in _MAGICS if data.startswith(magic)), None)


def read_text(path: Path, *, declared: str | None = None) -> tuple[str, str]:
    """Return a text file's text and encoding. Raises UnreadableDocumentError: also for a renamed binary."""
    return decode_text_file(cleaning.read_bytes(path), path.name, declared=declared)


def decode_text_file(data: bytes, name: str, *, declared: str | None = None) -> tuple[str, str]:
    """Return the text and encoding of a text file's bytes. Raises UnreadableDocumentError as `read_text`."""
    found = name_content(data)
    if found is not None:
        raise UnreadableDocumentError(f"{name} is {found}, not text; give it its own suffix", "binary")
    return cleaning.decode_text(data, name, declared=declared)


def open_archive(data: bytes, name: str, *, member: str, format_: str) -> zipfile.ZipFile:
    """Return the zip archive `data` with sane sizes, free of XML entities.

    `zipfile` never reads more of a member than its declared size, so sizes that lie are cut off and fail its CRC.

    Args:
        member: the start of a member's name that every file of this format has, such as "word/".
        format_: the format's name in messages, such as "Word file".
    Raises:
        UnreadableDocumentError: "encrypted", "damaged", or "too_large" with both sizes.
    """
    if data.startswith(_OLE_MAGIC):
        message = f"{name} is password-protected or of the old Office format; save it without a password, as its suffix"
        raise UnreadableDocumentError(f"{message} says", "encrypted")
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except _BROKEN as error:
        found = name_content(data)
        why = f"it is {found}" if found and not data.startswith(_PK_MAGIC) else error
        raise UnreadableDocumentError(f"{name} is not a whole {format_}: {why}", "damaged") from error
    entries = archive.infolist()
    _check_sizes(entries, name)
    if not any(entry.filename.startswith(member) for entry in entries):
        message = f"{name} is a zip archive without {member}, so no {format_}; give it its own suffix"
        raise UnreadableDocumentError(message, "damaged")
    return archive


def check_xml(archive: zipfile.ZipFile, name: str) -> None:
    """Raise UnreadableDocumentError where an XML member declares a document type or an entity, or is cut."""
    for entry in archive.infolist():
        if entry.filename.lower().endswith((".xml", ".rels", ".vml")) and _declares(archive, entry, name):
            message = f"{name} declares XML entities in {entry.filename}, which no honest file of its kind does"
            raise UnreadableDocumentError(message, "damaged")


def read_member(archive: zipfile.ZipFile, member: str, name: str) -> bytes:
    """Return one unpacked member. Raises UnreadableDocumentError where it is missing or broken."""
    try:
        return archive.read(member)
    except (KeyError, *_BROKEN) as error:
        raise _broken(member, name, error) from error


def _check_sizes(entries: list[zipfile.ZipInfo], name: str) -> None:
    if len(entries) > MAX_MEMBERS:
        message = f"{name} packs {len(entries):,} files, the limit is {MAX_MEMBERS:,}; split it"
        raise UnreadableDocumentError(message, "too_large")
    if any(entry.flag_bits & 1 for entry in entries):
        raise UnreadableDocumentError(f"{name} is encrypted; save a copy without its password", "encrypted")
    unpacked_bytes = sum(entry.file_size for entry in entries)
    if unpacked_bytes > MAX_UNPACKED_BYTES:
        message = f"{name} unpacks to {unpacked_bytes:,} bytes, the limit is {MAX_UNPACKED_BYTES:,}; split the file"
        raise UnreadableDocumentError(message, "too_large")
    for entry in entries:
        if entry.file_size > max(_RATIO_FROM_BYTES, MAX_RATIO * entry.compress_size):
            message = f"{name} unpacks {entry.filename} from {entry.compress_size:,} to {entry.file_size:,} bytes"
            raise UnreadableDocumentError(f"{message}, more than {MAX_RATIO}-fold: a zip bomb", "too_large")


def _declares(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bool:
    tail = b""
    try:
        with archive.open(entry) as opened:
            while block := opened.read(_BLOCK_BYTES):
                seen = tail + block.replace(b"\0", b"")  # UTF-16 reads the same without its NUL bytes
                if any(declaration in seen for declaration in _DECLARATIONS):
                    return True
                tail = seen[-len(_DECLARATIONS[0]) :]
    except _BROKEN as error:
        raise _broken(entry.filename, name, error) from error
    return False


def _broken(member: str, name: str, error: Exception) -> UnreadableDocumentError:
    return UnreadableDocumentError(f"{name} is damaged: {member}: {error}", "damaged")
