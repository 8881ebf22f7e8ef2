"""Stretches of a sentence that could answer a question: numbers with their units, codes, names, quotes, phrases.

Found by their shape and by the small words around them; the most firmly told kind first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from workbench.dataset.sections import Vocabulary, proper_names
from workbench.dataset.words import (
    DETERMINERS,
    FUNCTION_WORDS,
    IMPERATIVES,
    NUMBER_WORDS,
    PREPOSITIONS,
    SINGULAR_UNITS,
    word_set,
)


class ValueKind(IntEnum):
    """What a value is, the most firmly told first."""

    CODE = 0  # C-179, TK-3, L-Halo 14
    NUMBER = 1  # 130 minutes, 91 to 104 percent, eleven full turns
    QUOTE = 2  # what stands in quotes, or in capitals: GOOD MORNING
    TIME = 3  # 24 November, 3:20 in the afternoon, Wednesdays
    NAME = 4  # Edric Namoor, Port Ansel
    ACTION = 5  # what is to be done: "renew the hose ring"
    PHRASE = 6  # a red nylon pin, soapy alcohol


@dataclass(frozen=True, slots=True)
class Value:
    """A stretch [start, end) of one sentence. `unit` is the noun that a number counts ("minutes"), else empty."""

    start: int
    end: int
    kind: ValueKind
    unit: str = ""


_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_DAY = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_TIME = re.compile(
    rf"\b(?:\d{{1,2}} (?:{_MONTH})(?: \d{{4}})?|(?:{_MONTH}) \d{{1,2}}(?:, \d{{4}})?|\d{{4}}-\d\d-\d\d|mid-(?:{_MONTH})"
    rf"|\d{{1,2}}:\d\d(?: (?:in the (?:morning|afternoon|evening)|[ap]m))?"
    rf"|(?:{_DAY})s?(?: (?:morning|afternoon|evening)s?)?"
    r"|midnight|noon)\b"
)
_NO_NAME = re.compile(rf"(?:{_MONTH})|(?:{_DAY})s?|\d.*")
_NUMBER = r"(?:minus |plus )?\d[\d,]*(?:\.\d+)?"
_DIGITS = re.compile(rf"(?<![\w.,-])(?P<figure>{_NUMBER}(?:(?: to | and |-| x ){_NUMBER})?)(?![\w-]|[.,]\d)")
_SPELLED = re.compile(
    rf"\b(?P<figure>(?:{'|'.join(sorted(NUMBER_WORDS))})(?:-(?:one|{'|'.join(sorted(NUMBER_WORDS))}))?)\b"
)
_UNIT_WORD = re.compile(r" ([a-zA-Z]+(?:-[a-z]+)?)")
_AT_SMALL_WORD = re.compile(rf"[.,;:]|$| (?:{'|'.join(sorted(FUNCTION_WORDS))})\b")
_RATE = re.compile(r" (?:per|an?) (?!thousand|hundred|ten|dozen)[a-z]+(?: metre)?\b")
_CODE = re.compile(
    r"(?<![\w-])(?:[A-Z]{1,5}-?\d(?:[\d,]*\d)?[A-Z]?|[A-Z]{1,4}-[A-Za-z]+ \d+|\d{1,3}[A-Z]|\.[a-z]{1,3}\d"
    r"|[a-z]+\d+\.[a-z]{2,4})"
    r"(?![\w-]|[.,]\d)"
)
_QUOTED = re.compile(r"[\"“]([^\"“”]{2,60})[\"”]")
_CAPITALS = re.compile(r"(?<![\w-])[A-Z]{2,}(?: [A-Z]{2,})*(?![\w-])")
_CUES = PREPOSITIONS - {"as", "than", "like", "per", "about", "since", "until"}
_PARTICIPLES = word_set("kept made written built sold set taken given found held done put shown bent sent meant left")
_TAIL = re.compile(r" of ((?:(?:a|an|the) )?[a-z][a-z-]*(?: [a-z][a-z-]*)?)(?=[.,;:]|$)")
_VAGUE = word_set("every each any no some one this that these those")
_WEAK = word_set("way case time times thing things end rest day days year years one first last next kind part")


def find_values(sentence: str, vocabulary: Vocabulary) -> list[Value]:
    """Return values that do not overlap, in the order they stand in; of two that overlap the firmer one is kept."""
    found = [
        *_codes(sentence),
        *_numbers(sentence, vocabulary),
        *_quotes(sentence),
        *(Value(*match.span(), ValueKind.TIME) for match in _TIME.finditer(sentence)),
        *_names(sentence, vocabulary),
        *_actions(sentence),
        *_phrases(sentence),
    ]
    kept: list[Value] = []
    for value in sorted(found, key=lambda one: (one.kind is not ValueKind.TIME, one.kind, one.start - one.end)):
        if all(value.end <= other.start or other.end <= value.start for other in kept):
            kept.append(value)
    return sorted(kept, key=lambda value: value.start)


def _codes(sentence: str) -> Iterator[Value]:
    yield from (Value(*match.span(), ValueKind.CODE) for match in _CODE.finditer(sentence))


def _numbers(sentence: str, vocabulary: Vocabulary) -> Iterator[Value]:
    for pattern in (_DIGITS, _SPELLED):
        for match in pattern.finditer(sentence):
            before = sentence[: match.start()].split()
            if before and before[-1] in vocabulary.names:  # the number of a model: "the Corvel 40 measures"
                continue
            end, unit = _unit(sentence, match.end())
            spelled = pattern is _SPELLED
            counts = unit or sentence.startswith(" of ", match.end())
            if spelled and not counts:
                continue
            # "four days" is asked for as "how many days" and answered "four"; figures keep their unit.
            bare = spelled and " " not in unit
            yield Value(match.start(), match.end() if bare else end, ValueKind.NUMBER, unit)


def _unit(sentence: str, position: int) -> tuple[int, str]:
    """Return the end and the words of the unit that begins at `position`: up to three words, the last one the noun."""
    words: list[str] = []
    end = position
    for _ in range(3):
        match = _UNIT_WORD.match(sentence, end)
        if not match or match[1].lower() in FUNCTION_WORDS or (match[1][0].isupper() and words):
            break
        words.append(match[1])
        end = match.end()
        if _is_noun(match[1]):
            rate = _RATE.match(sentence, end)
            return (rate.end() if rate else end), " ".join(words)
    if len(words) == 1 and _AT_SMALL_WORD.match(sentence, end) and words[0][0].islower():  # "260 spectra are"
        return end, words[0]
    return position, ""


def _is_noun(word: str) -> bool:
    return word.lower() in SINGULAR_UNITS or (word.endswith("s") and len(word) > 2 and not word.endswith("ss"))


def _quotes(sentence: str) -> Iterator[Value]:
    yield from (Value(*match.span(1), ValueKind.QUOTE) for match in _QUOTED.finditer(sentence))
    yield from (Value(*match.span(), ValueKind.QUOTE) for match in _CAPITALS.finditer(sentence))


def _names(sentence: str, vocabulary: Vocabulary) -> Iterator[Value]:
    for match in proper_names(sentence, vocabulary):
        words, begin, opens = match[0].split(" "), match.start(), match.start() == 0
        # Only a sentence's first word may be capitalised without being part of the name; a date may stand before it.
        while words and (_NO_NAME.fullmatch(words[0]) or (opens and _is_ordinary(words[0], vocabulary))):
            begin += len(words.pop(0)) + 1
        if words:
            yield Value(begin, match.end(), ValueKind.NAME)


def _is_ordinary(word: str, vocabulary: Vocabulary) -> bool:
    return word not in vocabulary.names and (
        word.lower() in vocabulary.ordinary or word.lower() in FUNCTION_WORDS | IMPERATIVES
    )


def _actions(sentence: str) -> Iterator[Value]:
    """Yield short instructions at the end of a sentence: "..., renew the hose ring.", "... is to check the screw."."""
    body = len(sentence.rstrip(".!"))
    for match in re.finditer(r"(?:[:,;] (?:and |then )*|\bto )(?=[a-z])", sentence):
        told = re.split(r",? (?:and|or|before|when|if) |[,;:]", sentence[match.end() : body])[0]
        words = told.split()
        if 2 <= len(words) <= 7 and words[0] in IMPERATIVES:
            yield Value(match.end(), match.end() + len(told), ValueKind.ACTION)


def _phrases(sentence: str) -> Iterator[Value]:
    """Yield noun phrases by the small words around them: behind a preposition, "to be", or an article."""
    cue, article, begin = "", "", 0
    for match in re.finditer(r"[A-Za-z][\w'-]*|[^\w\s]", sentence):
        word = match[0].lower()
        if word in DETERMINERS:
            article, begin = word, match.start()
            continue
        if word not in FUNCTION_WORDS and (end := _phrase_end(sentence, match.start(), cue, article)) is not None:
            yield Value(begin if article in ("a", "an") else match.start(), end, ValueKind.PHRASE)
        cue, article = word, ""


def _phrase_end(sentence: str, start: int, cue: str, article: str) -> int | None:
    """Return the end of the words from `start` to the next small word or mark; None: not a phrase of 1 to 4 words."""
    behind_preposition = cue in _CUES and (cue != "to" or article != "")
    behind_be = cue in {"is", "are", "was", "were", "be"}
    if not (behind_preposition or behind_be or article) or article in _VAGUE or cue in ("such", ""):
        return None
    end, words, follower = start, list[str](), ""
    for match in re.finditer(r"[\w'-]+|[^\w\s]", sentence[start:]):
        follower = match[0].lower()
        if not re.fullmatch(r"[a-z][a-z'-]*", match[0]) or match[0] in FUNCTION_WORDS:
            break
        words.append(match[0])
        end = start + match.end()
    if not 1 <= len(words) <= 4 or words[-1] in _WEAK or words[-1].endswith("ly"):
        return None
    participle = words[0].endswith(("ed", "ing")) or words[0] in _PARTICIPLES
    if not article and ((participle and len(words) == 1) or (behind_be and len(words) > 1 and not participle)):
        return None
    if not behind_preposition and follower not in PREPOSITIONS | {".", ",", ";", ":", "and", "which", "that", "or"}:
        return None
    tail = _TAIL.match(sentence, end)  # "a bag of roasted chestnuts" is one thing
    return tail.end() if tail and not set(tail[1].split()) & (FUNCTION_WORDS - DETERMINERS | _WEAK) else end
