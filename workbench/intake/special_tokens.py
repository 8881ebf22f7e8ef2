"""What tokenizer_config.json and special_tokens_map.json say of tokens and lengths; a wrong kind breaks a loader.

Source: `PreTrainedTokenizerBase._from_pretrained` and `AddedToken` of Transformers 5.23.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import ModelIntegrityError

NAMES = ("tokenizer_config.json", "special_tokens_map.json")
SPECIAL = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
LISTS = ("additional_special_tokens", "extra_special_tokens")
SIDES = ("padding_side", "truncation_side")
SWITCHES = frozenset({"single_word", "lstrip", "rstrip", "normalized", "special"})
MAX_TOKENS = 2**17
MAX_CHARACTERS = 1024
MAX_LENGTH = 1e31  # "as long as you like" is written as 1e30


def vet_special_tokens(path: Path, value: Any) -> None:
    """Judge the keys that name tokens, ids and lengths. Raises ModelIntegrityError: the first that may not be so."""
    if not isinstance(value, dict):
        raise ModelIntegrityError(f"{path}: holds {type(value).__name__}, expected settings by name")
    for key, item in value.items():
        if not _is_sound(key, item):
            raise ModelIntegrityError(f"{path}: {key[:80]!r} may not be {str(item)[:80]!r}")


def _is_sound(key: str, item: Any) -> bool:
    if item is None:
        return True
    if key in CHECKS:
        return CHECKS[key](item)
    return not key.endswith("_token") or isinstance(item, bool) or _is_token(item)  # add_bos_token is a switch


def _are_tokens(item: Any) -> bool:
    tokens = item.values() if isinstance(item, dict) else item
    return isinstance(item, (dict, list)) and len(item) <= MAX_TOKENS and all(map(_is_token, tokens))


def _are_tokens_by_id(item: Any) -> bool:
    """Whether ids stand before tokens: Transformers fills up all the ids below the largest."""
    return (
        isinstance(item, dict)
        and _are_tokens(item)
        and all(map(_is_id, item))
        and all(isinstance(token, dict) for token in item.values())
    )


def _is_length(item: Any) -> bool:
    return isinstance(item, (int, float)) and not isinstance(item, bool) and 0 < item <= MAX_LENGTH


def _are_names(item: Any) -> bool:
    return isinstance(item, list) and all(isinstance(name, str) and name.isidentifier() for name in item)


def _is_id(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) < 8


def _is_token(item: Any) -> bool:
    """Whether an item is a token: its text, or an `AddedToken` key by key."""
    match item:
        case str():
            return len(item) <= MAX_CHARACTERS
        case {"content": str(text), **rest}:
            kind = rest.pop("__type", "AddedToken")
            rest.pop("id", None)
            return (
                len(text) <= MAX_CHARACTERS
                and kind == "AddedToken"
                and rest.keys() <= SWITCHES
                and all(isinstance(one, bool) for one in rest.values())
            )
    return False


CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(SPECIAL, _is_token),
    **dict.fromkeys(LISTS, _are_tokens),
    **dict.fromkeys(SIDES, lambda item: item in ("left", "right")),
    "added_tokens_decoder": _are_tokens_by_id,
    "model_max_length": _is_length,
    "model_input_names": _are_names,
}
