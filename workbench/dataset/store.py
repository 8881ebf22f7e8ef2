"""A dataset's folder: rows as Arrow, read memory-mapped, and `dataset.json`, which says what they were made of.

Same config, seed and documents give the same bytes: no clock time, no path, no name of a machine stands in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pydantic import Field, ValidationError

from workbench.errors import DatasetError
from workbench.rows import DatasetRow
from workbench.runs import fingerprint_file, new_folder, recover_folder, write_json
from workbench.types import Frozen

if TYPE_CHECKING:
    from datasets import Dataset, Features

SCHEMA_VERSION = 1
MANIFEST = "dataset.json"
ROWS = "rows"


class GeneratorCount(Frozen):
    """What became of one generator's rows: `made` is `kept` plus all of `dropped`."""

    made: int
    kept: int
    dropped: dict[str, int] = Field({})  # by reason


class Manifest(Frozen):
    """What a dataset was made of, and what it holds."""

    schema_version: int = SCHEMA_VERSION
    seed: int
    config: dict[str, Any]  # the section `dataset:`, without paths
    prompt: dict[str, Any]  # the section `prompt:`: how its rows are asked
    fingerprints: dict[str, str]  # SHA-256 of corpus, collection, tokenizer and the like
    documents: int  # that rows may come from
    facts: dict[str, int]  # by kind
    coverage: dict[str, int]  # answers of training questions: `answers`, and those within a fact, `covered`
    rejects: dict[str, int]  # what the writer's model gave and was refused, by reason
    generators: dict[str, GeneratorCount]
    n_rows: int
    n_dev: int
    row_fingerprint: str = ""  # SHA-256 over the rows as JSON lines
    files: dict[str, str] = Field({})  # SHA-256 of each file of the rows


class StoredRows(Sequence[DatasetRow]):
    """The rows of a dataset on disk; a row is read, and checked, when it is asked for."""

    def __init__(self, folder: Path, manifest: Manifest, table: Dataset) -> None:
        self.folder = folder
        self.manifest = manifest
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, place: int) -> DatasetRow: ...

    @overload
    def __getitem__(self, place: slice) -> list[DatasetRow]: ...

    def __getitem__(self, place: int | slice) -> DatasetRow | list[DatasetRow]:
        if isinstance(place, slice):
            return [self[n] for n in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(f"row {place} of {len(self)}")
        try:
            return DatasetRow.model_validate(self._table[place % len(self)])
        except ValidationError as error:
            raise DatasetError(f"{self.folder}: row {place}: {error.errors()[0]['msg']}") from error

    def __iter__(self) -> Iterator[DatasetRow]:
        return (self[n] for n in range(len(self)))


def write_dataset(folder: Path, rows: Sequence[DatasetRow], manifest: Manifest) -> Manifest:
    """Write rows and manifest to `folder`, which is replaced whole or not at all; return the manifest as written."""
    records = [row.model_dump(mode="json") for row in rows]
    hash_ = fingerprint_rows(rows)
    with new_folder(folder) as temporary:
        _save(records, hash_, temporary / ROWS)
        files = {path.name: fingerprint_file(path) for path in sorted((temporary / ROWS).iterdir())}
        whole = manifest.model_copy(update={"row_fingerprint": hash_, "files": files})
        write_json(temporary / MANIFEST, whole)
    return whole


def read_manifest(folder: Path) -> Manifest:
    """Return what a dataset's folder says of itself.

    Raises:
        DatasetError: there is no dataset, or another version wrote it, or its manifest is damaged.
    """
    recover_folder(folder)
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetError(f"{folder} holds no dataset; make one: workbench dataset build CONFIG") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} is damaged: {error}; build the dataset again") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise DatasetError(f"{path} is of version {version}, this program reads {SCHEMA_VERSION}; build it again")
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        raise DatasetError(f"{path}: `{'.'.join(map(str, fault['loc']))}`: {fault['msg']}; build it again") from error


def read_dataset(folder: Path) -> StoredRows:
    """Open a dataset. Its files are checked against their checksums; rows are mapped from disk, not loaded.

    Raises:
        DatasetError: there is none, another version wrote it, or a file is missing or not what was written.
    """
    manifest = read_manifest(folder)
    for name, wanted in manifest.files.items():
        path = folder / ROWS / name
        found = fingerprint_file(path) if path.is_file() else "nothing"
        if found != wanted:
            raise DatasetError(f"{path} is damaged: SHA-256 is {found}, {MANIFEST} says {wanted}; build it again")
    from datasets import Dataset

    table = Dataset.load_from_disk(str(folder / ROWS), keep_in_memory=False)
    if len(table) != manifest.n_rows:
        raise DatasetError(f"{folder} holds {len(table)} rows, {MANIFEST} says {manifest.n_rows}; build it again")
    return StoredRows(folder, manifest, table)


def fingerprint_rows(rows: Iterable[DatasetRow]) -> str:
    """Return a SHA-256 (hex) over the rows as JSON lines, in order."""
    hash_ = hashlib.sha256()
    for row in rows:
        hash_.update(row.model_dump_json().encode() + b"\n")
    return hash_.hexdigest()


def _save(records: list[dict[str, Any]], hash_: str, folder: Path) -> None:
    import datasets
    import pyarrow

    features = _features()
    table = pyarrow.Table.from_pylist(records, schema=features.arrow_schema)
    # Without a fingerprint of ours the library makes one of the clock.
    dataset = datasets.Dataset(datasets.table.InMemoryTable(table), fingerprint=hash_[:16])
    with _quiet():
        dataset.save_to_disk(str(folder), num_shards=1)


def _features() -> Features:
    """Return the columns of `DatasetRow`, so that empty lists have a type too."""
    from datasets import Features, List, Value

    text, whole = Value("string"), Value("int64")
    span = {"document_id": text, "start": whole, "end": whole}
    return Features(
        {
            "id": text,
            "task": text,
            "question": text,
            "passages": List({**span, "text": text, "context": text}),
            "turns": List({"role": text, "content": text}),
            "completion": text,
            "generator": text,
            "template": text,
            "seed": whole,
            "sources": List(span),
            "fact": text,
            "group": text,
            "split": text,
        }
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's own progress bars off the screen."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
