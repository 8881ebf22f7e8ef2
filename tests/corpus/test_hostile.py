"""Each hostile file has one typed outcome: a document, or an `UnreadableDocumentError` of the kind that fits."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.corpus.hostile import HOSTILE
from workbench.corpus import read_document
from workbench.errors import UnreadableDocumentError

_MAX_SECONDS = 20  # each takes well below one, but not on a busy machine


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_has_one_typed_outcome(name: str, tmp_path: Path) -> None:
    make, kind = HOSTILE[name]
    (tmp_path / name).write_bytes(make())
    started = time.perf_counter()
    try:
        document = read_document(tmp_path / name, tmp_path)
    except UnreadableDocumentError as error:
        assert error.kind == kind or not kind
        assert name in str(error)
    else:
        assert not kind
        assert document.text.strip()
        assert "root:" not in document.text
    assert time.perf_counter() - started < _MAX_SECONDS


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 30
