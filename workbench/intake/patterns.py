r"""A tokenizer's regular expressions, read before anything runs them: which constructs, how long, what they repeat.

Oniguruma backtracks, so some patterns need a time for one text that doubles with each character, or grows with its
square. Constructs that no tokenizer needs are refused here: references back, calls, conditions, absence. Of the rest a
plan is made for the trial (`tokenizer_trial.py`): for each repetition, what stands before it and what it may repeat,
as lists of atoms (`\s`, `[^a]`, `x`). Which characters an atom stands for is found there, by Oniguruma itself.

Syntax: https://github.com/kkos/oniguruma/blob/master/doc/RE (the part of it that tokenizers use).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_CHARACTERS = 4096
MAX_DEPTH = 24  # groups or sets inside each other
MAX_COUNT = 1000  # in {n,m}
MAX_SHAPES = 24  # of one pattern; those of its first repetitions
MAX_BODIES = 6  # of one repetition
MAX_ATOMS = 24  # of a part of a shape
LONG = 16  # a repetition up to so many times is none to fear by itself

ESCAPE = re.compile(
    r"\\(?:[pP]\{\^?[A-Za-z_ -]{1,40}\}|x\{[0-9A-Fa-f]{1,8}\}|x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}"
    r"|[sSdDwWhHRXtnrfvae0]|[^A-Za-z0-9])",
    re.DOTALL,
)
ANCHOR = re.compile(r"\\[bBAzZG]|\^|\$")
GROUP = re.compile(r"\((\?(?:(?P<look><?[=!])|>|[imsx-]{0,6}:))?")
SWITCH = re.compile(r"\(\?[imsx-]{1,6}\)")
QUANTIFIER = re.compile(r"(?:[*+?]|\{(\d{1,6})(,(\d{1,6})?)?\}|\{,(\d{1,6})\})[?+]?")
POSIX = re.compile(r"\[:\^?[a-z]{1,12}:\]")

IN_A_SET = re.compile(rf"{ESCAPE.pattern}|\\b", re.DOTALL)

Atoms = tuple[str, ...]
Texts = list[Atoms]  # what a part of a pattern may match, thinned out; at least one, which may be empty


@dataclass(frozen=True, slots=True)
class Shape:
    """A text that could be slow: `before`, then `body` again and again, then what does not go on."""

    before: Atoms
    body: Atoms


def plan_trial(pattern: str) -> tuple[tuple[Shape, ...], tuple[str, ...]]:
    """Return the shapes of texts over which a pattern has to be tried, and its atoms.

    Raises:
        ValueError: it is too long or too deep, or uses what no tokenizer needs.
    """
    if len(pattern) > MAX_CHARACTERS:
        raise ValueError(f"has {len(pattern)} characters, at most {MAX_CHARACTERS} are read")
    reader = _Reader(pattern)
    reader.choices((), 0)
    if reader.place < len(pattern):
        raise ValueError(f"closes a group at character {reader.place} that was never opened")
    return tuple(dict.fromkeys(reader.shapes)), tuple(dict.fromkeys(reader.atoms))


class _Reader:
    """Reads from left to right; what was read before a place is the way to it."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.place = 0
        self.shapes: list[Shape] = []
        self.atoms: list[str] = []

    def choices(self, before: Atoms, depth: int) -> Texts:
        """Read alternatives up to the end of their group."""
        if depth > MAX_DEPTH:
            raise ValueError(f"has groups more than {MAX_DEPTH} deep")
        texts = self._sequence(before, depth)
        while self._next() == "|":
            self.place += 1
            texts = texts + self._sequence(before, depth)
        return _thin(texts)

    def _sequence(self, before: Atoms, depth: int) -> Texts:
        texts: Texts = [()]
        while self._next() not in ("", "|", ")"):
            way = _cut(before + texts[0])
            piece = self._repeated(way, depth)
            texts = _thin(_cut(head + tail) for tail in piece for head in texts)
        return texts

    def _repeated(self, before: Atoms, depth: int) -> Texts:
        texts = self._piece(before, depth)
        while (found := QUANTIFIER.match(self.pattern, self.place)) is not None:
            self.place = found.end()
            least, most = _bounds(found)
            if most > LONG:
                self._remember(before, texts)
            texts = _thin([*(texts if most else ()), *([()] if not least else ())])
        return texts

    def _remember(self, before: Atoms, texts: Texts) -> None:
        bodies = [text for text in texts if text]
        together = _cut(tuple(atom for body in bodies for atom in body))
        for body in [*bodies, together]:
            if body and len(self.shapes) < MAX_SHAPES:
                self.shapes.append(Shape(before, body))

    def _piece(self, before: Atoms, depth: int) -> Texts:
        character = self._next()
        if character == "[":
            return self._atom(self._set_end())
        if found := SWITCH.match(self.pattern, self.place) or ANCHOR.match(self.pattern, self.place):
            self.place = found.end()
            return [()]
        if character == "(":
            return self._group(before, depth)
        if character == "\\":
            if (found := ESCAPE.match(self.pattern, self.place)) is None:
                raise ValueError(f"uses {self.pattern[self.place : self.place + 8]!r}, which no tokenizer needs")
            return self._atom(found.end())
        if character in "*+?":
            raise ValueError(f"repeats nothing at character {self.place}")
        return self._atom(self.place + 1)

    def _group(self, before: Atoms, depth: int) -> Texts:
        found = GROUP.match(self.pattern, self.place)
        assert found is not None  # it begins with a bracket
        if self.pattern.startswith("?", found.end()) or self.pattern.startswith("*", found.end()):
            raise ValueError(f"uses {self.pattern[self.place : self.place + 8]!r}, which no tokenizer needs")
        self.place = found.end()
        texts = self.choices(before, depth + 1)
        if self._next() != ")":
            raise ValueError("opens a group that it does not close")
        self.place += 1
        return [()] if found["look"] else texts

    def _atom(self, end: int) -> Texts:
        atom = self.pattern[self.place : end]
        self.place = end
        self.atoms.append(atom)
        return [(atom,)]

    def _set_end(self) -> int:
        """Return the place after the set that opens at this one; sets may lie in sets."""
        place, opened = self.place, 0
        while place < len(self.pattern):
            if found := POSIX.match(self.pattern, place) if opened else None:
                place = found.end()
                continue
            character = self.pattern[place]
            place += 1
            if character == "\\":
                found = IN_A_SET.match(self.pattern, place - 1)
                if found is None:
                    raise ValueError(f"uses {self.pattern[place - 1 : place + 7]!r} in a set, which no tokenizer needs")
                place = found.end()
            elif character == "[":
                opened += 1
                if opened > MAX_DEPTH:
                    raise ValueError(f"has sets more than {MAX_DEPTH} deep")
                place += self.pattern.startswith("^", place)
                place += self.pattern.startswith("]", place)  # a bracket that comes first is one to be matched
            elif character == "]":
                opened -= 1
                if not opened:
                    return place
        raise ValueError("opens a set that it does not close")

    def _next(self) -> str:
        return self.pattern[self.place : self.place + 1]


def _bounds(found: re.Match[str]) -> tuple[int, int]:
    """Return how often at least and at most; more than LONG stands for without end."""
    text = found[0]
    if text[0] != "{":
        return (1 if text[0] == "+" else 0), (1 if text[0] == "?" else MAX_COUNT)
    least = int(found[1] or 0)
    most = int(found[4] or found[3] or (MAX_COUNT if found[2] else least))
    if max(least, most) > MAX_COUNT:
        raise ValueError(f"repeats {text}, at most {MAX_COUNT} times are read")
    return least, most


def _cut(text: Atoms) -> Atoms:
    """Keep the end of what is long."""
    return text[-MAX_ATOMS:]


def _thin(texts: Iterable[Atoms]) -> Texts:
    """Return a few of the texts, different ones, the first among them."""
    different: Sequence[Atoms] = list(dict.fromkeys(texts))
    step = max(1, -(-len(different) // MAX_BODIES))
    return list(different[::step]) or [()]
