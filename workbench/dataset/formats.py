"""Files of training rows that others write: which formats there are, told apart by content, never by the file's name.

| format | looks like | becomes |
|---|---|---|
| prompt | JSON lines with `prompt` and `completion`; either may be a list of messages (TRL) | chat rows |
| chat | JSON lines with `messages`, as OpenAI fine-tuning takes them | one chat row per assistant turn |
| alpaca | JSON lines or one JSON list with `instruction`, `input`, `output` | chat rows |
| sharegpt | JSON lines or one JSON list with `conversations` | one chat row per answer |
| text | anything else: texts parted by two blank lines | text rows |
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from workbench.errors import DatasetError
from workbench.evaluation.faults import Faults, read_json_lines


class Format(StrEnum):
    """A format of training rows."""

    PROMPT = "prompt"
    CHAT = "chat"
    ALPACA = "alpaca"
    SHAREGPT = "sharegpt"
    TEXT = "text"


KEYS = {  # a record with this key is of this format
    "messages": Format.CHAT,
    "conversations": Format.SHAREGPT,
    "instruction": Format.ALPACA,
    "completion": Format.PROMPT,
    "prompt": Format.PROMPT,
}
Record = tuple[int, dict[str, Any]]  # the line it begins on, counted from 1

_BLANKS = re.compile(r"\s*,?\s*")


def read_file(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        DatasetError: it does not exist, is a folder, is empty, or is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist; give a file of rows or a dataset's folder") from error
    except IsADirectoryError as error:
        raise DatasetError(f"{path} is a folder without dataset.json; give a file of rows or a dataset") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DatasetError(f"{path.name}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    if not text.strip():
        raise DatasetError(f"{path.name} is empty; expected rows")
    return text


def tell_format(text: str, path: Path) -> Format:
    """Return the format of a file by the keys of its first record; text that is not JSON is text.

    Raises:
        DatasetError: it is JSON, but its first record has none of the known keys.
    """
    start = text.lstrip()
    if not start.startswith(("{", "[")):
        return Format.TEXT
    first = re.match(r"\[?\s*", start)
    try:
        record, _ = json.JSONDecoder().raw_decode(start, first.end() if first else 0)
    except json.JSONDecodeError as error:
        if not re.match(r"\[?\s*\{\s*\"", start):
            return Format.TEXT  # prose that opens with a bracket
        line = text[: len(text) - len(start)].count("\n") + error.lineno
        raise DatasetError(f"{path.name}:{line}: is not JSON: {error.msg} at character {error.colno}") from error
    found = [format_ for key, format_ in KEYS.items() if isinstance(record, dict) and key in record]
    if found:
        return found[0]
    if not isinstance(record, dict):
        return Format.TEXT
    shown = ", ".join(map(str, record)) or "no key"
    raise DatasetError(f"{path.name}:1: the first record has {shown}; known are {', '.join(KEYS)}")


def read_records(text: str, faults: Faults) -> Iterator[Record]:
    """Yield (line, record) of JSON lines or of one JSON list; what is no object is noted in `faults`."""
    if text.lstrip().startswith("["):
        yield from _listed(text, faults)
    else:
        yield from read_json_lines(text, faults)


def _listed(text: str, faults: Faults) -> Iterator[Record]:
    decoder = json.JSONDecoder()
    place = text.index("[") + 1
    while True:
        blanks = _BLANKS.match(text, place)
        place = blanks.end() if blanks else place
        line = text.count("\n", 0, place) + 1
        if text[place : place + 1] in ("]", ""):
            if not text[place:]:
                faults.add(line, "line", "the list is not closed")
            return
        try:
            record, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            faults.add(error.lineno, "line", f"is not JSON: {error.msg} at character {error.colno}")
            return
        if isinstance(record, dict):
            yield line, record
        else:
            faults.add(line, "line", f"is a JSON {type(record).__name__}, not an object")
