"""A sentence and one stretch of it → questions for that stretch: wh-words, inverted where the grammar is plain.

"The meter weighs 75 kilograms without its flanges." → "How many kilograms does the meter weigh without its flanges?"
Where no rule fits, the sentence itself is asked with the wh-word in its place. Source of the approach: Heilman and
Smith, Good Question!, NAACL 2010, https://aclanthology.org/N10-1086 (rules over trees; here over small words).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.dataset.values import Value, ValueKind
from workbench.dataset.words import (
    AUXILIARIES,
    FUNCTION_WORDS,
    IMPERATIVES,
    NUMBER_WORDS,
    PREPOSITIONS,
    base_form,
    lower_first,
    upper_first,
    word_set,
)

_CLAUSE = re.compile(
    r"[;:] |, (?=(?:and|but|or|so|yet|which|who|where|because|since|though|although|while|as|then|for)\b)"
    r"| (?:but|because|whereas) "
)
_LEADING = re.compile(
    r"^(?P<lead>(?:If|When|Once|After|Before|Should|As soon as|Unless|In|At|On|For|With|From|Above|Below)"
    r" [^,;:]{3,90}, )"
)
_CLAUSE_WORDS = word_set("which who whom whose what that if when while because since than then not")
PLURALS = word_set("both these those many few several all most we you they i")
_CODED = word_set("code number part form type class size version")
_HEDGES = {"about", "roughly", "only", "some", "nearly", "almost", "now", "also", "just"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions for one value, none with the topic in it unless the sentence has it.

    `direct` is None where no rule gives a grammatical question; `indirect` follows "Please tell me"; `in_place` is the
    clause with the wh-word where the value stood, without a mark at its end.
    """

    direct: str | None
    indirect: str
    in_place: str
    wh: str


def ask_for(sentence: str, value: Value, names: frozenset[str]) -> Asked:
    """Return questions whose answer is `sentence[value.start:value.end]`.

    Args:
        names: words that keep the capital they have at the beginning of a sentence.
    """
    before, after, lead = _clause(sentence, value)
    before, lead = lower_first(before, names), lower_first(lead, names)
    wh, after, before = _wh(before, after, value, sentence[value.start : value.end])
    after = re.split(r",? and (?=\S+ \S+ \S+)", after)[0] if not after.startswith("and") else after
    in_place = _join(lead, before, wh, after)
    preposition, rest = _take_preposition(before)
    if rest.endswith((" and", " or", ",")):
        rest = ""
    fronted = f"{preposition} {wh}".strip()
    direct = _invert(rest, after, fronted, value)
    remainder = _join(rest, after)
    indirect = f"{fronted} {remainder}"
    if rest and _is_instruction(rest):
        indirect = f"{fronted} to {remainder}"
    tail = f", {lead.rstrip(', ')}" if lead else ""
    return Asked(
        direct=upper_first(f"{direct}{tail.replace(',', '')}?") if direct else None,
        indirect=f"{indirect}{tail}",
        in_place=upper_first(in_place),
        wh=wh,
    )


def _clause(sentence: str, value: Value) -> tuple[str, str, str]:
    """Return what stands before and after the value in its clause, and an opening "If ..., " of the sentence."""
    body = sentence.rstrip(" .!")
    start, end = 0, max(len(body), value.end)
    for match in _CLAUSE.finditer(body):
        if match.end() <= value.start and _is_whole(body[match.end() : end], value.end - value.start):
            start = match.end()
        elif match.start() >= value.end and _is_whole(body[start : match.start()], value.end - value.start):
            end = match.start()
            break
    leading = _LEADING.match(body)
    lead = leading["lead"] if leading and start == 0 and leading.end() <= value.start else ""
    start = max(start, len(lead))
    before = re.sub(r"^(?:and|but|so|or|yet|then|which|who) ", "", body[start : value.start].strip())
    return before.strip(' "“'), body[value.end : end].strip(' "”'), lead


def _is_whole(clause: str, n_value: int) -> bool:
    """Whether a clause says enough to stand alone: a verb to be seen, and four words."""
    words = clause.split()
    return (
        len(words) >= 4
        and len(clause) > n_value + 12
        and any(word in AUXILIARIES or base_form(word) for word in words[1:])
    )


def _wh(before: str, after: str, value: Value, value_text: str) -> tuple[str, str, str]:
    """Return the wh-words for a value, and what stands after and before it without what they take over."""
    words = before.split()
    while words and words[-1].lower() in _HEDGES and value.kind is ValueKind.NUMBER:
        words.pop()
    article = words and words[-1].lower() in {"the", "a", "an"}
    last = words[-2].lower() if article and len(words) > 1 else words[-1].lower() if words else ""
    if article and value.kind in (ValueKind.PHRASE, ValueKind.NAME, ValueKind.QUOTE):
        words.pop()
    before = " ".join(words)
    match value.kind:
        case ValueKind.NUMBER if value.unit:
            stripped = after.removeprefix(value.unit).strip() if after.startswith(value.unit) else after
            return f"how many {value.unit}", stripped, before
        case ValueKind.NUMBER:
            return "which number", after, before
        case ValueKind.CODE:
            nouns = [
                word for word in ("code", "number", "part", "form", "type", "class", "size", "version") if word == last
            ]
            return (f"which {nouns[0]}", after, " ".join(words[:-1])) if nouns else ("which code", after, before)
        case ValueKind.TIME:
            return "when" if last not in PREPOSITIONS else "what time", after, before
        case ValueKind.NAME:
            two = " " in value_text and not any(letter.isdigit() for letter in value_text)
            wh = "whom" if two and last == "by" else "which place" if last in {"in", "at", "from", "to"} else ""
            return wh or ("who" if two else "what"), after, before
        case ValueKind.QUOTE | ValueKind.PHRASE | ValueKind.ACTION:
            return "what", after, before


def _take_preposition(before: str) -> tuple[str, str]:
    """Return a preposition that ends `before` ("up to", "by"), and the rest."""
    words = before.split()
    taken: list[str] = []
    while words and (words[-1].lower() in PREPOSITIONS or (taken and words[-1].lower() in {"at", "up", "down"})):
        taken.insert(0, words.pop().lower())
        if len(taken) == 2:
            break
    if words[-1:] in (["every"], ["each"]):
        taken.insert(0, words.pop())
    return " ".join(taken), " ".join(words)


def _invert(before: str, after: str, wh: str, value: Value) -> str | None:
    """Return "wh aux subject rest" without a question mark; None where the subject cannot be told."""
    words = before.split()
    if not words:
        verb = after.split()[:1]
        if verb and (verb[0] in AUXILIARIES or base_form(verb[0])):
            return f"{wh} {after}"  # the value is the subject: "Which code appears?"
        return None
    if _is_instruction(before):
        return f"{wh} should one {_join(before, after)}"
    for place, word in enumerate(words[:9]):
        if word in AUXILIARIES and place and word not in ("be", "been"):
            subject = _subject(words[:place])
            return subject and f"{wh} {word} {subject} {_join(' '.join(words[place + 1 :]), after)}".strip()
    at = next((n for n in range(1, len(words)) if _is_verb(words, n)), None)
    if at is None or not (subject := _subject(words[:at])):
        return None
    return f"{wh} does {subject} {base_form(words[at])} {_join(' '.join(words[at + 1 :]), after)}".strip()


def _is_verb(words: list[str], place: int) -> bool:
    """Whether a word in -s is the verb and not a plural: a small word or the value follows, and no plural precedes."""
    if base_form(words[place]) is None or words[0].lower() in PLURALS | NUMBER_WORDS:
        return False
    follower = words[place + 1].lower() if place + 1 < len(words) else ""
    return not follower or (follower in FUNCTION_WORDS - AUXILIARIES - {"of", "and", "or"})


def _subject(words: list[str]) -> str | None:
    """Return the words as a subject; None: they are none."""
    if not words or len(words) > 8 or any("," in word for word in words):
        return None
    first = words[0].lower()
    if first in PREPOSITIONS or first in {"and", "or", "if", "when"}:
        return None
    if any(word.lower() in _CLAUSE_WORDS for word in words):
        return None
    return " ".join(words)


def _is_instruction(text: str) -> bool:
    """Whether the text tells to do something: a base verb first, and no second verb behind it."""
    words = text.lower().split()
    second = words[1] if len(words) > 1 else ""
    return words[0] in IMPERATIVES and second not in AUXILIARIES and (second in FUNCTION_WORDS or not base_form(second))


def _join(*parts: str) -> str:
    joined = " ".join(part.strip() for part in parts if part.strip())
    return re.sub(r"\s+([,;:.?])", r"\1", joined)
