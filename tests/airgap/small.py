"""A small bundle: a few files of every sort, one byte and none among them, and a name longer than tar's 100 bytes."""

import base64
import ensurepip
import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from workbench.airgap.bootstrap import NAME, pack_bootstrap
from workbench.airgap.manifest import Manifest, Target
from workbench.airgap.wheel_files import default_platform, read_wheel
from workbench.airgap.wheelhouse import Wheelhouse
from workbench.airgap.writing import Item, make_manifest, write_bundle

Changes = Mapping[str, bytes | None]

HERE = Target("3.11", "manylinux_2_17_x86_64", "")
LONG = f"wheels/{'long_name_' * 10}-1.0-py3-none-any.whl"
CONTENTS = {
    "configs/small.yaml": b"name: small\n",
    "docs/empty.md": b"",
    "models/tiny/config.json": b"{}",
    "models/tiny/model.safetensors": bytes(range(256)) * 9,
    "questions/q.jsonl": b'{"id": "q"}\n',
    "wheels/a-1.0-py3-none-any.whl": b"x" * 512,
    LONG: b"y" * 513,
}


def small_items(changes: Changes = CONTENTS) -> list[Item]:
    """The small bundle's items; `changes` replace contents by path, None removes."""
    contents = {path: content for path, content in {**CONTENTS, **changes}.items() if content is not None}
    return [Item(path, content, "Apache-2.0") for path, content in contents.items()]


def make_small(
    out: Path, key: Path | None, *, serial: int = 100, since: Manifest | None = None, changes: Changes = CONTENTS
) -> Manifest:
    """Write the small bundle to `out`, signed with `key`, with the installer in it."""
    items = [*small_items(changes), Item(NAME, pack_bootstrap(), "Apache-2.0")]
    manifest = make_manifest(items, name="small", serial=serial, target=HERE, since=since)
    write_bundle(items, manifest, out, key=key)
    return manifest


def fake_wheel(
    folder: Path,
    name: str,
    *,
    version: str = "1.0",
    tag: str = "py3-none-any",
    metadata: str = "License-Expression: MIT\n",
    main: str | None = None,
) -> Path:
    """Write a sound wheel of one package, with `main` as its __main__.py; `metadata` are further lines of METADATA."""
    info = f"{name}-{version}.dist-info"
    members = {f"{name}/__init__.py": f'"""{name}."""\n'}
    if main is not None:
        members[f"{name}/__main__.py"] = main
    members[f"{info}/METADATA"] = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{metadata}"
    members[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
    record = "".join(f"{path},{_digest(text)},{len(text.encode())}\n" for path, text in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return path


def pip_wheel() -> Path:
    """The pip that comes with this Python."""
    return next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))


def installable(folder: Path, *, main: str) -> list[Item]:
    """Items of a bundle that installs here: a stand-in for this program, something it needs, and pip."""
    folder.mkdir()
    paths = [
        fake_wheel(folder, "needed"),
        fake_wheel(folder, "workbench", metadata="Requires-Dist: needed\n", main=main),
        pip_wheel(),
    ]
    house = Wheelhouse(tuple(read_wheel(path) for path in paths[:2]), ())  # pip need not install itself here: seconds
    wheels = [Item(f"wheels/{path.name}", path, "MIT") for path in paths]
    return [*small_items(), *wheels, Item("requirements.txt", house.requirements.encode(), "Apache-2.0")]


def this_machine() -> Target:
    """The target that this test runs on."""
    return Target(f"{sys.version_info[0]}.{sys.version_info[1]}", default_platform(), "")


def _digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
