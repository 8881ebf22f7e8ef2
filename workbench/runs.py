"""A run's folder: atomic writes, JSON lines that survive a kill, fingerprints, and stages reused when nothing changed.

The one place that opens files for writing atomically: temp in the same folder, flush, fsync, rename, fsync the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
from pydantic import BaseModel, ValidationError

from workbench.errors import RunMismatchError, named_path
from workbench.locking import hold_writer_lock
from workbench.processes import launch_id, process_count, process_rank

Record = TypeVar("Record", bound=BaseModel)
STAGE_FILE = "stage.json"
LAUNCH_FILE = "launch"  # which launch of processes works on a stage
LENT_FILE = "lent_by"  # the run that did a stage, where it was copied
SECONDS_BETWEEN_LOOKS = 0.05


def fingerprint(*parts: object) -> str:
    """Return a SHA-256 (hex) over the canonical JSON of `parts`; equal content gives an equal fingerprint."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=_as_json, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_file(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, content: str | bytes, *, mode: int | None = None) -> None:
    """Replace `path` by `content`: after a crash it holds the old content or the new, never a part.

    Args:
        mode: who may read it, such as 0o600, from before it has content; None: as the process makes files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with named_path(path), temporary.open("wb") as stream:
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, atomically; keys keep their order."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False, default=_as_json) + "\n")


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with named_path(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends well and vanishes when it does not.

    An existing `target` is replaced only then. Files and folder are fsynced before the rename.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    recover_folder(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        with named_path(target):
            yield temporary
            for path in sorted(temporary.rglob("*")):
                if path.is_file():
                    with path.open("rb") as stream:
                        os.fsync(stream.fileno())
        sync_folder(temporary)
        replaced = _replaced_name(target)
        if target.exists():
            target.replace(replaced)
        temporary.replace(target)
        sync_folder(target.parent)
        shutil.rmtree(replaced, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def recover_folder(target: Path) -> None:
    """Put back what a kill between `new_folder`'s two renames left under another name; call before reading `target`.

    What killed processes left unfinished is removed.
    """
    ours = re.compile(rf"\.{re.escape(target.name)}\.([1-9]\d{{0,8}})\.tmp")  # others' files may have names like it
    for litter in target.parent.glob(".*.tmp"):
        match = ours.fullmatch(litter.name)
        if match and not psutil.pid_exists(int(match[1])):
            shutil.rmtree(litter, ignore_errors=True)
    replaced = _replaced_name(target)
    if replaced.exists():
        if target.exists():
            shutil.rmtree(replaced)
        else:
            replaced.replace(target)


def _replaced_name(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block has ended. Only the main thread gets signals; elsewhere nothing is held."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):  # ignored: leave it so
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(came[0], None)


def to_lines(records: Iterable[BaseModel]) -> str:
    """Return one JSON line a record."""
    return "".join(record.model_dump_json() + "\n" for record in records)


def append_lines(path: Path, records: Iterable[BaseModel]) -> None:
    """Append one JSON line a record and make them durable; a kill leaves whole lines and at most one torn last line."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(to_lines(records))
        stream.flush()
        os.fsync(stream.fileno())


def read_lines(path: Path, model: type[Record]) -> list[Record]:
    """Read JSON lines. A torn last line (killed while writing) is cut off the file; any other bad line is an error.

    Raises:
        RunMismatchError: a line other than the last is not a `model`.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    whole, newline, torn = content.rpartition(b"\n")
    if torn:
        write_atomically(path, whole + newline)
    records = []
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        try:
            records.append(model.model_validate_json(line))
        except ValidationError as error:
            raise RunMismatchError(f"{path}:{number}: not a {model.__name__}: {error.errors()[0]['msg']}") from error
    return records


class Run:
    """A run's folder and its stages. Each stage is a folder stamped with the fingerprint of its inputs."""

    def __init__(self, folder: Path, *, lenders: Sequence[Path] = ()) -> None:
        """Open or create `folder`. A stage that a lender (another run's folder) did with equal inputs is copied."""
        self.folder = folder
        self.lenders = tuple(lender for lender in lenders if lender != folder)
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return a path inside the run's folder."""
        return self.folder / name

    def stage_done(self, name: str, inputs: str) -> dict[str, Any] | None:
        """Return what stage `name` recorded when it finished with these `inputs`; None if it did not."""
        return _done(self.folder / name, inputs)

    def last_result(self, name: str) -> dict[str, Any] | None:
        """Return what stage `name` recorded when it last finished, whatever its inputs were; None if it never did."""
        try:
            result: dict[str, Any] = json.loads((self.folder / name / STAGE_FILE).read_text(encoding="utf-8"))["result"]
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return result

    def lender_of(self, name: str) -> Path | None:
        """Return the folder of the run that did stage `name`; None: this run did it itself, or nobody has."""
        lent = self.folder / name / LENT_FILE
        return Path(lent.read_text(encoding="utf-8")) if lent.exists() else None

    def forget(self, name: str) -> None:
        """Make stage `name` run again next time; what it left stays for it to resume."""
        with suppress(FileNotFoundError):
            (self.folder / name / STAGE_FILE).unlink()

    def stage(
        self, name: str, inputs: str, work: Callable[[Path], dict[str, Any]], *, together: bool = False
    ) -> tuple[dict[str, Any], bool]:
        """Run `work(folder)` unless it finished before with equal `inputs`; return its result and if it was reused.

        The folder of an unfinished stage with equal inputs is handed to `work` again, so that it can resume; one with
        other inputs is emptied first. Of several processes that were launched together the first one does the stage
        and the others wait for its result, having run `work` beside it where the stage is done `together`.

        Raises:
            BusyError: another process works on this stage.
        """
        done = self.stage_done(name, inputs)
        if done is not None:
            return done, True
        if process_rank() > 0:
            return self._follow(name, inputs, work if together else None), False
        with hold_writer_lock(self.folder / f".{name}.lock"):
            done = self.stage_done(name, inputs)  # by the process that held the lock until now
            if done is None:
                done = self._borrow(name, inputs)
            return (done, True) if done is not None else (self._work(name, inputs, work), False)

    def _borrow(self, name: str, inputs: str) -> dict[str, Any] | None:
        for lender in self.lenders:
            if _done(lender / name, inputs) is not None:
                with new_folder(self.folder / name) as folder:
                    shutil.copytree(lender / name, folder, dirs_exist_ok=True)
                    if not (folder / LENT_FILE).exists():  # the first that did it stays named
                        write_atomically(folder / LENT_FILE, lender.as_posix())
                return _done(self.folder / name, inputs)
        return None

    def _work(self, name: str, inputs: str, work: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        folder = self.folder / name
        with suppress(FileNotFoundError):  # before anything else goes: a half-emptied folder must not look done
            (folder / STAGE_FILE).unlink()
        (folder / LENT_FILE).unlink(missing_ok=True)
        begun = folder / "inputs"
        if folder.exists() and not (begun.exists() and begun.read_text(encoding="utf-8") == inputs):
            shutil.rmtree(folder)
        write_atomically(begun, inputs)
        if process_count() > 1:
            write_atomically(folder / LAUNCH_FILE, launch_id())
        result = work(folder)
        write_json(folder / STAGE_FILE, {"inputs": inputs, "result": result})
        return result

    def _follow(self, name: str, inputs: str, work: Callable[[Path], dict[str, Any]] | None) -> dict[str, Any]:
        """Wait for the first process's result, working beside it once it has made the folder ready."""
        launched = self.folder / name / LAUNCH_FILE
        while (done := self.stage_done(name, inputs)) is None:
            if work is not None and launched.exists() and launched.read_text(encoding="utf-8") == launch_id():
                work(self.folder / name)
                work = None
            time.sleep(SECONDS_BETWEEN_LOOKS)  # the launcher ends every process when one fails
        return done


def _done(folder: Path, inputs: str) -> dict[str, Any] | None:
    try:
        stamp = json.loads((folder / STAGE_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return stamp["result"] if stamp["inputs"] == inputs else None


def _as_json(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no canonical JSON")
