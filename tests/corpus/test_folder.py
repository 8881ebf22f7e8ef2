"""A folder as it comes: unreadable files are typed failures, the batch goes on, nothing outside is read."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from pathlib import Path

import docx
import pytest
from fpdf import FPDF

from tests.corpus.samples import WRITERS, write_docx, write_pdf
from workbench.corpus import (
    SUFFIXES,
    cleaning,
    read_document,
    read_files,
    read_folder,
    reader_version,
    scan_folder,
)
from workbench.corpus.folder import list_files
from workbench.errors import ConfigError, EmptyCorpusError, UnreadableDocumentError


def broken_files(folder: Path) -> dict[str, str]:
    """Write one file for each thing that can be wrong with it; return their kinds by name."""
    write_pdf(folder / "whole.pdf")
    write_docx(folder / "whole.docx")
    pdf, word = (folder / "whole.pdf").read_bytes(), (folder / "whole.docx").read_bytes()
    blank, locked = FPDF(), FPDF()
    blank.add_page()
    locked.add_page()
    locked.set_encryption(owner_password="owner", user_password="user")
    contents = {
        "cut.pdf": (pdf[: len(pdf) // 2], "damaged"),
        "no-pages.pdf": (b"%PDF-1.4\ntrailer<</Root 1 0 R>>\n%%EOF", "damaged"),
        "picture.pdf": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "damaged"),
        "scanned.pdf": (bytes(blank.output()), "no_text"),
        "locked.pdf": (bytes(locked.output()), "encrypted"),
        "cut.docx": (word[: len(word) // 2], "damaged"),
        "locked.docx": (bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 512, "encrypted"),
        "picture.txt": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        "no-encoding.txt": (b"caf\xe9 \x81", "encoding"),
        "empty.md": (b"", "empty"),
        "invisible.txt": ("\u200b\ufeff".encode(), "empty"),
        "scripts.html": (b"<html><script>draw()</script></html>", "no_text"),
        "garbage.html": (bytes(range(256)), "binary"),
        "sheet.xlsx": (b"PK", "damaged"),
        "old.doc": (b"old", "unsupported"),
        "README": (b"no suffix", "unsupported"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    docx.Document().save(str(folder / "blank.docx"))
    return {name: kind for name, (_, kind) in contents.items()} | {"blank.docx": "no_text"}


def test_every_broken_file_is_one_typed_failure_and_the_whole_ones_are_read(tmp_path: Path) -> None:
    kinds = broken_files(tmp_path)
    seen: list[tuple[int, int]] = []
    documents, failures = read_folder(tmp_path, ["**/*"], on_progress=lambda done, total: seen.append((done, total)))
    assert [document.id for document in documents] == ["whole.docx", "whole.pdf"]
    assert {failure.source: failure.kind for failure in failures} == kinds
    assert [failure.source for failure in failures] == sorted(kinds)
    assert all(failure.source in failure.reason and "\n" not in failure.reason for failure in failures)
    assert seen == [(n, len(kinds) + 2) for n in range(1, len(kinds) + 3)]


def test_documents_are_named_by_path_below_the_folder_and_hidden_files_are_skipped(tmp_path: Path) -> None:
    for name in ("b/two.md", "a.MD", ".git/config.md", "b/.draft.md", "c/three.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("words")
    documents, failures = read_folder(tmp_path, ["**/*.md", "*.MD", "b/*"])
    assert [document.id for document in documents] == ["a.MD", "b/two.md", "c/three.md"]
    assert failures == []
    assert [file.id for file in list_files([tmp_path], ["b/*"])] == ["b/two.md"]


def test_a_scan_hashes_what_it_can_open_and_opens_no_pipe(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (root / "own.txt").write_bytes(b"own words")
    os.mkfifo(root / "pipe.txt")
    (root / "gone.txt").symlink_to(root / "nothing.txt")
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "zero.txt").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.txt"))
    scanned = {file.id: (file.sha256, file.size) for file in scan_folder([root], ["**/*"])}
    assert scanned.pop("own.txt") == (hashlib.sha256(b"own words").hexdigest(), 9)
    assert scanned == dict.fromkeys(["gone.txt", "out.txt", "pipe.txt", "socket.txt", "zero.txt"], ("", 0))
    kinds = {failure.source: failure.kind for failure in read_folder(root, ["**/*"])[1]}
    assert kinds == {
        "gone.txt": "missing",
        "out.txt": "outside",
        "pipe.txt": "special",
        "socket.txt": "special",
        "zero.txt": "outside",
    }


def test_files_of_several_folders_carry_their_folders_name(tmp_path: Path) -> None:
    roots = [tmp_path / "b", tmp_path / "a"]
    for root in roots:
        (root / "sub").mkdir(parents=True)
        (root / "sub" / "one.txt").write_text(root.name)
    files = scan_folder(roots, ["**/*.txt"])
    assert [(file.id, file.root) for file in files] == [("a/sub/one.txt", roots[1]), ("b/sub/one.txt", roots[0])]
    assert [outcome.source for outcome in read_files(files)] == ["a/sub/one.txt", "b/sub/one.txt"]
    (tmp_path / "other" / "a").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"/a and .*/other/a have the same name"):
        scan_folder([roots[1], tmp_path / "other" / "a"], ["**/*"])
    with pytest.raises(ConfigError, match=r"/a/sub lie within each other.*name the outer one"):
        scan_folder([roots[1], roots[1] / "sub"], ["**/*"])
    with pytest.raises(ConfigError, match="lie within each other"):
        scan_folder([roots[1], roots[1]], ["**/*"])


def test_the_reader_version_is_stable_and_names_sources_and_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reader_version()
    assert (len(before), reader_version()) == (64, before)
    reader_version.cache_clear()
    monkeypatch.setattr("importlib.metadata.version", lambda _: "0.0")
    assert reader_version() != before
    reader_version.cache_clear()


def test_links_that_leave_the_folder_or_lead_nowhere_are_failures(tmp_path: Path) -> None:
    root, outside = tmp_path / "corpus", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (root / "own.txt").write_text("own words")
    for name, target in [
        ("file.txt", outside / "secret.txt"),
        ("folder", outside),
        ("gone.txt", root / "nothing.txt"),
        ("loop.txt", root / "loop.txt"),
        ("same.txt", root / "own.txt"),
    ]:
        (root / name).symlink_to(target)
    documents, failures = read_folder(root, ["**/*", "folder/*"])
    assert [document.id for document in documents] == ["own.txt", "same.txt"]
    assert [(failure.source, failure.kind) for failure in failures] == [
        ("file.txt", "outside"),
        ("folder", "outside"),
        ("folder/secret.txt", "outside"),
        ("gone.txt", "missing"),
        ("loop.txt", "damaged"),
    ]


def test_a_folder_without_documents_is_named_with_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(EmptyCorpusError, match="nowhere does not exist"):
        read_folder(tmp_path / "nowhere", ["**/*"])
    with pytest.raises(EmptyCorpusError, match=r"0 files match \*\*/\*, 0 failed.*\.docx .*\.txt"):
        read_folder(tmp_path, ["**/*"])
    (tmp_path / "empty.md").write_text("")
    with pytest.raises(EmptyCorpusError, match=r"1 files match .*, 1 failed \(first: empty.md is empty"):
        read_folder(tmp_path, ["**/*"])


@pytest.mark.parametrize("pattern", ["", ".", "/etc/*", "../*", "a/../../b"])
def test_a_pattern_that_leaves_the_folder_is_refused(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no pattern below"):
        read_folder(tmp_path, [pattern])


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="there it is a pattern like *.md")
def test_a_malformed_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has '\*\*\.md', which is no pattern"):
        read_folder(tmp_path, ["**.md"])


def test_a_name_that_is_not_utf8_is_one_failure_with_a_name_that_can_be_stored(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("words")
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"words")
    documents, failures = read_folder(tmp_path, ["**/*"])
    assert [document.id for document in documents] == ["good.txt"]
    assert [(failure.source, failure.kind) for failure in failures] == [("caf\\udce9.txt", "name")]
    assert failures[0].reason.isascii()


def test_a_file_over_the_size_limit_is_refused_with_both_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big.txt").write_text("x" * 2000)
    monkeypatch.setattr(cleaning, "MAX_FILE_BYTES", 1024)
    with pytest.raises(UnreadableDocumentError, match=r"2,000 bytes, the limit is 1,024") as caught:
        read_document(tmp_path / "big.txt", tmp_path)
    assert caught.value.kind == "too_large"


def test_the_sample_writers_cover_every_format() -> None:
    assert tuple(WRITERS) == SUFFIXES
