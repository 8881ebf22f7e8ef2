"""A tokenizer.json, part by part: parts of known types, the vocabulary's sizes and ids, and what is left to try out.

Its patterns are run by a backtracking engine, and the library that loads it panics on some faults instead of raising:
what passes here goes through a trial in a process of its own (`vetting.py`).
Source: tokenizers 0.23, and the loaders of Transformers 5.23, which read `added_tokens`, `vocab`, `merges` themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workbench.intake.tokenizer_parts import KNOWN, Parts, check_lengths

KEYS = frozenset({"version", "truncation", "padding", "added_tokens", "model", *KNOWN})
ADDED_KEYS = frozenset({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"})
MODEL_KEYS = {
    "BPE": {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback"}
    | {"ignore_merges", "merges"},
    "WordPiece": {"unk_token", "continuing_subword_prefix", "max_input_chars_per_word"},
    "WordLevel": {"unk_token"},
    "Unigram": {"unk_id", "byte_fallback"},
}
MAX_IDS = 2**22  # of a vocabulary beside no config
MAX_TOKENS = 2**21
MAX_MERGES = 2**22
MAX_ADDED = 2**17
MAX_TOKEN_CHARACTERS = 1024
MAX_WORD_CHARACTERS = 1000  # of WordPiece, whose time for a word grows with its square; 100 is usual
N_UNITS = 8  # texts of its own that a tokenizer is tried with


@dataclass(frozen=True, slots=True)
class ToTry:
    """What the trial has to run: patterns, and texts that this tokenizer treats in its own way."""

    patterns: tuple[str, ...]
    units: tuple[str, ...]


def check_tokenizer(value: Any, n_ids: int | None) -> ToTry:
    """Judge the value of a tokenizer.json.

    Args:
        n_ids: how many ids the model beside it has embeddings for; None: unknown.
    Raises:
        ValueError: what is wrong.
    """
    if not isinstance(value, dict) or not isinstance(value.get("model"), dict):
        raise ValueError("holds no tokenizer: there is no 'model' in it")
    if unknown := value.keys() - KEYS:
        raise ValueError(f"has the unknown key {min(unknown)[:80]!r}")
    parts = Parts()
    for section in KNOWN:
        parts.read(section, value.get(section))
    check_lengths(value.get("padding"), value.get("truncation"))
    most = MAX_IDS if n_ids is None else n_ids
    tokens = _check_model(value["model"], most)
    added = _check_added(value.get("added_tokens", []), most)
    if too_large := [one for one in parts.token_ids if one >= most]:
        raise ValueError(f"post_processor puts in the token {too_large[0]}, but there are {most} ids")
    longest = sorted(tokens, key=len, reverse=True)[:2]
    units = [*parts.looked_for[:N_UNITS], *added[:2], *sorted(added, key=len)[-2:], *longest, *_word_of(value["model"])]
    return ToTry(tuple(dict.fromkeys(parts.patterns)), tuple(dict.fromkeys(filter(None, units))))


def _check_model(model: dict[str, Any], most: int) -> Iterable[str]:
    """Judge the model and return its tokens."""
    kind = model.get("type", _guess_kind(model))
    if not isinstance(kind, str) or kind not in MODEL_KEYS:
        raise ValueError(f"model is of the unknown type {str(kind)[:80]!r}")
    if unknown := model.keys() - MODEL_KEYS[kind] - {"type", "vocab"}:
        raise ValueError(f"model {kind} has the unknown key {min(unknown)[:80]!r}")
    if model.get("dropout"):
        raise ValueError(f"model has dropout {str(model['dropout'])[:40]}, with which it cuts one text in many ways")
    for key in ("unk_token", "continuing_subword_prefix", "end_of_word_suffix"):
        if not (model.get(key) is None or _is_token(model[key])):
            raise ValueError(f"model: {key} is {str(model[key])[:80]!r}")
    width = model.get("max_input_chars_per_word", 0)
    if not _is_id(width, MAX_WORD_CHARACTERS + 1):
        raise ValueError(f"model reads words of {str(width)[:40]} characters, at most {MAX_WORD_CHARACTERS} are")
    if kind == "BPE":
        _check_merges(model.get("merges", []))
    return _check_scored(model, most) if kind == "Unigram" else check_vocabulary(model.get("vocab"), most)


def _guess_kind(model: dict[str, Any]) -> str:
    """Return what an old file without a type holds, as the library tells it."""
    if "merges" in model:
        return "BPE"
    if isinstance(model.get("vocab"), list):
        return "Unigram"
    return "WordPiece" if "max_input_chars_per_word" in model else "WordLevel"


def check_vocabulary(vocabulary: Any, most: int) -> Iterable[str]:
    """Judge tokens with their ids, no id twice and none from `most` on; return the tokens. Raises ValueError."""
    if not isinstance(vocabulary, dict) or len(vocabulary) > MAX_TOKENS:
        raise ValueError(f"has no vocabulary, or one of more than {MAX_TOKENS} tokens")
    for token, number in vocabulary.items():
        if not _is_token(token):
            raise ValueError(
                f"token {token[:80]!r} has {len(token)} characters, at most {MAX_TOKEN_CHARACTERS} are read"
            )
        if not _is_id(number, most):
            raise ValueError(f"token {token[:80]!r} has the id {str(number)[:40]}, the ids go from 0 to {most - 1}")
    if len(set(vocabulary.values())) < len(vocabulary):
        raise ValueError("two tokens have one id")
    return vocabulary.keys()


def _check_scored(model: dict[str, Any], most: int) -> Iterable[str]:
    entries = model.get("vocab")
    if not isinstance(entries, list) or not 0 < len(entries) <= min(most, MAX_TOKENS):
        raise ValueError(f"has no vocabulary, or one of more than {min(most, MAX_TOKENS)} tokens")
    for entry in entries:
        match entry:
            case [str(token), int() | float() as score] if len(token) <= MAX_TOKEN_CHARACTERS and math.isfinite(score):
                continue
        raise ValueError(f"token {str(entry)[:80]!r} is no text with a finite score")
    unknown = model.get("unk_id")
    if unknown is not None and not _is_id(unknown, len(entries)):
        raise ValueError(f"unk_id is {str(unknown)[:40]}, there are {len(entries)} tokens")
    return (entry[0] for entry in entries)


def _check_merges(merges: Any) -> None:
    if not isinstance(merges, list) or len(merges) > MAX_MERGES:
        raise ValueError(f"has no list of merges, or more than {MAX_MERGES}")
    for merge in merges:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(_is_token, pair))):
            raise ValueError(f"merge {str(merge)[:80]!r} is no pair of tokens")


def _check_added(added: Any, most: int) -> list[str]:
    if not isinstance(added, list) or len(added) > MAX_ADDED:
        raise ValueError(f"added_tokens is no list, or has more than {MAX_ADDED} tokens")
    ids, contents = set(), []
    for token in added:
        if not isinstance(token, dict) or token.keys() - ADDED_KEYS or not _is_token(token.get("content")):
            raise ValueError(f"added token {str(token)[:80]!r} is none")
        if not all(isinstance(item, bool) for key, item in token.items() if key not in ("id", "content")):
            raise ValueError(f"added token {token['content'][:80]!r} has a switch that is none")
        number = token.get("id")
        if not _is_id(number, most) or number in ids:
            raise ValueError(
                f"added token {token['content'][:80]!r} has the id {str(number)[:40]}, which comes twice or is not "
                f"below {most}, the number of ids"
            )
        ids.add(number)
        contents.append(token["content"])
    return contents


def _word_of(model: dict[str, Any]) -> list[str]:
    """Return the longest word that is cut into pieces, and a space; it takes the most time."""
    width = model.get("max_input_chars_per_word", 0)
    return ["a" * width + " "] if width else []


def _is_token(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TOKEN_CHARACTERS


def _is_id(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < most
