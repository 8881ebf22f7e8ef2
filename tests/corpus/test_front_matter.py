"""Heads of text files that name `readers`: each is read as its author meant it, or hides the file; none shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workbench.corpus import read_document
from workbench.corpus.cleaning import clean_text
from workbench.corpus.front_matter import split_front_matter
from workbench.errors import UnreadableDocumentError


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder / name


def read_head(source: str, folder: Path, *, suffix: str = ".md") -> tuple[str, ...] | str | None:
    """Return who may read a file of this source, None for everybody, or the kind of error that hides it."""
    try:
        return read_document(write(folder, f"a{suffix}", source), folder).readers
    except UnreadableDocumentError as error:
        return error.kind


HONOURED = [
    "---\nreaders: [hr]\nüberschrift: x\n---\nSecret.",
    "---\nдата: x\nreaders: [hr]\n---\nSecret.",
    "---\nreaders: [hr]\n2024: x\n---\nSecret.",
    "---\nreaders: [hr]\n$price: x\n---\nSecret.",
    "---\n readers: [hr]\n---\nSecret.",
    "---\n  title: x\n  readers:\n  - hr\n---\nSecret.",
    "\n \n---\nreaders: [hr]\n---\nSecret.",
    "\ufeff---\nreaders: [hr]\n---\nSecret.",
    "\ufeff\r\n---\r\nreaders: [hr]\r\n---\r\nSecret.",
    "---\n{readers: [hr]}\n---\nSecret.",
    "---\n{title: x, readers: [hr]}\n---\nSecret.",
    "--- {readers: [hr]}\n---\nSecret.",
    "--- # who may\nreaders: [hr]\n...\nSecret.",
    "---\n? readers\n: [hr]\n---\nSecret.",
    '---\n"READERS" : [hr]\n---\nSecret.',
]


@pytest.mark.parametrize("suffix", [".md", ".rst"])
@pytest.mark.parametrize("source", HONOURED)
def test_front_matter_that_names_readers_holds_whatever_stands_beside(source: str, suffix: str, tmp_path: Path) -> None:
    assert read_head(source, tmp_path, suffix=suffix) == ("hr",)
    assert read_document(tmp_path / f"a{suffix}", tmp_path).text == "Secret."


HIDDEN = [
    *(f"---\nreaders: [hr]\n{line}\n---\nSecret." for line in ("*x: y", "@x: y", "!x", "{x: y}", "%x: y", "`x`: y")),
    "---\nreaders:[hr]\n---\nSecret.",
    "---\ntitle: x\nreaders:[hr]\n---\nSecret.",
    "---\nreaders [hr]\n---\nSecret.",
    "---\nreaders = hr\n---\nSecret.",
    "---\ntitle: x\n readers: hr\n---\nSecret.",
    "---\naccess:\n  readers: [hr]\n---\nSecret.",
    "---\nreaders: [hr]\n\nSecret.",  # never closed
    "---\nreaders: [hr]\n----\nSecret.",
    "---\n{title: x,\n readers: [hr]\n---\nSecret.",
    "---\n{title: x, readers: [hr]\n---\nSecret.",
    "---\n- readers: [hr]\n---\nSecret.",
    "---\n# readers: [hr]\n---\nSecret.",
    "---\nReaders: [hr]\nreaders: '*'\n---\nSecret.",
    "---\nreaders:\nReaders: '*'\n---\nSecret.",
    "---\n? readers\n---\nSecret.",
    "---\nreaders: [hr]\nx: !!int\n---\nSecret.",
    "--- readers: [hr]\nSecret.",
    "---\n" + "x\n" * 20_000 + "readers: [hr]\nSecret.",
    '+++\nreaders = ["hr"]\n+++\nSecret.',
]


@pytest.mark.parametrize("suffix", [".md", ".rst", ".txt"])
@pytest.mark.parametrize("source", HIDDEN)
def test_a_head_that_names_readers_unreadably_hides_the_file(source: str, suffix: str, tmp_path: Path) -> None:
    assert read_head(source, tmp_path, suffix=suffix) == "permissions"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40), st.sampled_from(["", "\n", " [hr]\n", " hr\n---"]))
@example("{a: 1", " [hr]\n")
def test_no_head_that_names_readers_is_ever_open(rest: str, between: str) -> None:
    source = clean_text(f"---\nreaders:{between}{rest}")
    try:
        assert "readers" in split_front_matter(source, "a.md")[1]
    except UnreadableDocumentError as error:
        assert str(error).startswith("a.md")


@pytest.mark.parametrize(
    "source",
    [
        "---\n\n1. Install: run it\n2. Start: go\n\n---\nMore.",
        "---\nNote: a: b\n\n* item\n\n---\nMore.",
        "---\n- Note: a\n---\nMore.",
        "---\n# Heading\n---\nMore.",
        "---\nhttp://example.org\n---\nMore.",
        "Readers of this manual\nreaders: all\n\n---\n\nreaders: all",
        "--- a/x\n+++ b/x\n+readers = 1",
    ],
)
def test_text_between_rules_stays_text(source: str, tmp_path: Path) -> None:
    assert read_head(source, tmp_path) is None
    assert read_document(tmp_path / "a.md", tmp_path).text == source


def test_plain_text_has_no_front_matter_and_is_not_shown_where_it_tries(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDocumentError, match=r"a\.txt: .*`readers`.*\.md") as caught:
        read_document(write(tmp_path, "a.txt", "---\nreaders: [hr]\n---\nSecret."), tmp_path)
    assert caught.value.kind == "permissions"
    assert read_head("---\ntitle: x\n---\nReaders: all.", tmp_path, suffix=".txt") is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (":readers: hr\n\nSecret.", ("hr",)),
        ("Title\n=====\n\n:Readers: [hr]\n\nSecret.", ("hr",)),
        ("One\n===\n\n:readers: hr\n\nTwo\n===\n\nSecret.", "permissions"),  # no bibliographic field there
        ("Secret.\n\n:readers: hr\n", "permissions"),
        (":readers: hr\n:Readers: *\n\nSecret.", "permissions"),
        (":readers:\n\nSecret.", "permissions"),
        ("Secret.\n\n:param readers: some\n", None),
    ],
)
def test_a_field_of_restructuredtext_is_a_permission_or_hides_the_file(
    source: str, expected: tuple[str, ...] | str | None, tmp_path: Path
) -> None:
    assert read_head(source, tmp_path, suffix=".rst") == expected


def test_a_page_whose_front_matter_names_readers_is_shown_to_nobody(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("---\nreaders: [hr]\n---\n<p>The salaries of all of us, for nobody but the office.</p>")
    with pytest.raises(UnreadableDocumentError) as caught:
        read_document(path, tmp_path)
    assert caught.value.kind == "permissions"
