"""A bundle as a tar: the same bytes twice, and nothing in it that a tar may hold but a bundle may not."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.airgap.small import LONG, make_small, small_items
from workbench.airgap import keys
from workbench.airgap.checking import check_bundle
from workbench.airgap.container import tar_end, tar_header
from workbench.airgap.manifest import SIGNATURE
from workbench.errors import BundleError

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("tar")
    keys.make_keys(folder / "key")
    make_small(folder / "small.tar", folder / "key")
    return folder / "small.tar", keys.public_half(folder / "key")


def test_made_twice_it_is_the_same_bytes_whatever_the_order_and_the_clock(tmp_path: Path) -> None:
    keys.make_keys(tmp_path / "key")
    for name in ("one.tar", "two.tar", "one", "two"):
        make_small(tmp_path / name, tmp_path / "key")
        os.utime(tmp_path / name, (1, 1))
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    trees = [
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    ]
    assert trees[0] == trees[1]
    with pytest.raises(FileExistsError):
        make_small(tmp_path / "one.tar", None)


def test_other_programs_read_it(made: tuple[Path, bytes], tmp_path: Path) -> None:
    with tarfile.open(made[0]) as archive:
        archive.extractall(tmp_path / "out", filter="data")
        assert {member.mtime for member in archive} == {0}
    assert (tmp_path / "out" / LONG).read_bytes() == b"y" * 513
    assert check_bundle(tmp_path / "out", key=made[1]).key is not None


def test_a_flip_in_any_block_is_refused_by_the_name_of_its_file(made: tuple[Path, bytes], tmp_path: Path) -> None:
    whole, bad = made[0].read_bytes(), tmp_path / "bad.tar"
    with tarfile.open(made[0]) as archive:
        begins = {info.offset: info.name for info in archive}
    name, unnamed = "", []
    for place in range(0, len(whole) - len(tar_end(0)), 512):
        name = begins.get(place, name)
        bad.write_bytes(whole[: place + 100] + bytes([whole[place + 100] ^ 1]) + whole[place + 101 :])
        said = refusal(bad, made[1])
        if f"'{name}'" not in said:
            unnamed.append((place, name, said))
    assert not unnamed
    assert len(begins) == len(small_items()) + 3


def test_a_cut_or_a_block_more_at_any_place_is_refused(made: tuple[Path, bytes], tmp_path: Path) -> None:
    whole, bad = made[0].read_bytes(), tmp_path / "bad.tar"
    assert check_bundle(made[0], key=made[1], verify=keys.verify).n_bytes > 0
    for place in range(0, len(whole), 512):
        for content in (whole[:place], whole[:place] + bytes(512) + whole[place:]):
            bad.write_bytes(content)
            assert refusal(bad, made[1]), place


def refusal(path: Path, key: bytes) -> str:
    try:
        check_bundle(path, key=key, verify=keys.verify)
    except BundleError as error:
        return str(error)
    return ""


def read_members(path: Path) -> Members:
    with tarfile.open(path) as archive:
        members = []
        for info in archive:
            stream = archive.extractfile(info)
            assert stream is not None
            members.append((info, stream.read()))
        return members


def write_members(path: Path, members: Members) -> None:
    with path.open("wb") as stream:
        for info, content in members:
            stream.write(
                info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)
            )
        stream.write(tar_end(stream.tell()))


def a(kind: bytes, name: str = "evil", target: str = "/etc/passwd") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def plain(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def changed(members: Members, **fields: object) -> Members:
    for name, value in fields.items():
        setattr(members[4][0], name, value)
    return members


HOSTILE: dict[str, tuple[Callable[[Members], Members], str]] = {
    "symbolic link": (lambda m: [*m, a(tarfile.SYMTYPE)], "'evil' is a symbolic link"),
    "hard link": (lambda m: [*m, a(tarfile.LNKTYPE, target="install.pyz")], "'evil' is a hard link"),
    "character device": (lambda m: [*m, a(tarfile.CHRTYPE)], "'evil' is a device"),
    "block device": (lambda m: [*m, a(tarfile.BLKTYPE)], "'evil' is a device"),
    "pipe": (lambda m: [*m, a(tarfile.FIFOTYPE)], "'evil' is a pipe"),
    "folder": (lambda m: [m[0], m[1], a(tarfile.DIRTYPE, "wheels"), *m[2:]], "'wheels' is a folder"),
    "link in place of a file": (lambda m: [*m[:2], a(tarfile.SYMTYPE, m[2][0].name), *m[3:]], "is a symbolic link"),
    "sparse file": (lambda m: [*m, a(tarfile.GNUTYPE_SPARSE)], "'evil' is of type"),
    "absolute path": (lambda m: [*m, plain("/etc/cron.d/x")], "'/etc/cron.d/x' is absolute"),
    "climbing path": (lambda m: [*m, plain("../../x")], r"'\.\./\.\./x' climbs out"),
    "climbing path first": (lambda m: [m[0], m[1], plain("docs/../../x"), *m[2:]], "climbs out"),
    "duplicate": (lambda m: [*m[:4], m[3], *m[4:]], "comes twice"),
    "duplicate at the end": (lambda m: [*m, m[2]], "'configs/small.yaml' comes twice"),
    "case collision": (lambda m: [*m, plain("DOCS/EMPTY.MD")], "'DOCS/EMPTY.MD' is not in the manifest"),
    "another file": (lambda m: [*m[:3], plain("docs/evil"), *m[3:]], "'docs/evil' is not in the manifest"),
    "other order": (lambda m: [*m[:2], m[3], m[2], *m[4:]], "comes out of its order"),
    "missing": (lambda m: [*m[:4], *m[5:]], "where 'install.pyz' should be"),
    "larger": (
        lambda m: [*m[:2], plain(m[2][0].name, m[2][1] + b"x"), *m[3:]],
        "'configs/small.yaml' has another size",
    ),
    "set-user bit": (lambda m: changed(m, mode=0o4755), "has another size, mode"),
    "owner": (lambda m: changed(m, uid=1000), "has another size, mode, owner"),
    "named owner": (lambda m: changed(m, uname="root"), "has another size, mode, owner"),
    "time": (lambda m: changed(m, mtime=1), "has another size, mode, owner or time"),
    "extended header": (lambda m: changed(m, pax_headers={"comment": "x"}), "there is an extended header"),
    "long added name": (lambda m: [*m[:3], plain(f"docs/{'x' * 120}"), *m[3:]], "x{120}' is not in the manifest"),
}


@pytest.mark.parametrize(("make", "said"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_tar_is_refused(
    make: Callable[[Members], Members], said: str, made: tuple[Path, bytes], tmp_path: Path
) -> None:
    write_members(tmp_path / "same.tar", read_members(made[0]))
    assert (tmp_path / "same.tar").read_bytes() == made[0].read_bytes()
    write_members(tmp_path / "bad.tar", make(read_members(made[0])))
    with pytest.raises(BundleError, match=said):
        check_bundle(tmp_path / "bad.tar", key=made[1], verify=keys.verify)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar", "same.tar"]


def test_a_file_that_claims_to_be_huge_is_refused_before_it_is_read(made: tuple[Path, bytes], tmp_path: Path) -> None:
    huge = tar_header("manifest.json", 2**50)
    (tmp_path / "bad.tar").write_bytes(huge)
    with pytest.raises(BundleError):
        check_bundle(tmp_path / "bad.tar", key=made[1])
    (tmp_path / "no.tar").write_bytes(b"PK\3\4" + bytes(2000))
    with pytest.raises(BundleError, match="is no tar that begins"):
        check_bundle(tmp_path / "no.tar", key=made[1])
    (tmp_path / "empty.tar").write_bytes(b"")
    with pytest.raises(BundleError, match="is no tar that begins"):
        check_bundle(tmp_path / "empty.tar", key=None)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BundleError, match=r"holds no 'manifest\.json'"):
        check_bundle(tmp_path / "folder", key=None)


def test_a_second_archive_behind_the_end_is_refused(made: tuple[Path, bytes], tmp_path: Path) -> None:
    (tmp_path / "two.tar").write_bytes(made[0].read_bytes() + made[0].read_bytes())
    with pytest.raises(BundleError):
        check_bundle(tmp_path / "two.tar", key=made[1])


def test_an_unsigned_tar_is_read_and_a_signature_of_another_size_is_not(
    made: tuple[Path, bytes], tmp_path: Path
) -> None:
    make_small(tmp_path / "unsigned.tar", None)
    assert check_bundle(tmp_path / "unsigned.tar", key=None).key is None
    members = read_members(made[0])
    assert members[1][0].name == SIGNATURE
    members[1] = plain(SIGNATURE, members[1][1] + b"x")
    write_members(tmp_path / "bad.tar", members)
    with pytest.raises(BundleError, match=r"manifest\.sig"):
        check_bundle(tmp_path / "bad.tar", key=None)
    assert len(read_members(tmp_path / "unsigned.tar")) == len(small_items()) + 2
