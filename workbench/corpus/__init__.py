"""Files to documents to chunks: one reader a format, one failure a file, exact character spans.

A new format is one file beside these and one line in `READERS`. Whole folders are parsed in children that can be
killed (`isolation.py`); a document's id is its path below the corpus folder, so the same file keeps its id.
"""

from __future__ import annotations

from pathlib import Path

from workbench.contracts import Reader
from workbench.corpus.chunking import chunk_document, chunk_documents
from workbench.corpus.code import LANGUAGES, read_code
from workbench.corpus.csv import read_csv
from workbench.corpus.docx import read_docx
from workbench.corpus.eml import read_eml
from workbench.corpus.epub import read_epub
from workbench.corpus.facts import (
    FactRule,
    FactRules,
    apply_facts,
    check_facts,
    check_matched,
    match_ids,
    parse_readers,
    read_facts,
)
from workbench.corpus.folder import cutter_version, read_folder, reader_version, scan_folder
from workbench.corpus.html import read_html
from workbench.corpus.isolation import RETRIED_KINDS, WarmParser, read_files
from workbench.corpus.json import read_json, read_jsonl
from workbench.corpus.markdown import read_markdown
from workbench.corpus.pdf import read_pdf
from workbench.corpus.plain import read_plain
from workbench.corpus.pptx import read_pptx
from workbench.corpus.reading import SourceFile, fingerprint_document, printable, read_source, refuse_suffix
from workbench.corpus.rst import read_rst
from workbench.corpus.xlsx import read_xlsx
from workbench.types import Document

__all__ = [
    "READERS",
    "RETRIED_KINDS",
    "SUFFIXES",
    "FactRule",
    "FactRules",
    "SourceFile",
    "WarmParser",
    "apply_facts",
    "check_facts",
    "check_matched",
    "chunk_document",
    "chunk_documents",
    "cutter_version",
    "fingerprint_document",
    "match_ids",
    "parse_readers",
    "read_document",
    "read_facts",
    "read_files",
    "read_folder",
    "reader_version",
    "refuse_suffix",
    "scan_folder",
]

READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".docx": read_docx,
    ".eml": read_eml,
    ".epub": read_epub,
    ".htm": read_html,
    ".html": read_html,
    ".json": read_json,
    ".jsonl": read_jsonl,
    ".markdown": read_markdown,
    ".md": read_markdown,
    ".ndjson": read_jsonl,
    ".pdf": read_pdf,
    ".pptx": read_pptx,
    ".rst": read_rst,
    ".tsv": read_csv,
    ".txt": read_plain,
    ".xhtml": read_html,
    ".xlsx": read_xlsx,
    **dict.fromkeys(LANGUAGES, read_code),
}
SUFFIXES = tuple(READERS)


def read_document(path: Path, root: Path) -> Document:
    """Read one file below `root` in this process: for files that are trusted not to crash it.

    Raises:
        UnreadableDocumentError: and only that; its `kind` is one word, its message one line.
    """
    return read_source(SourceFile(path, root, printable(path.relative_to(root).as_posix())), READERS)
