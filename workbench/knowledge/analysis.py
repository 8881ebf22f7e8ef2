"""How text becomes words, the same for chunks and questions, and how a word becomes a number. Not an index.

Words: runs of letters and digits (so "E-104" is "e" and "104"), lower-cased, without the 33 English stop words of
Lucene, cut to their English stem (Snowball: "prices" and "price" are one word). ASCII text goes this way untouched;
other text is first brought to Unicode's NFKC form ("ﬁ" is "fi", full-width and composed letters are one spelling).
Accents stay. Other languages keep their stop words, and the English stemmer cuts some of their endings (German
"Häuser" stays, French "naïve" becomes "naïv"), in chunks and questions alike; Cyrillic and Greek stay whole. Scripts
that do not put a space between words (Han, Kana, Thai, Lao, Khmer, Burmese) and Hangul become overlapping pairs of
characters, as in Lucene's CJK analyzer. A run of 255 bytes or more is no word and is left out.

A word is stored as 64 bits of BLAKE2b, so no text lies in an index; its holder can still test a guessed word.
Two of a collection's V different words share a number with odds below V² / 2^65 (one in 370,000 at ten million words);
they would then count as one word.

Source: Porter, Snowball, 2001; Unicode Standard Annex 15; RFC 7693.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import cache, lru_cache

from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

TOO_LONG_BYTES = 255
_PURPOSE = b"workbench words"  # part of every hash; another one is another index format
# Letters and marks only: digits and punctuation of these scripts are the tokenizer's business.
_UNSPACED = re.compile(
    "[\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ece\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
    "\u1100-\u11ff\u3005-\u3007\u3031-\u3035\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+"
)


def find_words(text: str) -> list[str]:
    """Return the words of `text`, repeated ones included; pairs of unspaced scripts come last. May be empty."""
    if text.isascii():
        return _analyzer().analyze(text)
    text = unicodedata.normalize("NFKC", text)
    pairs = [pair for run in _UNSPACED.findall(text) for pair in _pair_characters(run)]
    return _analyzer().analyze(_UNSPACED.sub(" ", text) if pairs else text) + pairs


def hash_words(text: str) -> list[int]:
    """Return the numbers, in [0, 2^64), of the words of `text`, in the order of `find_words`."""
    return list(map(_hash_word, find_words(text)))


def _pair_characters(run: str) -> list[str]:
    return [run[start : start + 2] for start in range(len(run) - 1)] or [run]


@lru_cache(maxsize=2**18)
def _hash_word(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8, person=_PURPOSE).digest(), "little")


@cache
def _analyzer() -> TextAnalyzer:
    return (
        TextAnalyzerBuilder(Tokenizer.simple())
        .filter(Filter.remove_long(TOO_LONG_BYTES))
        .filter(Filter.lowercase())
        .filter(Filter.stopword("english"))
        .filter(Filter.stemmer("english"))
        .build()
    )
