"""Tokenizers made to do harm, and the honest ones beside them: tokenizer.json, SentencePiece, tiktoken, tekken.

`TOKENIZERS` is a table as in `hostile.py`: name → what spoils a copy of an honest model's folder, by one fault each.
`CAUGHT_BY_TRIAL` are those that only the trial can tell.
"""

from __future__ import annotations

import base64
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.intake.hostile import Canary, Spoil, plain, setting

NAME = "tokenizer.json"
HONEST = {"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}}
DOUBLE = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 64}
SPECIAL = {"id": 2, "content": "<x>", "special": True}
X = {"SpecialToken": {"id": "[X]", "type_id": 0}}
TOKEN = {"id": "[X]", "ids": [1], "tokens": ["[X]"]}


def whole(**changes: Any) -> Spoil:
    """Put a small tokenizer with these parts into the folder."""
    return plain(NAME, json.dumps(HONEST | changes))


def model(**changes: Any) -> Spoil:
    """Put a small tokenizer with a model like this into the folder."""
    return whole(model=HONEST["model"] | changes)  # type: ignore[operator]


def split(pattern: str) -> Spoil:
    """Let it split at a regular expression."""
    return whole(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    )


def nested(depth: int) -> dict[str, Any]:
    """Return sequences inside each other."""
    return {"type": "Sequence", "normalizers": [nested(depth - 1)] if depth else []}


def template(single: Any, tokens: Any = None) -> Spoil:
    """Let a template put pieces around what was cut."""
    piece = {"Sequence": {"id": "A", "type_id": 0}}
    return whole(
        post_processor={
            "type": "TemplateProcessing",
            "single": single,
            "pair": [piece, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": tokens or {},
        }
    )


def padding(strategy: Any, multiple: Any = None) -> Spoil:
    """Let it pad."""
    rest = {"direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "a"}
    return whole(padding={"strategy": strategy, "pad_to_multiple_of": multiple, **rest})


def charsmap(content: bytes) -> Spoil:
    """Normalise by a charsmap."""
    return whole(
        normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(content).decode()},
    )


# A trie of one block: its root leads to unit 1, which has a leaf at 256 + 1, beyond the block.
LEAVING = (1024).to_bytes(4, "little") + struct.pack("<I", 0xFFFFFFFF) * 256 + b"x\0"
# A root whose leaf says that the replacement begins at byte 900.
POINTING = (1024).to_bytes(4, "little") + struct.pack("<2I", 1 << 10 | 1 << 8, 0x80000000 | 900) + bytes(1016) + b"x\0"

CAUGHT_BY_TRIAL: dict[str, Spoil] = {
    "pattern that doubles": split("(a+)+$"),
    "pattern that squares": split(" +▁"),
    "pattern that cubes": split(r"\w+\w+\d"),
    "pattern of a decoder": whole(decoder={"type": "Replace", "pattern": {"Regex": "(?:x|xx)+y"}, "content": ""}),
    "pattern unknown to the engine": split(r"\p{Nonsense}"),
    "merge of no tokens": model(type="BPE", unk_token=None, merges=[["a", "c"]]),
    "nothing for what is unknown": model(unk_token="<missing>"),
}
PARTS: dict[str, Spoil] = {
    "nothing": plain(NAME, "{}"),
    "a list": plain(NAME, "[]"),
    "no JSON": plain(NAME, b"\x80\x04"),
    "a key twice": plain(NAME, '{"model": {"type": "WordLevel", "vocab": {"a": 0, "a": 1}, "unk_token": "a"}}'),
    "an unknown key": whole(plugins=["mine"]),
    "an unknown part": whole(normalizer={"type": "Lua", "code": "x"}),
    "a part of another section": whole(decoder={"type": "Lowercase"}),
    "a part's unknown key": whole(normalizer={"type": "Lowercase", "locale": "tr"}),
    "a part that is a text": whole(pre_tokenizer="Whitespace"),
    "parts deep": whole(normalizer=nested(6)),
    "parts very deep": plain(NAME, '{"normalizer": ' + '{"type":"Sequence","normalizers":[' * 50_000),
    "many parts": whole(normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}] * 100}),
    "a long replacement": whole(normalizer=DOUBLE | {"content": "a" * 65}),
    "replacements that multiply": whole(normalizer={"type": "Sequence", "normalizers": [DOUBLE] * 8}),
    "replacements between all": whole(
        normalizer={"type": "Sequence", "normalizers": [DOUBLE | {"pattern": {"Regex": ""}}] * 2}
    ),
    "a replacement of nothing": whole(normalizer=DOUBLE | {"pattern": {"String": ""}}),
    "pieces of length 0": whole(pre_tokenizer={"type": "FixedLength", "length": 0}),
    "a template without end": template([{"Sequence": {"id": "A", "type_id": 0}}] * 65),
    "a template's missing token": template([{"SpecialToken": {"id": "[X]", "type_id": 0}}]),
    "a template's id beyond": template(
        [{"SpecialToken": {"id": "[X]", "type_id": 0}}], {"[X]": TOKEN | {"ids": [10**6]}}
    ),
    "a template's token that is none": template([], {"[X]": 7}),
    "padding without end": padding({"Fixed": 2**40}),
    "padding of another kind": padding("Sideways"),
    "padding to multiples of 0": padding("BatchLongest", 0),
    "stride as long as the text": whole(
        truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 4}
    ),
    "truncation that is a list": whole(truncation=[4, 0]),
    "padding that is a text": whole(padding="Fixed"),
    "charsmap cut": charsmap(b"\xff"),
    "charsmap that claims": charsmap(b"\xff\xff\xff\x7f" + bytes(64)),
    "charsmap that leaves": charsmap(LEAVING),
    "charsmap that points": charsmap(POINTING),
    "charsmap no base64": whole(normalizer={"type": "Precompiled", "precompiled_charsmap": "***"}),
}
PATTERNS: dict[str, Spoil] = {
    f"pattern {name}": split(pattern)
    for name, pattern in {
        "that refers back": r"(a)\1",
        "that calls itself": r"(?<a>x|\(\g<a>*\))",
        "with a condition": "(a)?(?(1)b|c)",
        "with absence": "(?~abc)",
        "with a verb": "(*FAIL)",
        "that is long": "a" * 5000,
        "that is deep": "(" * 30 + "a" + ")" * 30,
        "that counts far": "(?:a{1000}){100000}",
        "that does not end": "[a",
        "that repeats nothing": "*a",
    }.items()
}
VOCABULARIES: dict[str, Spoil] = {
    "model of another type": model(type="Neural"),
    "model whose type is a list": model(type=["WordLevel"]),
    "model's unknown key": model(weights="model.bin"),
    "dropout": model(type="BPE", unk_token=None, merges=[], dropout=0.5),
    "words without end": model(type="WordPiece", max_input_chars_per_word=10**9),
    "no vocabulary": model(vocab=None),
    "two of one id": model(vocab={"a": 0, "b": 0}),
    "an id beyond the model": model(vocab={"a": 0, "b": 10**6}),
    "a negative id": model(vocab={"a": -1}),
    "an id that is a text": model(vocab={"a": "0"}),
    "an id of many digits": plain(NAME, '{"model": {"type": "WordLevel", "vocab": {"a": ' + "9" * 5000 + "}}}"),
    "a long token": model(vocab={"a" * 2000: 0}),
    "merges that are none": model(type="BPE", unk_token=None, merges=["a b c"]),
    "a score that is none": plain(NAME, '{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", NaN]]}}'),
    "unknown beyond": whole(model={"type": "Unigram", "unk_id": 7, "vocab": [["a", 0.0]]}),
    "added twice": whole(added_tokens=[SPECIAL, SPECIAL | {"content": "<y>"}]),
    "added beyond the model": whole(added_tokens=[SPECIAL | {"id": 10**6}]),
    "added that is none": whole(added_tokens=[7]),
    "added with an unknown key": whole(added_tokens=[SPECIAL | {"code": "x"}]),
    "added with a switch that is none": whole(added_tokens=[SPECIAL | {"special": "yes"}]),
    "of another version": plain("tokenizer.9.9.json", "{}"),
    "vocab.txt that is no text": plain("vocab.txt", b"\xff\xfe"),
    "merges.txt of one line": plain("merges.txt", "a" * 10_000),
    "vocab.json that is none": plain("vocab.json", '{"a": [0]}'),
    "vocab.json with an id far away": plain("vocab.json", '{"a": 1000000000000}'),
    "added_tokens.json beyond": plain("added_tokens.json", '{"<x>": 1000000}'),
    "added far away": setting("tokenizer_config.json", added_tokens_decoder={"1000000000000": {"content": "<x>"}}),
    "added under a word": setting("tokenizer_config.json", added_tokens_decoder={"x": {"content": "<x>"}}),
    "added as a list": setting("tokenizer_config.json", added_tokens_decoder=[{"content": "<x>"}]),
    "a token that is none": setting("tokenizer_config.json", sep_token=["<x>"]),
    "a token with code": setting("special_tokens_map.json", eos_token={"content": "<x>", "code": "x"}),
    "lengths below 0": setting("tokenizer_config.json", model_max_length=-1),
    "a side that is none": setting("tokenizer_config.json", padding_side="up"),
    "tekken's pattern": plain("tekken.json", json.dumps({"config": {"pattern": "(a+)+$"}, "vocab": []})),
    "tekken without a pattern": plain("tekken.json", "{}"),
    "tekken's size": plain("tekken.json", '{"config": {"pattern": "a", "default_vocab_size": 1e15}, "vocab": []}'),
}


def varint(number: int) -> bytes:
    """Return a number as Protocol Buffers write it; negative ones take 10 bytes."""
    number %= 2**64
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def numbered(field: int, value: int | float | str | bytes) -> bytes:
    """Return one field of a message."""
    match value:
        case float():
            return varint(field << 3 | 5) + struct.pack("<f", value)
        case int():
            return varint(field << 3) + varint(value)
        case str() | bytes():
            content = value.encode() if isinstance(value, str) else value
            return varint(field << 3 | 2) + varint(len(content)) + content


def piece(text: str | bytes, score: float = 0.0, kind: int = 1) -> bytes:
    """Return one piece of a SentencePiece model."""
    return numbered(1, numbered(1, text) + numbered(2, score) + numbered(3, kind))


UNKNOWN = piece("<unk>", kind=2)
TRAINER = numbered(3, 1) + numbered(4, 3) + numbered(43, -1)
PIECES = UNKNOWN + piece("a", -1.5) + piece("<0x0A>", kind=6)
HONEST_PIECES = PIECES + numbered(2, TRAINER) + numbered(3, numbered(1, "identity") + numbered(2, b""))


def other_pieces(content: bytes) -> Spoil:
    """Put a SentencePiece model beside the tokenizer."""
    return plain("tokenizer.model", content)


def pickled_pieces(folder: Path, canary: Path) -> None:
    """A pickle by the name of a model."""
    (folder / "spiece.model").write_bytes(pickle.dumps(Canary(canary)))


MODELS_OF_PIECES: dict[str, Spoil] = {
    "empty": other_pieces(b""),
    "no message": other_pieces(b"\xff" * 64),
    "a pickle": pickled_pieces,
    "cut": other_pieces(HONEST_PIECES[:-3]),
    "more at the end": other_pieces(HONEST_PIECES + b"\0\0"),
    "a length that lies": other_pieces(varint(1 << 3 | 2) + varint(2**40) + b"a"),
    "a number without end": other_pieces(HONEST_PIECES + b"\x80" * 11),
    "a number of 70 bits": other_pieces(UNKNOWN + numbered(2, varint(4 << 3) + b"\xff" * 9 + b"\x7f")),
    "an unknown field": other_pieces(HONEST_PIECES + numbered(9, b"x")),
    "an extension": other_pieces(HONEST_PIECES + numbered(200, b"x")),
    "a group": other_pieces(HONEST_PIECES + varint(1 << 3 | 3) + varint(1 << 3 | 4)),
    "a field of another kind": other_pieces(HONEST_PIECES + numbered(4, 7)),
    "a part twice": other_pieces(HONEST_PIECES + numbered(2, TRAINER)),
    "a field twice": other_pieces(UNKNOWN + numbered(2, TRAINER + numbered(3, 2))),
    "an id beyond": other_pieces(PIECES + numbered(2, numbered(40, 99))),
    "a type of model that is none": other_pieces(PIECES + numbered(2, numbered(3, 9))),
    "a switch of 2": other_pieces(PIECES + numbered(3, numbered(3, 2))),
    "nothing unknown": other_pieces(piece("a")),
    "two unknown": other_pieces(UNKNOWN + piece("<u>", kind=2)),
    "a piece twice": other_pieces(UNKNOWN + piece("a") + piece("a")),
    "an empty piece": other_pieces(UNKNOWN + piece("")),
    "a piece that is no text": other_pieces(UNKNOWN + piece(b"\xff\xfe")),
    "a piece without end": other_pieces(UNKNOWN + piece("a" * 2000)),
    "a score that is none": other_pieces(UNKNOWN + piece("a", float("nan"))),
    "a score without end": other_pieces(UNKNOWN + piece("a", float("inf"))),
    "a piece of no type": other_pieces(UNKNOWN + piece("a", kind=9)),
    "a byte that is none": other_pieces(UNKNOWN + piece("a", kind=6)),
    "more pieces than ids": other_pieces(UNKNOWN + b"".join(piece(f"p{n}") for n in range(1500))),
    "a charsmap that leaves": other_pieces(PIECES + numbered(3, numbered(2, LEAVING))),
    "a charsmap on the way back": other_pieces(PIECES + numbered(5, numbered(2, POINTING))),
    "tests that are none": other_pieces(PIECES + numbered(4, numbered(1, numbered(3, "x")))),
    "ranks no base64": other_pieces(b"YQ== 0\n!! 1\n"),
    "ranks twice": other_pieces(b"YQ== 0\nYg== 0\n"),
    "ranks of one token": other_pieces(b"YQ== 0\nYQ== 1\n"),
    "ranks beyond": other_pieces(b"YQ== 999999\n"),
}
Table = dict[str, Spoil]


def named(kind: str, tables: list[Table]) -> Table:
    """Return all of these fixtures, with what they are before their names."""
    return {f"{kind} {name}": spoil for table in tables for name, spoil in table.items()}


TOKENIZERS: dict[str, Callable[[Path, Path], None]] = {
    **named("tokenizer", [CAUGHT_BY_TRIAL, PARTS, PATTERNS, VOCABULARIES]),
    **named("pieces", [MODELS_OF_PIECES]),
}
