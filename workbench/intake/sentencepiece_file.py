"""A SentencePiece model (tokenizer.model, spiece.model) against its description, before any library parses it.

Transformers reads it with the packages sentencepiece and protobuf, where both are installed, and only in a folder
without a tokenizer.json; none of ours needs them.
Source: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto (0.2.3), and what
`ModelInterface::InitializePieces` there demands of pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from workbench.intake import wire
from workbench.intake.charsmap import MAX_BYTES as MAX_CHARSMAP_BYTES
from workbench.intake.charsmap import check_charsmap
from workbench.intake.wire import Value, read_message

MAX_BYTES = 64 * 2**20
MAX_PIECES = 2**21
MAX_PIECE_BYTES = 1024
MAX_SAMPLES = 10_000  # of the self-test
INT, LONG = 2**31 - 1, 2**63 - 1
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
SPECIAL = ("unk", "bos", "eos", "pad")
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")

PIECE = {1: wire.text("piece", most=MAX_PIECE_BYTES), 2: wire.real("score"), 3: wire.number("type", NORMAL, BYTE)}
SAMPLE = {1: wire.text("input"), 2: wire.text("expected")}
SELF_TEST = {1: wire.block("samples", most=2**21, is_repeated=True)}
NORMALIZER = {
    1: wire.text("name", most=256),
    2: wire.block("precompiled_charsmap", most=MAX_CHARSMAP_BYTES),
    3: wire.switch("add_dummy_prefix"),
    4: wire.switch("remove_extra_whitespaces"),
    5: wire.switch("escape_whitespaces"),
    6: wire.text("normalization_rule_tsv"),
}
TRAINER = {
    1: wire.text("input", is_repeated=True),
    2: wire.text("model_prefix"),
    3: wire.number("model_type", 1, 4),
    4: wire.number("vocab_size", 0, MAX_PIECES),
    5: wire.text("accept_language", is_repeated=True),
    7: wire.text("input_format"),
    10: wire.real("character_coverage"),
    15: wire.real("shrinking_factor"),
    36: wire.text("required_chars"),
    44: wire.text("unk_surface"),
    51: wire.real("differential_privacy_noise_level"),
    53: wire.text("pretokenization_delimiter"),
    54: wire.text("seed_sentencepieces_file"),
    30: wire.text("control_symbols", is_repeated=True),
    31: wire.text("user_defined_symbols", is_repeated=True),
    **{number: wire.number(f"field {number}", 0, LONG) for number in (11, 52)},
    **{number: wire.number(f"field {number}", -INT - 1, INT) for number in (6, 12, 13, 14, 16, 17, 18, 20)},
    **{number: wire.switch(f"field {number}") for number in (19, *range(21, 27), 32, 33, 34, 35, 49, 50)},
    **{40 + place: wire.number(f"{name}_id", -1, MAX_PIECES) for place, name in enumerate(SPECIAL)},
    **{45 + place: wire.text(f"{name}_piece") for place, name in enumerate(SPECIAL)},
}
MODEL = {
    1: wire.block("pieces", most=2**12, is_repeated=True),
    2: wire.block("trainer_spec", most=2**24),
    3: wire.block("normalizer_spec", most=MAX_CHARSMAP_BYTES),
    4: wire.block("self_test_data", most=2**24),
    5: wire.block("denormalizer_spec", most=MAX_CHARSMAP_BYTES),
}


def check_sentencepiece(content: bytes, n_ids: int | None) -> None:
    """Read every field of a model, and see that its pieces can be pieces.

    Args:
        n_ids: how many ids the model beside it has embeddings for; None: unknown.
    Raises:
        ValueError: what is wrong; the content is no sound model.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"has {len(content)} bytes, at most {MAX_BYTES} are read")
    pieces: list[bytes] = []
    trainer: dict[str, Value] = {}
    for name, value in read_message(content, MODEL):
        assert isinstance(value, bytes)
        match name:
            case "pieces":
                pieces.append(value)
            case "trainer_spec":
                trainer = dict(read_message(value, TRAINER))
            case "self_test_data":
                _check_samples(value)
            case _:
                _check_normalizer(value)
    most = MAX_PIECES if n_ids is None else n_ids
    if not 0 < len(pieces) <= most:
        raise ValueError(f"has {len(pieces)} pieces; the model beside it takes from 1 to {most}")
    _check_pieces(pieces)
    for name, number in trainer.items():
        if name.endswith("_id") and isinstance(number, int) and number >= len(pieces):
            raise ValueError(f"{name} is {number}, but there are {len(pieces)} pieces")


def _check_pieces(pieces: Iterable[bytes]) -> None:
    seen: set[Value] = set()
    n_unknown = 0
    for place, content in enumerate(pieces):
        try:
            fields = dict(read_message(content, PIECE))
        except ValueError as error:
            raise ValueError(f"piece {place}: {error}") from error
        piece, kind = fields.get("piece", ""), fields.get("type", NORMAL)
        assert isinstance(piece, str)
        if not piece or piece in seen:
            raise ValueError(f"piece {place}: {piece[:80]!r} is empty or comes twice")
        if kind == BYTE and not BYTE_PIECE.fullmatch(piece):
            raise ValueError(f"piece {place}: {piece[:80]!r} is said to be a byte")
        seen.add(piece)
        n_unknown += kind == UNKNOWN
    if n_unknown != 1:
        raise ValueError(f"has {n_unknown} pieces for what is unknown, expected is 1")


def _check_samples(content: bytes) -> None:
    samples = [value for _, value in read_message(content, SELF_TEST)]
    if len(samples) > MAX_SAMPLES:
        raise ValueError(f"has {len(samples)} samples to test itself with, at most {MAX_SAMPLES} are read")
    for sample in samples:
        assert isinstance(sample, bytes)
        for _ in read_message(sample, SAMPLE):
            pass


def _check_normalizer(content: bytes) -> None:
    charsmap = dict(read_message(content, NORMALIZER)).get("precompiled_charsmap", b"")
    assert isinstance(charsmap, bytes)
    check_charsmap(charsmap)
