"""The parsing child: reads files named on its standard input, answers one message a file, ends when the input ends.

Started by `isolation.py`, one file at a time, never by people. It confines itself before the first file.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from workbench.config import Limits
from workbench.contracts import Reader
from workbench.corpus import cleaning
from workbench.corpus.confinement import allow_cpu, confine, die_with, peak_memory
from workbench.corpus.reading import SourceFile, as_unreadable, load_readers, printable, read_source
from workbench.corpus.wire import READY, Reply, decode_files, encode_reply, read_frame, write_frame
from workbench.errors import UnreadableDocumentError
from workbench.types import Document, ReadFailure


def serve() -> None:
    """Answer until standard input ends. The first message holds the settings, the others lists of files."""
    requests = sys.stdin.buffer
    settings = json.loads(read_frame(requests) or b"{}")
    if not settings:
        return
    die_with(settings["parent"])
    limits = Limits.model_validate(settings["limits"])
    readers = load_readers(settings["readers"])
    cleaning.MAX_FILE_BYTES = limits.input_bytes  # one limit, whoever asks
    nowhere = os.open(os.devnull, os.O_WRONLY)  # opened here: a confined process opens nothing to write
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(nowhere, 1)  # what libraries print cannot get into the answers
    tempfile.gettempdir()  # looked for by writing; libraries only ask
    gc.freeze()
    confine(limits)
    os.dup2(nowhere, 2)  # until here a traceback is for the user: this installation cannot parse at all
    write_frame(answers, READY)
    while (asked := read_frame(requests)) is not None:
        for path, root, id_ in decode_files(asked):
            if answer(SourceFile(Path(path), Path(root), id_), readers, limits, answers):
                return


def answer(file: SourceFile, readers: Mapping[str, Reader], limits: Limits, answers: IO[bytes]) -> bool:
    """Read one file and write its reply, never longer than `limits.output_bytes`; return whether this child is spent.

    It is when it ever needed half of its memory: Python seldom gives it back, and the next file shall have all of it.
    """
    allow_cpu(limits.cpu_seconds)
    outcome: Document | ReadFailure
    try:
        outcome = read_source(file, readers, max_bytes=limits.input_bytes)
    except UnreadableDocumentError as error:
        outcome = to_failure(file.id, error)
    spent = peak_memory() > limits.memory_bytes // 2 or (isinstance(outcome, ReadFailure) and outcome.kind == "memory")
    try:
        payload = encode_reply(Reply(outcome, spent))
    except Exception as error:  # no memory, half a surrogate pair, metadata nested deeper than JSON is written
        spent = spent or isinstance(error, MemoryError)
        payload = encode_reply(Reply(to_failure(file.id, as_unreadable(file, error)), spent))
    if len(payload) > limits.output_bytes:
        message = f"{file.id} gives {len(payload):,} bytes, the limit is {limits.output_bytes:,}"
        reason = f"{message} (limits.output_bytes); split the file"
        payload = encode_reply(Reply(ReadFailure(file.id, "too_large", reason), spent))
    write_frame(answers, payload)
    return spent


def to_failure(id_: str, error: UnreadableDocumentError) -> ReadFailure:
    """Return the record of an error: its message on one line."""
    return ReadFailure(id_, error.kind, printable(" ".join(str(error).split())))
