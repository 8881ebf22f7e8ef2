"""Which files a tokenizer is read from, and who judges each; what passed once is remembered by its SHA-256.

A file that libraries take for a tokenizer is judged as one whatever it says, by its name. Remembered is a hash of the
file, of these rules and of what stands beside it, so the trial of an unchanged file is held once on a machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workbench.errors import ModelIntegrityError
from workbench.intake import tokenizer_trial
from workbench.intake.children import run_trial
from workbench.intake.hashes import hash_files
from workbench.intake.json_files import parse_json, read_json
from workbench.intake.known_patterns import KNOWN_PATTERNS
from workbench.intake.patterns import plan_trial
from workbench.intake.sentencepiece_file import check_sentencepiece
from workbench.intake.tiktoken_file import check_tiktoken, is_tiktoken
from workbench.intake.tokenizer_file import MAX_IDS, ToTry, check_tokenizer, check_vocabulary
from workbench.intake.verdicts import has_passed, note_passed

RULES = 1  # changes with what is judged here, so that files are judged again
TRIAL_CPU_SECONDS = 30
TRIAL_BYTES = 2 * 2**30  # of address space, and more for a large file
BYTES_A_BYTE = 32  # of address space for one in the file: a vocabulary is held several times while it is loaded
MAX_FILE_BYTES = 128 * 2**20
# Transformers takes the file of the highest version of a name like this (`get_fast_tokenizer_file`).
TOKENIZER = re.compile(r"tokenizer\.(.*\.)?json$")
TEKKEN = re.compile(r"tekken.*\.json$")
VOCABULARIES = ("vocab.json", "added_tokens.json")
LINES = ("vocab.txt", "merges.txt")  # a token or a merge each
MAX_LINE_CHARACTERS = 2100  # two tokens and a space


def find_judge(name: str) -> Callable[[bytes, int | None], None] | None:
    """Return who judges the content of a file that tokenizers are read from; None: it is another file.

    The judge takes the content and how many ids the model has (None: unknown), and raises ValueError.
    """
    if TOKENIZER.search(name):
        return _judge_tokenizer
    if TEKKEN.search(name):
        return _judge_tekken
    if name in VOCABULARIES:
        return lambda content, n_ids: _judge_vocabulary(name, content, n_ids)
    if name in LINES:
        return _judge_lines
    return _judge_pieces if name.lower().endswith(".model") else None


def vet_tokenizer_file(root: Path, name: str, *, cache_path: Path | None) -> None:
    """Judge one of these files, unless it passed before.

    Args:
        cache_path: where hashes are remembered; what passed is remembered beside it. None: in this process.
    Raises:
        ModelIntegrityError: what is wrong.
    """
    path = root / name
    judge = find_judge(path.name)
    if judge is None:
        return
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"has {path.stat().st_size} bytes, at most {MAX_FILE_BYTES} are read")
        n_ids = count_ids(path.parent)
        reader = version("tokenizers")
        verdict = f"{RULES} {reader} {path.name} {n_ids} {hash_files(root, [name], cache_path=cache_path)[name]}"
        if not has_passed(verdict, cache_path):
            judge(path.read_bytes(), n_ids)
            note_passed(verdict, cache_path)
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:  # a judge that stumbles refuses
        raise ModelIntegrityError(f"{path}: {' '.join(str(error).split())[:600]}; it was not let in") from error


def count_ids(folder: Path) -> int | None:
    """Return how many ids the model in a folder has embeddings for, as its config says; None: it does not say."""
    path = folder / "config.json"
    config = read_json(path) if path.is_file() else None
    if not isinstance(config, dict):
        return None
    inner = config.get("text_config")
    for section in (config, inner if isinstance(inner, dict) else {}):
        found = section.get("vocab_size")
        if isinstance(found, int) and not isinstance(found, bool) and 0 < found <= MAX_IDS:
            return found
    return None


def _judge_tokenizer(content: bytes, n_ids: int | None) -> None:
    to_try = check_tokenizer(parse_json(content), n_ids)
    _try_out(to_try, content, "tokenizer.json")


def _judge_tekken(content: bytes, n_ids: int | None) -> None:
    """Judge Mistral's file: its pattern is run by Transformers, its vocabulary is a list of texts in base64."""
    match parse_json(content):
        case {"config": {"pattern": str(pattern)} as config, "vocab": list(vocabulary)}:
            pass
        case _:
            raise ValueError("holds no tekken tokenizer: no config with a pattern, or no vocab")
    sizes = [config.get(key, 0) for key in ("default_vocab_size", "default_num_special_tokens", "num_vocab_tokens")]
    if not all(isinstance(size, int) and 0 <= size <= MAX_IDS for size in [*sizes, len(vocabulary)]):
        raise ValueError(f"claims sizes {str(sizes)[:80]} for {len(vocabulary)} tokens, at most {MAX_IDS} are read")
    _try_out(ToTry((pattern,), ()), b"", "tekken")


def _judge_vocabulary(name: str, content: bytes, n_ids: int | None) -> None:
    """Judge tokens and ids; ids beyond the model's are told by the file that is read, which may be another."""
    value: Any = parse_json(content)
    check_vocabulary(value, MAX_IDS if n_ids is None or name == "vocab.json" else n_ids)


def _judge_lines(content: bytes, n_ids: int | None) -> None:
    lines = content.decode("utf-8").splitlines()
    longest = max(map(len, lines), default=0)
    if len(lines) > MAX_IDS or longest > MAX_LINE_CHARACTERS:
        raise ValueError(
            f"has {len(lines)} lines of up to {longest} characters, at most {MAX_IDS} of {MAX_LINE_CHARACTERS} are read"
        )


def _judge_pieces(content: bytes, n_ids: int | None) -> None:
    if is_tiktoken(content):
        check_tiktoken(content, n_ids)
        return
    check_sentencepiece(content, n_ids)
    if find_spec("sentencepiece") is not None:  # else nothing on this machine reads it
        _try_out(ToTry((), ()), content, "sentencepiece")


def _try_out(to_try: ToTry, content: bytes, form: str) -> None:
    plans = []
    for pattern in to_try.patterns:
        if pattern not in KNOWN_PATTERNS:
            try:
                shapes, atoms = plan_trial(pattern)
            except ValueError as error:
                raise ValueError(f"pattern {pattern[:200]!r} {error}") from error
            plans.append({"pattern": pattern, "atoms": atoms, "shapes": [(one.before, one.body) for one in shapes]})
    fault = run_trial(
        tokenizer_trial.__file__,
        {"patterns": plans, "units": to_try.units, "form": form},
        content,
        seconds=TRIAL_CPU_SECONDS,
        memory=TRIAL_BYTES + BYTES_A_BYTE * len(content),
    )
    if fault:
        raise ValueError(fault)
