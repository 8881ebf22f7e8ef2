"""What is wrong in a file of rows: collected first, raised together, one line a fault.

Not a logger: a file with one fault loads nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workbench.errors import QuestionFileError, WorkbenchError

SHOWN = 10  # faults printed; the rest is counted


class Faults:
    """The faults of one file, in the order they were met."""

    def __init__(self, path: Path, error: type[WorkbenchError] = QuestionFileError) -> None:
        """`error` is what `refuse` raises."""
        self.path = path
        self._error = error
        self._lines: list[str] = []

    def add(self, line: int, field: str, problem: str) -> None:
        """Note one fault. `line` counts from 1; `field` as the file names it."""
        self._lines.append(f"{self.path.name}:{line}: `{field}`: {problem}")

    def add_invalid(self, line: int, error: ValidationError) -> None:
        """Note every fault of one record that pydantic refused."""
        for fault in error.errors():
            self.add(line, field_name(fault["loc"]), _plain(fault["msg"]))

    def refuse(self) -> None:
        """Raise the error if anything was noted: up to ten faults, then how many more there are."""
        if not self._lines:
            return
        more = len(self._lines) - SHOWN
        rest = [f"... and {more} more; mend these and load the file again"] if more > 0 else []
        raise self._error("\n".join([*self._lines[:SHOWN], *rest]))


def read_json_lines(text: str, faults: Faults) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, record) of JSON lines; a line that is no JSON object is noted in `faults`."""
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            record = json.loads(content)
        except json.JSONDecodeError as error:
            faults.add(line, "line", f"is not JSON: {error.msg} at character {error.colno}")
            continue
        if isinstance(record, dict):
            yield line, record
        else:
            faults.add(line, "line", f"is a JSON {type(record).__name__}, not an object")


def field_name(location: Iterable[str | int]) -> str:
    """Write a pydantic location as a path: ("relevant", 0, "end") is `relevant[0].end`."""
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name or "line"


def _plain(message: str) -> str:
    words = {
        "Extra inputs are not permitted": "unknown field",
        "Field required": "is missing",
        "Input should be a valid tuple": "must be a list",
        "Input should be a valid list": "must be a list",
    }
    plain = words.get(message, message.removeprefix("Value error, "))
    return plain[0].lower() + plain[1:]
