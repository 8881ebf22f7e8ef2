"""A dataset on disk: the same bytes twice, read lazily, and refused when it is not what was written."""

import json
import os
from pathlib import Path

import pytest

from tests.dataset.samples import make_workshop
from workbench.dataset import GeneratorCount, Manifest, read_dataset, write_dataset
from workbench.dataset.generators import make_rows
from workbench.errors import DatasetError
from workbench.rows import DatasetRow, Task, Turn

ROWS = tuple(make_rows(make_workshop(forms=3)))
CHAT = DatasetRow(
    id="import-1", task=Task.CHAT, turns=(Turn(role="user", content="Hi"),), completion="Hello", generator="import"
)


def manifest(rows: tuple[DatasetRow, ...]) -> Manifest:
    return Manifest(
        seed=7,
        config={},
        prompt={},
        fingerprints={},
        documents=2,
        facts={},
        coverage={"answers": 0, "covered": 0},
        rejects={},
        generators={"questions": GeneratorCount(made=3, kept=2, dropped={"secret": 1})},
        n_rows=len(rows),
        n_dev=0,
    )


def write(folder: Path, rows: tuple[DatasetRow, ...] = (*ROWS, CHAT)) -> Path:
    write_dataset(folder, rows, manifest(rows))
    return folder


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = read_dataset(write(tmp_path / "dataset"))
    assert (len(rows), list(rows)) == (len(ROWS) + 1, [*ROWS, CHAT])
    assert rows[-1] == CHAT
    assert rows[1:4] == list(ROWS[1:4])
    assert {Task.CHAT, Task.TEXT, Task.READER, Task.CLOSED_BOOK} == {row.task for row in rows}
    with pytest.raises(IndexError, match="row 9999"):
        rows[9999]
    assert rows.manifest.generators["questions"].dropped == {"secret": 1}


def test_no_rows_at_all_are_a_dataset_too(tmp_path: Path) -> None:
    assert list(read_dataset(write(tmp_path / "dataset", ()))) == []


def test_equal_rows_give_equal_bytes_wherever_they_are_written(tmp_path: Path) -> None:
    one, other = write(tmp_path / "one" / "dataset"), write(tmp_path / "elsewhere" / "other")
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 4
    for name in files:
        content = (one / name).read_bytes()
        assert content == (other / name).read_bytes(), name
        assert str(tmp_path).encode() not in content
        assert os.uname().nodename.encode() not in content or len(os.uname().nodename) < 6


def test_nothing_is_written_beside_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    read_dataset(write(tmp_path / "dataset"))[0]
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_rows_are_mapped_not_loaded(tmp_path: Path) -> None:
    rows = read_dataset(write(tmp_path / "dataset"))
    (mapped,) = rows._table.cache_files
    assert Path(mapped["filename"]).is_relative_to(tmp_path / "dataset")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: next((folder / "rows").glob("*.arrow")).write_bytes(b"torn"), "is damaged: SHA-256 is"),
        (lambda folder: next((folder / "rows").glob("*.arrow")).unlink(), "is damaged: SHA-256 is nothing"),
        (lambda folder: (folder / "dataset.json").write_text("{"), "dataset.json is damaged"),
        (lambda folder: (folder / "dataset.json").unlink(), "holds no dataset; make one: workbench dataset build"),
        (lambda folder: change(folder, schema_version=2), "is of version 2, this program reads 1"),
        (lambda folder: change(folder, n_rows="many"), "`n_rows`"),
        (lambda folder: change(folder, n_rows=3), "dataset.json says 3"),
    ],
)
def test_what_was_not_written_so_is_refused(tmp_path: Path, damage: object, message: str) -> None:
    folder = write(tmp_path / "dataset")
    damage(folder)  # type: ignore[operator]
    with pytest.raises(DatasetError, match=message):
        read_dataset(folder)


def change(folder: Path, **fields: object) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
