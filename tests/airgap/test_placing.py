"""Bundles installed: the switch comes last, what was there before stays in use until then, and nothing goes back."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.airgap.small import HERE, fake_wheel, installable, small_items, this_machine
from workbench.airgap import keys
from workbench.airgap.bootstrap import NAME, pack_bootstrap
from workbench.airgap.manifest import Manifest
from workbench.airgap.placing import install_bundle, refuse_other_machine
from workbench.airgap.writing import Item, make_manifest, write_bundle
from workbench.errors import BundleError, BusyError, RollbackError
from workbench.locking import hold_writer_lock

# Stands in for this program: takes archives in and finds models where WORKBENCH_HOME says.
PROGRAM = """
import os, pathlib, sys
import needed
verb, *rest = sys.argv[1:]
if verb == "import":
    pathlib.Path(rest[1]).mkdir()
    pathlib.Path(rest[1], "was").write_bytes(pathlib.Path(rest[0]).read_bytes())
elif verb == "models":
    pathlib.Path(os.environ["WORKBENCH_HOME"], "models", rest[1], "config.json").read_text()
else:
    print(verb, os.environ["WORKBENCH_HOME"])
"""


def write(
    out: Path, items: Sequence[Item], key: Path | None, *, serial: int, since: Manifest | None = None
) -> Manifest:
    manifest = make_manifest(items, name="small", serial=serial, target=this_machine(), since=since)
    write_bundle(items, manifest, out, key=key)
    return manifest


def test_killed_it_begins_again_a_broken_one_changes_nothing_a_later_one_takes_over(tmp_path: Path) -> None:
    keys.make_keys(tmp_path / "key")
    public, into = keys.public_half(tmp_path / "key"), tmp_path / "into"
    items = [*installable(tmp_path / "wheels", main=PROGRAM), Item("runs/small/collection.zip", b"an archive", "MIT")]
    first = write(tmp_path / "first.tar", items, tmp_path / "key", serial=1)

    (tmp_path / NAME).write_bytes(pack_bootstrap())
    command = [sys.executable, "-I", "-S", str(tmp_path / NAME), "install", str(tmp_path / "first.tar")]
    options = ["--key", str(tmp_path / "key.pub"), "--into", str(into)]
    for step in ("checking", "unpacking", "installing"):
        with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as killed:
            assert killed.stdout is not None
            assert any(line.startswith(step) for line in killed.stdout)  # reads up to that line
            killed.kill()
    assert not (into / "current").is_symlink()
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    current = into / "current"
    assert (current / "runs/small/collection/was").read_bytes() == b"an archive"
    assert (current / "configs/small.yaml").read_bytes() == b"name: small\n"
    said = subprocess.run([current / "workbench", "hello"], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["hello", str(into / "releases" / first.release / "home")]

    lacking = [item for item in items if not item.path.startswith("wheels/pip-")]
    write(tmp_path / "bad.tar", lacking, tmp_path / "key", serial=2, since=first)
    with pytest.raises(BundleError, match=r"holds no pip-\*\.whl"):
        install_bundle(tmp_path / "bad.tar", into, key=public)
    assert current.resolve().name == first.release
    assert subprocess.run([current / "workbench", "hello"], capture_output=True, check=False).returncode == 0

    items = [item for item in items if item.path != "configs/small.yaml"]
    items.append(Item("configs/small.yaml", b"name: later\n", "MIT"))
    later = write(tmp_path / "later.tar", items, tmp_path / "key", serial=3, since=first)
    assert [file.path for file in later.carried] == ["configs/small.yaml"]
    assert not install_bundle(tmp_path / "later.tar", into, key=public, verify=keys.verify).reused
    assert current.resolve().name == later.release
    assert (current / "configs/small.yaml").read_bytes() == b"name: later\n"
    assert (into / "releases" / first.release / "configs/small.yaml").read_bytes() == b"name: small\n"

    with pytest.raises(RollbackError):
        install_bundle(tmp_path / "first.tar", into, key=public)
    assert install_bundle(tmp_path / "later.tar", into, key=public).reused
    assert current.resolve().name == later.release


def test_what_was_interrupted_is_made_again_from_nothing(tmp_path: Path) -> None:
    manifest = write(tmp_path / "bundle", small_items(), None, serial=1)
    into = tmp_path / "into"
    for _ in range(2):
        with pytest.raises(BundleError, match=r"holds no pip-\*\.whl"):
            install_bundle(tmp_path / "bundle", into, key=None)
        assert not (into / "current").is_symlink()
        assert not (into / "installed.json").exists()
        litter = into / "releases" / manifest.release / "litter"
        assert not litter.exists()
        litter.write_text("of a killed installation")


def test_nothing_is_written_before_all_is_checked(tmp_path: Path) -> None:
    write(tmp_path / "bundle", small_items(), None, serial=1)
    (tmp_path / "bundle/wheels/a-1.0-py3-none-any.whl").write_bytes(b"z" * 512)
    with pytest.raises(BundleError, match=r"'wheels/a-1\.0-py3-none-any\.whl'"):
        install_bundle(tmp_path / "bundle", tmp_path / "into", key=None)
    assert not (tmp_path / "into/releases").exists()


def test_a_second_installation_at_the_same_time_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "bundle", small_items(), None, serial=1)
    (tmp_path / "into").mkdir()
    with hold_writer_lock(tmp_path / "into/.lock"), pytest.raises(BusyError):
        install_bundle(tmp_path / "bundle", tmp_path / "into", key=None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"python": "3.9"}, "is for Python 3.9"),
        ({"platform": "manylinux_2_28_sparc"}, "is for manylinux_2_28_sparc"),
        ({"platform": "win_amd64"}, "is for win_amd64"),
        ({"platform": f"manylinux_2_999_{HERE.platform.partition('_17_')[2]}"}, "glibc 2.999"),
    ],
)
def test_a_bundle_for_another_machine_is_refused(change: dict[str, str], said: str) -> None:
    refuse_other_machine(this_machine())
    with pytest.raises(BundleError, match=said):
        refuse_other_machine(replace(this_machine(), **change))


def test_the_stand_ins_wheel_is_sound(tmp_path: Path) -> None:
    path = fake_wheel(tmp_path, "one", main="print(1)")
    done = subprocess.run([sys.executable, "-m", "one"], env={"PYTHONPATH": str(path)}, capture_output=True, check=True)
    assert done.stdout == b"1\n"
