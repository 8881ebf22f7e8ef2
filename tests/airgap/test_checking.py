"""Every file of a bundle flipped, cut off, grown, removed, renamed, swapped; files added: each is refused by its name.

By both verifiers: the package with `cryptography`, and `install.pyz` in a Python that sees the standard library alone.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.airgap.small import Changes, make_small
from workbench.airgap import keys
from workbench.airgap.bootstrap import NAME, pack_bootstrap
from workbench.airgap.checking import check_bundle
from workbench.airgap.comparing import compare_manifests, read_manifest
from workbench.airgap.ed25519 import read_public_key
from workbench.airgap.manifest import MANIFEST, SIGNATURE
from workbench.errors import BundleError, RollbackError

CHECKER = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from workbench.airgap.bootstrap import check_bundle, read_public_key
from workbench.errors import BundleError
key = read_public_key(Path(sys.argv[2]))
said = {}
for path in json.load(sys.stdin):
    try:
        check_bundle(Path(path), key=key)
        said[path] = ""
    except BundleError as error:
        said[path] = str(error)
json.dump([said, [name for name in sys.modules if "cryptography" in name or "site-packages" in str(sys.modules[name])]],
          sys.stdout)
"""


CHANGES: Changes = {"configs/small.yaml": b"name: later\n", "docs/new.md": b"new", "questions/q.jsonl": None}


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key"
    keys.make_keys(path)
    return path


@pytest.fixture
def key(private: Path) -> bytes:
    return keys.public_half(private)


def flip(root: Path, path: str) -> None:
    content = bytearray((root / path).read_bytes() or b"\0")
    content[len(content) // 2] ^= 16
    (root / path).write_bytes(content)


def grow(root: Path, path: str) -> None:
    (root / path).write_bytes((root / path).read_bytes() + b"\0")


def cut(root: Path, path: str) -> None:
    (root / path).write_bytes((root / path).read_bytes()[:-1])


def remove(root: Path, path: str) -> None:
    (root / path).unlink()


def rename(root: Path, path: str) -> None:
    (root / path).rename(root / f"{path}x")


def link(root: Path, path: str) -> None:
    elsewhere = root.with_name(f"{root.name}-elsewhere")
    (root / path).rename(elsewhere)
    (root / path).symlink_to(elsewhere)


def name_twice(root: Path, path: str) -> None:
    (root.parent / f"{root.name}-other").hardlink_to(root / path)


def make_folder(root: Path, path: str) -> None:
    remove(root, path)
    (root / path).mkdir()


def make_pipe(root: Path, path: str) -> None:
    remove(root, path)
    os.mkfifo(root / path)


def swap(root: Path, path: str, other: str) -> None:
    content = (root / path).read_bytes()
    (root / path).write_bytes((root / other).read_bytes())
    (root / other).write_bytes(content)


def add(root: Path, path: str) -> None:
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_bytes(b"new")


def add_folder(root: Path, path: str) -> None:
    (root / path).mkdir()


CHANGED = (flip, grow, cut, remove, rename, link, name_twice, make_folder, make_pipe)
ADDED = ("new", "wheels/new.whl", "wheels/.hidden", "folder/new", "models/tiny/MODEL.safetensors", "Wheels/b")


def mutations(bundle: Path) -> Iterator[tuple[str, tuple[str, ...], Callable[[Path], None]]]:
    """Yield a name, the files of which one has to be named, and what to do to a copy of the bundle."""
    paths = sorted(path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file())
    for path in paths:
        for change in CHANGED:
            if change is not cut or (bundle / path).stat().st_size:
                yield f"{change.__name__} {path}", (path, f"{path}x"), partial(change, path=path)
    for path, other in zip(paths, [*paths[1:], paths[0]], strict=True):
        yield f"swap {path} {other}", (path, other), partial(swap, path=path, other=other)
    for path in ADDED:
        yield f"add {path}", (path, path.split("/")[0]), partial(add, path=path)
    yield "add a folder", ("nothing",), partial(add_folder, path="nothing")
    yield "link a folder", ("wheels",), partial(link, path="wheels")


def test_every_mutation_of_every_file_is_refused_by_name_by_both_verifiers(private: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    make_small(whole, private)
    expected: dict[str, tuple[str, ...]] = {str(whole): ()}
    for number, (name, named, mutate) in enumerate(mutations(whole)):
        copy = tmp_path / f"{number:03} {name.split()[0]}"
        shutil.copytree(whole, copy)
        mutate(copy)
        expected[str(copy)] = named
    assert len(expected) > 100
    ours = {path: refusal(Path(path), keys.public_half(private)) for path in expected}
    theirs = ask_bootstrap(tmp_path, private, list(expected))
    for said in (ours, theirs):
        assert said[str(whole)] == ""
        missed = [path for path, names in expected.items() if path != str(whole) and not is_named(said[path], names)]
        assert not missed, {path: said[path] for path in missed}


def is_named(message: str, names: tuple[str, ...]) -> bool:
    return any(f"'{name}'" in message for name in names)


def refusal(path: Path, key: bytes) -> str:
    try:
        check_bundle(path, key=key, verify=keys.verify)
    except BundleError as error:
        return str(error)
    return ""


def ask_bootstrap(folder: Path, private: Path, paths: list[str]) -> dict[str, str]:
    """Let install.pyz check bundles in a Python without site-packages; return what it said of each."""
    installer = folder / NAME
    installer.write_bytes(pack_bootstrap())
    command = [sys.executable, "-I", "-S", "-c", CHECKER, str(installer), f"{private}.pub"]
    done = subprocess.run(command, input=json.dumps(paths), capture_output=True, text=True, check=True)
    said, foreign = json.loads(done.stdout)
    assert not foreign
    return dict(said)


def test_the_bootstrap_verifies_from_its_own_command_line(private: Path, tmp_path: Path) -> None:
    manifest = make_small(tmp_path / "b.tar", private)
    (tmp_path / NAME).write_bytes(pack_bootstrap())
    command = [sys.executable, "-I", "-S", str(tmp_path / NAME), "verify", str(tmp_path / "b.tar")]
    done = subprocess.run([*command, "--key", f"{private}.pub"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert manifest.id in done.stdout
    flip(tmp_path, "b.tar")
    done = subprocess.run([*command, "--key", f"{private}.pub"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("install: ")


def test_only_the_right_key_is_believed_and_none_only_when_asked_for(private: Path, key: bytes, tmp_path: Path) -> None:
    other = tmp_path / "other"
    keys.make_keys(other)
    make_small(tmp_path / "signed", private)
    make_small(tmp_path / "unsigned", None)
    assert check_bundle(tmp_path / "signed", key=key).key is not None
    assert check_bundle(tmp_path / "unsigned", key=None).key is None
    with pytest.raises(BundleError, match="is not by key"):
        check_bundle(tmp_path / "signed", key=read_public_key(Path(f"{other}.pub")))
    with pytest.raises(BundleError, match=r"'manifest\.sig' is missing"):
        check_bundle(tmp_path / "unsigned", key=key)


def test_a_manifest_made_again_needs_the_private_key(private: Path, key: bytes, tmp_path: Path) -> None:
    make_small(tmp_path / "bundle", private)
    make_small(tmp_path / "forged", None, changes={"configs/small.yaml": b"name: other\n"})
    shutil.copyfile(tmp_path / "bundle" / SIGNATURE, tmp_path / "forged" / SIGNATURE)
    with pytest.raises(BundleError, match=r"'manifest\.json'"):
        check_bundle(tmp_path / "forged", key=key)


def test_an_older_bundle_than_the_one_installed_is_refused(private: Path, key: bytes, tmp_path: Path) -> None:
    older, newer = make_small(tmp_path / "old", private, serial=5), make_small(tmp_path / "new", private, serial=6)
    make_small(tmp_path / "twin", private, serial=6, changes={"docs/empty.md": b"other"})
    memory = {"bundles": {"small": {"serial": newer.serial, "id": newer.id}}}
    (tmp_path / "installed.json").write_text(json.dumps(memory))
    assert check_bundle(tmp_path / "new", key=key, installed=tmp_path).manifest == newer
    for name in ("old", "twin"):
        with pytest.raises(RollbackError, match=r"small has serial \d"):
            check_bundle(tmp_path / name, key=key, installed=tmp_path)
    (tmp_path / "installed.json").write_text("{")
    with pytest.raises(BundleError, match=r"installed\.json is damaged"):
        check_bundle(tmp_path / "new", key=key, installed=tmp_path)
    assert older.serial == 5


def test_an_incremental_bundle_needs_its_base(private: Path, key: bytes, tmp_path: Path) -> None:
    base = make_small(tmp_path / "base", private, serial=1)
    later = make_small(tmp_path / "later.tar", private, serial=2, since=base, changes=CHANGES)
    assert [file.path for file in later.carried] == ["configs/small.yaml", "docs/new.md"]
    with pytest.raises(BundleError, match="--base FOLDER"):
        check_bundle(tmp_path / "later.tar", key=key)
    assert check_bundle(tmp_path / "later.tar", key=key, base=tmp_path / "base").n_from_base == len(later.files) - 2
    flip(tmp_path / "base", "models/tiny/model.safetensors")
    with pytest.raises(BundleError, match=r"'models/tiny/model\.safetensors'"):
        check_bundle(tmp_path / "later.tar", key=key, base=tmp_path / "base")
    with pytest.raises(BundleError, match="serial higher"):
        make_small(tmp_path / "early", private, serial=1, since=base)


def test_a_difference_names_what_was_added_removed_and_changed(private: Path, tmp_path: Path) -> None:
    make_small(tmp_path / "one", private, serial=1)
    make_small(tmp_path / "two.tar", private, serial=2, changes=CHANGES)
    found = compare_manifests(read_manifest(tmp_path / "one" / MANIFEST), read_manifest(tmp_path / "two.tar"))
    assert [file.path for file in found.added] == ["docs/new.md"]
    assert [file.path for file in found.removed] == ["questions/q.jsonl"]
    assert [after.path for _, after in found.changed] == ["configs/small.yaml"]
    assert found.settings == ("serial: 1 -> 2",)
    assert found.n_same == 6
