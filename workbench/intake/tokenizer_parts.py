"""The parts of a tokenizer.json that are not its vocabulary, by an allow-list: known types, known keys, tame values.

Normalizers, pre-tokenizers, post-processors and decoders are small programs: a type or a key that the library may learn
later is refused until it was read here. Source: the serialised forms of tokenizers 0.23, and the older ones it reads.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from workbench.intake.charsmap import check_charsmap

Check = Callable[[Any], bool]

MAX_PARTS = 64  # of one file
MAX_NESTED = 4  # sequences inside each other
MAX_TEXT = 64  # characters that a part puts in, takes out or looks for
MAX_PIECES = 64  # of a template
MAX_GROWTH = 256  # characters that replacements, one after the other, can make of one
MAX_LENGTH = 2**20  # tokens, of padding and truncation
BEHAVIOURS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_flag_or_null(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _is_character(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_LENGTH


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_text(value[0]) and _is_count(value[1])


def _is_one_of(*names: str) -> Check:
    return lambda value: value in names


def _is_pattern(value: Any) -> bool:
    """A text, or a regular expression, which is judged apart."""
    match value:
        case {"String": str(text), **rest} if not rest:
            return 0 < len(text) <= MAX_TEXT
        case {"Regex": str(), **rest} if not rest:
            return True
    return False


BYTE_LEVEL = dict.fromkeys(("add_prefix_space", "trim_offsets", "use_regex"), _is_flag)
METASPACE = {
    "replacement": _is_character,
    "str_rep": _is_character,
    "add_prefix_space": _is_flag,
    "prepend_scheme": _is_one_of("always", "never", "first"),
    "split": _is_flag,
}
REPLACE = {"pattern": _is_pattern, "content": _is_text}
PLAIN: dict[str, Check] = {}
# Section → type → key → what its value has to be. What lists parts, templates or a charsmap is read by `Parts`.
KNOWN: Mapping[str, Mapping[str, Mapping[str, Check]]] = {
    "normalizer": {
        **dict.fromkeys(("ByteLevel", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "StripAccents"), PLAIN),
        "BertNormalizer": {
            **dict.fromkeys(("clean_text", "handle_chinese_chars", "lowercase"), _is_flag),
            "strip_accents": _is_flag_or_null,
        },
        "Strip": dict.fromkeys(("strip_left", "strip_right"), _is_flag),
        "Prepend": {"prepend": _is_text},
        "Replace": REPLACE,
        "Precompiled": {"precompiled_charsmap": lambda value: value is None or isinstance(value, str)},
        "Sequence": {"normalizers": lambda value: isinstance(value, list)},
    },
    "pre_tokenizer": {
        **dict.fromkeys(("BertPreTokenizer", "UnicodeScripts", "Whitespace", "WhitespaceSplit"), PLAIN),
        "ByteLevel": BYTE_LEVEL,
        "CharDelimiterSplit": {"delimiter": _is_character},
        "Digits": {"individual_digits": _is_flag},
        "FixedLength": {"length": lambda value: _is_count(value) and value > 0},
        "Metaspace": METASPACE,
        "Punctuation": {"behavior": _is_one_of(*BEHAVIOURS)},
        "Split": {"pattern": _is_pattern, "behavior": _is_one_of(*BEHAVIOURS), "invert": _is_flag},
        "Sequence": {"pretokenizers": lambda value: isinstance(value, list)},
    },
    "post_processor": {
        "BertProcessing": {"sep": _is_pair, "cls": _is_pair},
        "RobertaProcessing": {"sep": _is_pair, "cls": _is_pair, "trim_offsets": _is_flag, "add_prefix_space": _is_flag},
        "ByteLevel": BYTE_LEVEL,
        "TemplateProcessing": {
            **dict.fromkeys(("single", "pair"), lambda value: isinstance(value, list)),
            "special_tokens": lambda value: isinstance(value, dict),
        },
        "Sequence": {"processors": lambda value: isinstance(value, list)},
    },
    "decoder": {
        **dict.fromkeys(("ByteFallback", "Fuse"), PLAIN),
        "BPEDecoder": {"suffix": _is_text},
        "ByteLevel": BYTE_LEVEL,
        "CTC": {"pad_token": _is_text, "word_delimiter_token": _is_text, "cleanup": _is_flag},
        "Metaspace": METASPACE,
        "Replace": REPLACE,
        "Strip": {"content": _is_character, "start": _is_count, "stop": _is_count},
        "WordPiece": {"prefix": _is_text, "cleanup": _is_flag},
        "Sequence": {"decoders": lambda value: isinstance(value, list)},
    },
}
LISTS = {"normalizers", "pretokenizers", "processors", "decoders"}


@dataclass
class Parts:
    """What the parts of one file hold that is judged over all of them."""

    patterns: list[str] = field(default_factory=list)  # regular expressions
    looked_for: list[str] = field(default_factory=list)  # texts that are replaced or split at
    token_ids: list[int] = field(default_factory=list)  # that post-processors put in
    n_parts: int = 0
    growth: int = 1  # by replacements, at most

    def read(self, section: str, part: Any, depth: int = 0) -> None:
        """Judge one part, and those inside it. Raises ValueError."""
        if part is None and not depth:
            return
        self.n_parts += 1
        if self.n_parts > MAX_PARTS or depth > MAX_NESTED:
            raise ValueError(f"has more than {MAX_PARTS} parts, or more than {MAX_NESTED} inside each other")
        kind = part.get("type") if isinstance(part, dict) else None
        known = KNOWN[section].get(kind) if isinstance(kind, str) else None
        if known is None:
            raise ValueError(f"{section} is of the unknown type {str(kind)[:80]!r}")
        for key, value in part.items():
            if key != "type" and not (key in known and known[key](value)):
                raise ValueError(f"{section} {kind}: {key[:80]!r} may not be {str(value)[:80]!r}")
            if key in LISTS:
                for inner in value:
                    self.read(section, inner, depth + 1)
        self._gather(section, part)

    def _gather(self, section: str, part: dict[str, Any]) -> None:
        if section in ("normalizer", "decoder"):
            self.growth *= _growth_of(part)
            if self.growth > MAX_GROWTH:
                raise ValueError(f"makes {self.growth} characters of one by its replacements, at most {MAX_GROWTH} are")
        match part:
            case {"pattern": {"Regex": pattern}}:
                self.patterns.append(pattern)
            case {"pattern": {"String": text}}:
                self.looked_for.append(text)
            case {"type": "Precompiled", "precompiled_charsmap": str(charsmap)}:
                check_charsmap(_decode(charsmap))
            case {"type": "TemplateProcessing"}:
                self._read_template(part)
            case {"type": "BertProcessing" | "RobertaProcessing"}:
                self.token_ids += [part[key][1] for key in ("sep", "cls") if key in part]

    def _read_template(self, part: dict[str, Any]) -> None:
        tokens = part.get("special_tokens", {})
        for name in ("single", "pair"):
            pieces = part.get(name, [])
            if len(pieces) > MAX_PIECES or not all(_is_piece(piece, tokens) for piece in pieces):
                raise ValueError(
                    f"post_processor TemplateProcessing: {name!r} has more than {MAX_PIECES} pieces, or one that is "
                    "neither a sequence nor one of its special_tokens"
                )
        for key, token in tokens.items():
            match token:
                case {"id": str(), "ids": list(ids), "tokens": list(texts), **rest} if not rest:
                    if not (len(ids) == len(texts) <= MAX_PIECES and all(map(_is_count, ids))):
                        raise ValueError(f"special token {key[:80]!r} of the template has ids or tokens that are none")
                    self.token_ids += ids
                case _:
                    raise ValueError(f"special token {key[:80]!r} of the template is no token")


def check_lengths(padding: Any, truncation: Any) -> None:
    """Judge the lengths to which texts are padded and cut: absurd ones take the memory, some end the process.

    Raises:
        ValueError: one is no count, or contradicts another.
    """
    if padding is not None:
        strategy = padding.get("strategy") if isinstance(padding, dict) else None
        fixed = strategy.get("Fixed") if isinstance(strategy, dict) and len(strategy) == 1 else None
        multiple = padding.get("pad_to_multiple_of") if isinstance(padding, dict) else 0
        if not (strategy == "BatchLongest" or _is_count(fixed)):
            raise ValueError(f"padding has the strategy {str(strategy)[:80]!r}")
        if multiple is not None and not (_is_count(multiple) and multiple > 0):
            raise ValueError(f"padding goes to multiples of {str(multiple)[:80]!r}")
    if truncation is not None:
        counts = truncation if isinstance(truncation, dict) else {}
        length, stride = counts.get("max_length"), counts.get("stride")
        if not (_is_count(length) and _is_count(stride) and stride < max(1, length)):
            raise ValueError(f"truncation has max_length {str(length)[:40]} and, to be less, stride {str(stride)[:40]}")


def _growth_of(part: dict[str, Any]) -> int:
    """Return how many characters a replacement makes of one, at most."""
    match part:
        case {"type": "Replace", "pattern": {"String": text}}:
            return max(1, -(-len(part.get("content", "")) // len(text)))
        case {"type": "Replace"}:
            return 1 + len(part.get("content", ""))  # it may match nothing, and then stands beside each character
    return 1


def _is_piece(piece: Any, tokens: Mapping[str, Any]) -> bool:
    match piece:
        case {"SpecialToken": {"id": str(name), "type_id": int(type_id)}, **rest}:
            return not rest and name in tokens and _is_count(type_id)
        case {"Sequence": {"id": "A" | "B", "type_id": int(type_id)}, **rest}:
            return not rest and _is_count(type_id)
    return False


def _decode(charsmap: str) -> bytes:
    try:
        return base64.b64decode(charsmap, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"normalizer Precompiled: its charsmap is no base64: {error}") from error
