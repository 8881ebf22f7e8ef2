"""What a manifest may say: one text for one content, and only paths that lead below the root on any system."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.airgap.small import HERE, small_items
from workbench.airgap.manifest import find_collision, find_path_fault, parse_manifest
from workbench.airgap.writing import make_manifest
from workbench.errors import BundleError

MANIFEST = make_manifest(small_items(), name="small", serial=1, target=HERE)


def test_a_manifest_comes_back_as_it_was() -> None:
    assert parse_manifest(MANIFEST.to_bytes()) == MANIFEST


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "C:/x", "../x", "a/../b", "a//b", "./a", "a/", "", "a\\b", "a\0b", "a\nb", "a\x1b[2Jb", "a\u202eb",
     "a.", "a /b", "e\u0301", "x" * 241, "a\ud800"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    assert find_path_fault(path)
    hostile = replace(MANIFEST, files=(replace(MANIFEST.files[0], path=path),))
    with pytest.raises(BundleError):
        parse_manifest(hostile.to_bytes())


@pytest.mark.parametrize("path", ["a", "docs/Ölgerät 7.pdf", "a.b/c-d_e+f.whl", "文件.md"])
def test_a_plain_path_is_taken(path: str) -> None:
    assert find_path_fault(path) is None


@pytest.mark.parametrize(
    "paths",
    [["a", "A"], ["a", "a"], ["a", "a/b"], ["A/x", "a/y"], ["straße", "STRASSE"], ["manifest.json", "Manifest.json"]],
)
def test_two_paths_that_some_system_takes_for_one_are_told(paths: list[str]) -> None:
    assert find_collision(paths)


def test_folders_are_shared_and_names_differ() -> None:
    assert find_collision(["a/x", "a/y", "b/x", "ab"]) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "zip"),
        ("version", 2),
        ("name", "../x"),
        ("serial", -1),
        ("serial", 1.5),
        ("serial", True),
        ("made_by", 7),
        ("target", {"python": "3.11"}),
        ("base", {"id": "x", "serial": 1}),
        ("files", [{"path": "a"}]),
        ("files", {"a": 1}),
        ("more", 1),
    ],
)
def test_a_manifest_that_is_otherwise_is_refused(key: str, value: Any) -> None:
    tree = json.loads(MANIFEST.to_bytes()) | {key: value}
    text = json.dumps(tree, sort_keys=True, separators=(",", ":")) + "\n"
    with pytest.raises(BundleError):
        parse_manifest(text.encode())


@pytest.mark.parametrize(
    "change",
    [{"size": -1}, {"size": 2**41}, {"sha256": "0"}, {"sha256": "A" * 64}, {"carried": False}, {"carried": 1},
     {"licence": "a\nb"}],
)  # fmt: skip
def test_a_file_that_is_otherwise_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BundleError):
        parse_manifest(replace(MANIFEST, files=(replace(MANIFEST.files[0], **change),)).to_bytes())


def test_the_same_content_in_another_text_is_refused() -> None:
    text = MANIFEST.to_bytes()
    for other in (text + b"\n", text.replace(b",", b", ", 1), text.replace(b'"serial":1', b'"serial":1,"serial":1')):
        with pytest.raises(BundleError, match=r"manifest\.json"):
            parse_manifest(other)
    with pytest.raises(BundleError):
        parse_manifest(b"[" * 10000)


def test_files_out_of_order_are_refused() -> None:
    with pytest.raises(BundleError, match="not in order"):
        parse_manifest(replace(MANIFEST, files=MANIFEST.files[::-1]).to_bytes())
