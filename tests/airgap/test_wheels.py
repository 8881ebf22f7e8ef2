"""A wheelhouse is what the target needs: tags, versions, extras and markers are the target's, not this machine's."""

import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

from tests.airgap.small import fake_wheel, pip_wheel, this_machine
from workbench.airgap.manifest import Target
from workbench.airgap.wheel_files import (
    platform_tags,
    read_wheel,
    refuse_foreign_tags,
    refuse_missing,
    rewrite_plainly,
)
from workbench.airgap.wheelhouse import gather_wheels
from workbench.errors import BundleError, FetchError

X86 = Target("3.11", "manylinux_2_28_x86_64", "")
ARM = Target("3.12", "manylinux_2_17_aarch64", "")
MAC = Target("3.11", "macosx_13_0_arm64", "")


def test_older_platforms_run_on_newer_ones() -> None:
    assert platform_tags("manylinux_2_17_x86_64")[:3] == [
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
        "manylinux_2_16_x86_64",
    ]
    assert "manylinux1_x86_64" in platform_tags("manylinux_2_28_x86_64")
    assert platform_tags("macosx_13_0_arm64") == ["macosx_13_0_arm64"]


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("py3-none-any", (True, True)),
        ("cp311-cp311-manylinux_2_28_x86_64", (True, False)),
        ("cp311-cp311-manylinux_2_31_x86_64", (False, False)),
        ("cp39-abi3-manylinux2014_x86_64", (True, False)),
        ("cp312-cp312-manylinux_2_17_aarch64", (False, True)),
        ("cp312-abi3-manylinux_2_17_aarch64", (False, True)),
        ("cp311-cp311-win_amd64", (False, False)),
    ],
)
def test_a_wheel_that_does_not_run_on_the_target_is_refused(tag: str, fits: tuple[bool, bool], tmp_path: Path) -> None:
    wheel = read_wheel(fake_wheel(tmp_path, "one", tag=tag))
    for target, fit in zip((X86, ARM), fits, strict=True):
        if fit:
            refuse_foreign_tags(wheel, target)
        else:
            with pytest.raises(BundleError, match="does not run on"):
                refuse_foreign_tags(wheel, target)
    asking = read_wheel(fake_wheel(tmp_path, "two", metadata="Requires-Python: >=3.12\n"))
    refuse_foreign_tags(asking, ARM)
    with pytest.raises(BundleError, match=r"asks for Python >=3\.12"):
        refuse_foreign_tags(asking, X86)


@pytest.mark.parametrize(
    ("requires", "target", "extras", "said"),
    [
        ("two", X86, [], None),
        ("two>=2", X86, [], r"root needs two>=2 on manylinux_2_28_x86_64.*holds two-1\.0"),
        ("missing", X86, [], "root needs missing .* no such wheel"),
        ('missing; sys_platform == "win32"', X86, [], None),
        ('missing; python_version >= "3.12"', X86, [], None),
        ('missing; python_version >= "3.12"', ARM, [], "root needs missing"),
        ('missing; platform_machine == "aarch64"', ARM, [], "root needs missing"),
        ('missing; platform_machine == "x86_64"', X86, [], "root needs missing"),
        ('missing; sys_platform == "darwin" and platform_machine == "arm64"', MAC, [], "root needs missing"),
        ('missing; extra == "cpu"', X86, [], None),
        ('missing; extra == "cpu"', X86, ["cpu"], "root needs missing"),
        ("two[more]", X86, [], "two needs deep"),
        ("TWO", X86, [], None),
    ],
)
def test_all_that_the_target_needs_is_there(
    requires: str, target: Target, extras: list[str], said: str | None, tmp_path: Path
) -> None:
    root = fake_wheel(tmp_path, "root", metadata=f"Requires-Dist: {requires}\nProvides-Extra: cpu\n")
    two = fake_wheel(tmp_path, "two", metadata='Requires-Dist: deep; extra == "more"\nRequires-Dist: root\n')
    wheels = [read_wheel(root), read_wheel(two)]
    if said is None:
        refuse_missing(wheels, target, extras, root="root")
    else:
        with pytest.raises(BundleError, match=said):
            refuse_missing(wheels, target, extras, root="root")


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: x\n", "MIT OR Apache-2.0"),
        ("License: BSD\n", "BSD"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n", "MIT License"),
        (f"License: {'a whole text ' * 20}\nClassifier: License :: Public Domain\n", "Public Domain"),
        ("Classifier: License :: OSI Approved\n", "not stated"),
        ("License: Größe\n", "Größe"),
        ("", "not stated"),
    ],
)
def test_the_licence_is_what_the_metadata_states(metadata: str, licence: str, tmp_path: Path) -> None:
    assert read_wheel(fake_wheel(tmp_path, "one", metadata=metadata)).licence == licence


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    for name, content in (("one.whl", b""), ("one-1.0-py3-none-any.whl", b"PK"), ("two-1.0-py3-none-any.whl", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BundleError, match=name):
            read_wheel(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "no-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(BundleError, match="no sound wheel"):
        read_wheel(tmp_path / "no-1.0-py3-none-any.whl")


def test_a_wheel_built_at_another_time_in_another_order_is_the_same_bytes(tmp_path: Path) -> None:
    path = fake_wheel(tmp_path, "one")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    other = tmp_path / "other.whl"
    with zipfile.ZipFile(other, "w") as archive:
        for name in reversed(members):
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6)), members[name])
    for one in (path, other):
        rewrite_plainly(one)
    assert path.read_bytes() == other.read_bytes()
    assert read_wheel(path).name == "one"


SDIST_BACKEND = """
import zipfile

def build_wheel(folder, *_):
    name = "sourced-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as archive:
        archive.writestr("sourced.py", "")
        info = "sourced-1.0.dist-info/"
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\\\\nName: sourced\\\\nVersion: 1.0\\\\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\\\\nRoot-Is-Purelib: true\\\\nTag: py3-none-any\\\\n")
        archive.writestr(info + "RECORD", "")
    return name
"""


def test_pip_chooses_from_a_folder_and_a_source_is_built_for_this_machine_alone(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    fake_wheel(given, "workbench", metadata="Requires-Dist: two\nRequires-Dist: sourced\n")
    fake_wheel(given, "two", version="1.0")
    fake_wheel(given, "two", version="2.0")
    fake_wheel(given, "unneeded")
    with tarfile.open(given / "sourced-1.0.tar.gz", "w:gz") as archive:
        for name, text in (
            ("pyproject.toml", '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'),
            ("backend.py", SDIST_BACKEND.replace("\\\\", "\\")),
            ("PKG-INFO", "Metadata-Version: 2.1\nName: sourced\nVersion: 1.0\n"),
        ):
            info = tarfile.TarInfo(f"sourced-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, BytesIO(text.encode()))
    foreign = Target(f"3.{sys.version_info[1]}", "manylinux_2_28_sparc", "")
    (tmp_path / "foreign").mkdir()
    with pytest.raises(FetchError, match=r"no wheel of sourced for Python .*sparc"):
        gather_wheels(tmp_path / "foreign", foreign, torch="cpu", wheels=given)
    (tmp_path / "house").mkdir()
    house = gather_wheels(tmp_path / "house", this_machine(), torch="cpu", wheels=given)
    assert [f"{wheel.name} {wheel.version}" for wheel in house.wheels][-3:] == [
        "sourced 1.0",
        "two 2.0",
        "workbench 1.0",
    ]
    assert house.built == ("sourced-1.0-py3-none-any.whl",)
    assert house.wheels[0].name == "pip"
    assert len(house.requirements.splitlines()) == 4
    assert all(wheel.sha256 in house.requirements for wheel in house.wheels)
    assert parse_wheel_filename(pip_wheel().name)[1] == house.wheels[0].version


@pytest.mark.parametrize(("asked", "given", "taken"), [
    ("cpu", "torch 2.13.0 + nvidia", False),
    ("any", "torch 2.13.0 + nvidia", True),
    ("cu128", "torch 2.13.0 + nvidia", False),
    ("cu128", "torch 2.13.0+cu128 + nvidia", True),
    ("any", "torch 2.13.0+cpu", True),
])  # fmt: skip
def test_the_build_of_torch_is_the_one_asked_for(asked: str, given: str, taken: bool, tmp_path: Path) -> None:
    folder, house = tmp_path / "given", tmp_path / "house"
    folder.mkdir()
    house.mkdir()
    _, version, *cuda = given.split()
    fake_wheel(folder, "workbench", metadata="Requires-Dist: torch\n")
    fake_wheel(
        folder, "torch", version=version, metadata="Requires-Dist: nvidia-cublas\n" if cuda else "", tag="py3-none-any"
    )
    fake_wheel(folder, "nvidia_cublas", version="1.0")
    if taken:
        found = gather_wheels(house, this_machine(), torch=asked, wheels=folder)
        assert found.torch == version
    else:
        with pytest.raises(FetchError, match=rf"asked for torch for {asked}|No matching distribution"):
            gather_wheels(house, this_machine(), torch=asked, wheels=folder)
