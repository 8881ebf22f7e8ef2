"""Small honest stand-ins: an embedder that hashes words, a chunker that cuts at blank lines, documents from a text."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from workbench.runs import fingerprint
from workbench.types import Chunk, Document, EmbedderIdentity, Float32

DIMENSION = 32
IDENTITY = EmbedderIdentity("hash", "0" * 64, DIMENSION, 256, "sum", True)
WORD = re.compile(r"\w+")


class HashEmbedder:
    """Sums one seeded direction a word, so texts that share words point alike. Counts the texts it embeds."""

    identity = IDENTITY
    max_tokens = 256
    n_special_tokens = 0

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[match.span() for match in WORD.finditer(text)] for text in texts]

    def embed_documents(self, texts: Sequence[str]) -> Float32:
        self.embedded.extend(texts)
        return np.stack([embed_text(text) for text in texts])

    def embed_questions(self, texts: Sequence[str]) -> Float32:
        return np.stack([embed_text(text) for text in texts])


def embed_text(text: str) -> Float32:
    words = [word.lower() for word in WORD.findall(text)] or [""]
    total = np.sum([word_direction(word) for word in words], axis=0)  # (D,)
    vector: Float32 = (total / np.linalg.norm(total)).astype(np.float32)
    return vector


@cache
def word_direction(word: str) -> NDArray[np.float64]:
    return np.random.default_rng(zlib.crc32(word.encode())).standard_normal(DIMENSION)


def make_document(id_: str, text: str) -> Document:
    return Document(id_, id_, id_, text, (), fingerprint(id_, text), {"kind": "test"})


def cut_paragraphs(documents: Sequence[Document]) -> list[Chunk]:
    chunks = []
    for document in documents:
        for number, match in enumerate(re.finditer(r"[^\n]+", document.text)):
            span = (match.start(), match.end(), match.group())
            chunks.append(Chunk(f"{document.id}#{number:04d}", document.id, *span, headings=(document.title,)))
    return chunks
