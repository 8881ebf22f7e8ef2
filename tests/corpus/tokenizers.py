"""Three small tokenizers with the embedder's face: words, word pieces as BERT cuts them, and bytes as BPE ends up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers


@dataclass
class WordTokens:
    """One token a word, one a punctuation mark."""

    max_tokens: int = 64
    n_special_tokens: int = 2

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[match.span() for match in re.finditer(r"\w+|[^\w\s]", text)] for text in texts]


@dataclass
class LibraryTokens:
    """A tokenizer of the `tokenizers` library, as embedders bring one."""

    tokenizer: Tokenizer
    max_tokens: int = 64
    n_special_tokens: int = 2

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [encoding.offsets for encoding in self.tokenizer.encode_batch(list(texts), add_special_tokens=False)]


@cache
def word_pieces() -> LibraryTokens:
    """BERT's normaliser and splitter over a vocabulary of single letters and a few pieces; long words are unknown."""
    letters = [chr(code) for code in (*range(33, 127), *range(0xE0, 0x100))]
    pieces = ["[UNK]", *letters, *(f"##{letter}" for letter in letters), "the", "##ing", "##tion", "pump", "valve"]
    tokenizer = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return LibraryTokens(tokenizer)


@cache
def byte_pairs() -> LibraryTokens:
    """Byte-level BPE with two merges: blanks belong to the next word, and one emoji is four tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: n for n, piece in enumerate([*alphabet, "Ġt", "Ġth"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("Ġ", "t"), ("Ġt", "h")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    return LibraryTokens(tokenizer)
