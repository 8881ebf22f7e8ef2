"""SentencePiece models as the package writes them, whole and changed at any place; charsmaps; tiktoken's ranks."""

from __future__ import annotations

import random
import struct
from importlib.util import find_spec

import pytest

from tests.intake.hostile_tokenizers import HONEST_PIECES, UNKNOWN, numbered, piece
from tests.intake.real_pieces import BPE, UNIGRAM
from workbench.intake.charsmap import check_charsmap
from workbench.intake.sentencepiece_file import MODEL, NORMALIZER, check_sentencepiece
from workbench.intake.tiktoken_file import check_tiktoken, is_tiktoken
from workbench.intake.vetting import find_judge
from workbench.intake.wire import read_message


def charsmap_of(model: bytes) -> bytes:
    normalizer = dict(read_message(dict(read_message(model, MODEL))["normalizer_spec"], NORMALIZER))  # type: ignore[arg-type]
    charsmap = normalizer["precompiled_charsmap"]
    assert isinstance(charsmap, bytes)
    return charsmap


@pytest.mark.parametrize("content", [UNIGRAM, BPE, HONEST_PIECES], ids=["unigram", "bpe", "made here"])
def test_a_real_model_passes_as_long_as_its_ids_fit(content: bytes) -> None:
    n_pieces = sum(name == "pieces" for name, _ in read_message(content, MODEL))
    check_sentencepiece(content, n_pieces)
    check_sentencepiece(content, None)
    with pytest.raises(ValueError, match=f"has {n_pieces} pieces; the model beside it takes from 1 to {n_pieces - 1}"):
        check_sentencepiece(content, n_pieces - 1)


def test_a_real_charsmap_passes_and_none_is_one_too() -> None:
    charsmap = charsmap_of(UNIGRAM)
    assert len(charsmap) > 1024
    check_charsmap(charsmap)
    check_charsmap(b"")
    for n_bytes in range(1, len(charsmap)):
        with pytest.raises(ValueError, match="charsmap"):
            check_charsmap(charsmap[:n_bytes])


def test_no_cut_or_change_of_a_model_is_anything_but_a_refusal_or_a_model() -> None:
    dice, n_refused = random.Random(0), 0
    for n in range(1500):
        content = bytearray(dice.choice((UNIGRAM, BPE)))
        for _ in range(dice.randint(1, 3)):
            place = dice.randrange(len(content))
            match n % 4:
                case 0:
                    content[place] = dice.randrange(256)
                case 1:
                    content[place] ^= 1 << dice.randrange(8)
                case 2:
                    del content[place : place + dice.randint(1, 40)]
                case _:
                    content[place:place] = content[place : place + dice.randint(1, 40)]
        try:
            check_sentencepiece(bytes(content), None)
        except ValueError:
            n_refused += 1
    assert n_refused > 800


def test_a_trie_that_walks_in_a_circle_ends() -> None:
    units = [0xFFFFFFFF] * 256
    units[0] = 1 << 10  # children at 1 ^ label
    units[1 ^ 2] = 2 | (1 ^ 2 ^ 1) << 10  # the child of label 2 leads to the root's children again
    check_charsmap((1024).to_bytes(4, "little") + struct.pack("<256I", *units) + b"x\0")


def test_tiktokens_ranks_are_told_from_pieces() -> None:
    ranks = b"IQ== 0\nIg== 1\n\n"
    assert is_tiktoken(ranks)
    assert not is_tiktoken(UNIGRAM)
    check_tiktoken(ranks, 2)
    with pytest.raises(ValueError, match="line 2"):
        check_tiktoken(ranks, 1)


@pytest.mark.parametrize("most", [2**21, None])
def test_a_large_model_is_read_in_linear_time(most: int | None) -> None:
    content = UNKNOWN + b"".join(piece(f"p{n}") for n in range(20_000)) + numbered(2, numbered(3, 1))
    check_sentencepiece(content, most)


@pytest.mark.skipif(find_spec("sentencepiece") is None, reason="only where the package is, a model is tried out")
def test_a_model_is_tried_out_where_its_reader_is_installed() -> None:
    judge = find_judge("tokenizer.model")
    assert judge is not None
    judge(UNIGRAM, None)
    judge(BPE, None)
