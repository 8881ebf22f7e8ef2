"""Documents as they are brought: ids and metadata checked, files parsed apart, and no trace of where they lay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from workbench.arrivals import Arrivals
from workbench.config import Limits
from workbench.errors import DocumentError, UnreadableDocumentError

GAUGE = "# Arvo gauge\n\nThe Arvo gauge is painted teal.\n"


@pytest.fixture(scope="module")
def arrivals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrivals]:
    opened = Arrivals(tmp_path_factory.mktemp("incoming") / "files", Limits())
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("text", "given", "title"),
    [
        (GAUGE, {}, "Arvo gauge"),
        (GAUGE, {"metadata": {"title": "Of the metadata"}}, "Of the metadata"),
        (GAUGE, {"metadata": {"title": "Of the metadata"}, "title": "Given"}, "Given"),
        ("---\ntitle: Of its head\n---\ntext", {}, "Of its head"),
        ("text", {"id_": "its-id"}, "its-id"),
    ],
)
def test_a_title_is_the_best_there_is(arrivals: Arrivals, text: str, given: dict[str, Any], title: str) -> None:
    document = arrivals.read_text(text, **{"metadata": {}, **given})
    assert document.title == title
    again = arrivals.read_text(text, **{"metadata": {}, **given})
    assert document == again
    assert document.fingerprint != arrivals.read_text(text, id_="x", title="Another", metadata={}).fingerprint


@pytest.mark.parametrize(
    ("said", "brought", "readers"),
    [
        (None, None, None),
        ("[hr]", None, ("hr",)),
        (None, ["legal", "hr"], ("hr", "legal")),
        ("[hr]", ["legal"], ("legal",)),
        ("[hr]", "*", None),  # who brings it has the last word, as a rule has over a file
    ],
)
def test_permissions_come_from_the_metadata_else_from_the_head(
    arrivals: Arrivals, said: str | None, brought: object, readers: tuple[str, ...] | None
) -> None:
    text = GAUGE if said is None else f"---\nreaders: {said}\n---\n{GAUGE}"
    metadata = {} if brought is None else {"Readers": brought}
    document = arrivals.read_text(text, metadata=metadata)
    assert document.readers == readers
    assert "readers" not in map(str.lower, document.metadata)


def test_a_text_whose_head_does_not_say_its_readers_so_that_they_are_understood_is_refused(arrivals: Arrivals) -> None:
    with pytest.raises(UnreadableDocumentError) as caught:
        arrivals.read_text("---\nreaders: {a: [\n---\ntext", metadata={})
    assert caught.value.kind == "permissions"


def test_threads_get_each_their_own_document(arrivals: Arrivals) -> None:
    ready = threading.Barrier(4)

    def read(number: int) -> str:
        ready.wait(30)
        return arrivals.read_text(f"text of {number}", id_=f"d{number}", metadata={}).text

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(4))) == [f"text of {n}" for n in range(4)]


def test_a_text_that_outgrows_its_limits_costs_nobody_else_anything(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path, Limits(output_bytes=2_000))
    try:
        with pytest.raises(UnreadableDocumentError) as caught:
            arrivals.read_text("word " * 1_000, metadata={})
        assert caught.value.kind == "too_large"
        assert arrivals.read_text("word", metadata={}).text == "word"
        assert list(tmp_path.iterdir()) == []
    finally:
        arrivals.close()
    with pytest.raises(RuntimeError):
        arrivals.read_text("word", metadata={})


@pytest.mark.parametrize("id_", ["", " a", "a\nb", "a/../b", ".", "x" * 501, "a\u202eb"])
def test_ids_that_no_address_could_name_are_refused(arrivals: Arrivals, id_: str) -> None:
    with pytest.raises(DocumentError, match="id is"):
        arrivals.read_text(GAUGE, id_=id_, metadata={})
    with pytest.raises(DocumentError, match=r"id is|`source` is"):
        arrivals.read_file("a.md", b"x", metadata={"source": id_})


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"id": "x"}, "`id` has a meaning"),
        ({"and": 1}, "`and` has a meaning"),
        ({"reader": "hr"}, "reads like `readers`"),
        ({"Readers": []}, "empty"),
        ({"a": {"b": 1}}, "a value is text"),
        ({"a": [1, 2]}, "a value is text"),
        ({"a": float("nan")}, "a value is text"),
        ({"a": 2**70}, "64 bits"),
        ({"a": "\ud800"}, "half a character"),
        ({"k" * 101: 1}, "key"),
        ({"a": "x" * 64_001}, "64,00"),
        ({"a": ["x"] * 1001}, "1,001"),
        ({f"k{n}": 1 for n in range(201)}, "201 keys"),
        ({"title": 3}, "`title` is 3"),
        ({"source": ""}, "`source` is ''"),
    ],
)
def test_metadata_that_no_fact_can_hold_is_refused(arrivals: Arrivals, metadata: dict[str, Any], named: str) -> None:
    with pytest.raises(DocumentError, match=named):
        arrivals.read_text(GAUGE, metadata=metadata)
    with pytest.raises(DocumentError, match=named):
        arrivals.read_file("a.pdf", b"x", metadata=metadata)


@pytest.mark.parametrize(
    ("filename", "data", "kind"),
    [
        ("a.exe", b"MZ", "unsupported"),
        ("a.md/../../x", b"x", "unsupported"),
        ("noname", b"x", "unsupported"),
        ("a.doc", b"x", "unsupported"),
        ("broken.pdf", b"%PDF-1.7 no", "damaged"),
        ("book.docx", b"PK\x03\x04 no", "damaged"),
        ("blank.txt", b" \n ", "empty"),
        ("picture.md", b"\x89PNG\r\n\x1a\n", "binary"),
    ],
)
def test_what_cannot_be_read_is_a_typed_error_under_its_own_name(
    arrivals: Arrivals, filename: str, data: bytes, kind: str
) -> None:
    with pytest.raises(UnreadableDocumentError) as caught:
        arrivals.read_file(filename, data, metadata={})
    assert caught.value.kind == kind
    assert filename.rpartition("/")[2] in str(caught.value)


def test_no_trace_of_a_private_file_name_is_in_any_document(
    arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.arrivals.secrets.token_hex", lambda _: "tellingname")
    for suffix, data in {
        ".py": b"x = 1\n", ".csv": b"a,b\n1,2\n", ".html": b"<p>hello</p>", ".jsonl": b'{"a": 1}\n{"a": 2}\n',
    }.items():  # fmt: skip
        assert "tellingname" not in repr(arrivals.read_file(f"name{suffix}", data, metadata={}))
