"""Each hostile file has one typed outcome: a document, or an `UnreadableDocumentError` of the kind that fits."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.corpus.hostile import HOSTILE
from workbench.corpus import read_document
from workbench.errors import UnreadableDocumentError

DOCUMENT = "document"
SAID = {  # what a hostile file that is read still says, at its end; it is read as far as it goes
    "cut-1.eml": "Date: Mon, 02 Mar 2020 10:00:00 +0100",
    "cut-2.eml": "This mail is written in HTML; secret.",
    "cut-3.eml": "| E2 | Motor too h |",
    "cut-1.html": "Pump Man",
    "cut-2.html": "- Open the valve",
    "cut-3.html": "| E1 |  |",
    "deep.html": "bottom",
    "deep-lists.html": "- x",
    "deep-quotes.md": "bottom",
    "deep-lists.md": "- x",
    "charset.eml": "words",
    "endless-line.txt": "wordword",
    "endless-line.md": "*_[`*_[`",
    "lying-dimension.xlsx": "7",
    "include.rst": "words",
    "aliases.md": "words",
}
DEEPER_THAN_READ = {"deep.rst": "damaged", "deep.eml": "damaged"}
EXPECTED = {  # file name → DOCUMENT or the failure's kind
    name: kind or DEEPER_THAN_READ.get(name, DOCUMENT) for name, (_, kind) in HOSTILE.items()
}
_MAX_SECONDS = 20  # each takes well below one, but not on a busy machine


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_has_one_typed_outcome(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name][0]())
    started = time.perf_counter()
    try:
        document = read_document(tmp_path / name, tmp_path)
    except UnreadableDocumentError as error:
        assert error.kind == EXPECTED[name]
        assert name in str(error)
    else:
        assert EXPECTED[name] == DOCUMENT
        assert document.text.endswith(SAID[name])
        assert "root:" not in document.text
    assert time.perf_counter() - started < _MAX_SECONDS


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 30
    assert SAID.keys() == {name for name, kind in EXPECTED.items() if kind == DOCUMENT}
