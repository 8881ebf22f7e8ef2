r"""A tokenizer loaded and run once in a process of its own: which of its patterns is slow, and whether it breaks down.

Run by path (`python -I tokenizer_trial.py`); needs the package tokenizers alone, and the gate takes nothing from here.
It reads a line of JSON from stdin, `{"patterns", "units", "form", "seconds", "bytes"}`, then the file, of one of three
forms (tokenizer.json, sentencepiece, tekken: its pattern alone), and writes one word: "fine", or what is wrong.

A pattern is run over texts that were planned for it (`patterns.py`), 64 to 4,096 characters long, and longer while its
time grows faster than they do. Slow is what takes more than 10 µs a character (a sound one takes 0.1), or 1 µs while it
grows faster still at 262,144. Not a proof: a pattern that is slow for other texts than these passes, and wastes time.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from typing import Any, NamedTuple

LENGTHS = (2**6, 2**8, 2**10, 2**12, 2**14, 2**16, 2**18)
FIRST = 2**10  # the length over which a normalizer is measured
SURE = 2**12  # the length from which a time that grows like the length ends the trial
LEAST_SECONDS = 5e-3  # that count: the clock and the first call's costs are below
GROWTH = 6.0  # of the time, where the length grows by 4: n log n is below, the square is 16
MAX_EXPANSION = 64  # characters out of a normalizer for one that went in; U+FDFA alone makes 18
N_CHOICES = 2  # characters tried for an atom
WORDS = "The quick brown fox, born in 1987, isn't tired — «¡olé!» 北京 हिन्दी 👍🏽. "


class Pace(NamedTuple):
    """Seconds a character: too many in any case; too many while they grow; too few to matter."""

    slow: float
    growing: float
    quick: float


OF_A_PATTERN = Pace(slow=10e-6, growing=1e-6, quick=0.1e-6)
OF_A_TOKENIZER = Pace(slow=40e-6, growing=10e-6, quick=3e-6)  # a sound one takes 1 to 3 µs
Loaded = tuple[Callable[[str], str], Callable[[str], object]]
UNITS = ("a", "A", " ", "\n", "1", "!", "a ", "aB", "é", "e\u0301", "\u0301", "中", "ﷺ", "👍", "\0", "▁", WORDS)
POOL = "aAbeszZ_019 \t\n\r\u00a0\u3000.,!?'\"-/\\()[]{}<>@#$%&*+=|~^`:;éßÅ中あカ가ا๑अ\u093e\u0301Ⅷ²½👍▁Ġ\u200b\0\u2028"


def main() -> None:
    """Judge what stands on stdin; an end without a word means that a limit was met."""
    asked = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read()
    for kind, most in (
        (resource.RLIMIT_AS, asked["bytes"]),
        (resource.RLIMIT_CPU, asked["seconds"]),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    sys.stdout.write(judge(asked, content))


def judge(asked: dict[str, Any], content: bytes) -> str:
    """Return "fine" or what is wrong. The library's panics are no `Exception`s."""
    step = "cannot be loaded"
    try:
        for plan in asked["patterns"]:
            step = _tell(f"pattern {plan['pattern'][:200]!r} breaks down")
            if fault := try_pattern(plan):
                return fault
        step = _tell("cannot be loaded")
        load = LOADERS.get(asked["form"])
        if load is not None:
            normalize, cut_and_join = load(content)
            step = _tell("breaks down over a text")
            return try_texts(normalize, cut_and_join, [*UNITS, *asked["units"]]) or "fine"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return f"{step}: {' '.join(str(error).split())[:300] or type(error).__name__}"
    return "fine"


def _tell(step: str) -> str:
    """Say on stderr what is tried, for the case that the process is ended over it."""
    sys.stderr.write(f"\nstep: {step}\n")
    sys.stderr.flush()
    return step


def try_pattern(plan: dict[str, Any]) -> str:
    """Run one pattern over its texts; return what is wrong with it."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    splitter = Split(Regex(plan["pattern"]), "removed")
    for make in texts_of(plan):
        if slow := find_slowness(splitter.pre_tokenize_str, make, OF_A_PATTERN):
            return f"pattern {plan['pattern'][:200]!r} {slow}"
    return ""


def texts_of(plan: dict[str, Any]) -> Iterator[Callable[[int], str]]:
    """Yield, for a length each, the texts over which a pattern could be slow."""
    members = {atom: find_members(atom, plan["pattern"]) for atom in plan["atoms"]}
    rank = {one: sum(one in found for found in members.values()) for found in members.values() for one in found}
    for found in members.values():
        found.sort(key=lambda one: -rank[one])  # what several atoms match is what they quarrel over
    members = {atom: found for atom, found in members.items() if found}
    tail = "".join(found[0] for found in members.values())  # a library looks ahead for what a pattern cannot do without
    common = sorted(rank, key=lambda one: -rank[one])[:8]
    for before, body in plan["shapes"]:
        if all(atom in members for atom in body):
            for choice in range(N_CHOICES):
                start, unit = _spell(before, members, choice), _spell(body, members, choice)
                yield from _pumped(start, unit, tail, rank)
    for one in dict.fromkeys([*common, " ", "a"]):
        yield from _pumped("", one, tail, rank)
    for one, other in pairwise(common):
        yield from _pumped("", one + other, tail, rank)


def _spell(atoms: list[str], members: dict[str, list[str]], choice: int) -> str:
    return "".join(members[atom][min(choice, len(members[atom]) - 1)] for atom in atoms if atom in members)


def _pumped(start: str, unit: str, tail: str, rank: dict[str, int]) -> Iterator[Callable[[int], str]]:
    """Yield makers of `start` + `unit` again and again + what does not go on."""
    stop = min((one for one in POOL if one not in unit), key=lambda one: rank.get(one, 0))
    for end in (stop + tail, "\n" + tail, ""):
        yield lambda n, end=end: start + unit * (n // len(unit)) + end  # type: ignore[misc]


def find_members(atom: str, pattern: str) -> list[str]:
    """Return the characters that an atom matches, of a pool and those in the pattern; none for an atom it takes alone
    for an error, since a set's flags may be the pattern's.
    """
    from tokenizers import Regex
    from tokenizers.normalizers import Replace

    try:
        remove = Replace(Regex(atom), "")
    except Exception:
        return []
    return [one for one in dict.fromkeys(POOL + pattern[:512]) if remove.normalize_str(one) == ""]


def load_tokenizer(content: bytes) -> Loaded:
    """Return what a tokenizer.json makes of a text before it is cut, and the text cut and put together again."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(content)
    normalizer = tokenizer.normalizer
    return (
        str if normalizer is None else normalizer.normalize_str,
        lambda text: tokenizer.decode(tokenizer.encode(text).ids),
    )


def load_sentencepiece(content: bytes) -> Loaded:
    """Return the same of a SentencePiece model, whose package has to be installed."""
    processor = import_module("sentencepiece").SentencePieceProcessor(model_proto=content)
    return processor.normalize, lambda text: processor.decode(processor.encode(text))


LOADERS: dict[str, Callable[[bytes], Loaded]] = {
    "tokenizer.json": load_tokenizer,
    "sentencepiece": load_sentencepiece,
}


def try_texts(normalize: Callable[[str], str], cut_and_join: Callable[[str], object], units: list[str]) -> str:
    """Run a tokenizer over texts of each unit again and again; return what is wrong."""
    for unit in units:

        def make(n: int, unit: str = unit) -> str:
            return unit * (n // len(unit) or 1)

        first = make(FIRST)
        n_out = len(normalize(first))
        if n_out > MAX_EXPANSION * len(first):
            return f"makes {n_out:,} characters of the {len(first):,} of {unit[:20]!r} repeated"
        if slow := find_slowness(cut_and_join, make, OF_A_TOKENIZER):
            return f"as a whole {slow}"
    return ""


def find_slowness(run: Callable[[str], object], make: Callable[[int], str], pace: Pace) -> str:
    """Return how slow `run` is over texts of growing length; "": it is not."""
    before = 0.0
    for n in LENGTHS:
        text = make(n)
        seconds = _time(run, text)
        limit = max(LEAST_SECONDS, max(n, len(text)) * pace.slow)
        if limit < seconds < 2 * limit:  # the first time may cost more
            seconds = min(seconds, _time(run, text))
        if seconds > limit:
            return f"takes {seconds:.2g} s for {len(text):,} characters such as {text[:24]!r}"
        if n >= SURE and seconds < max(GROWTH * before, n * pace.quick):
            return ""
        before = seconds
    if before < n * pace.growing:
        return ""
    return f"takes a time that outgrows the text: {before:.2g} s for {n:,} characters such as {text[:24]!r}"


def _time(run: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    run(text)
    return time.process_time() - start


if __name__ == "__main__":
    main()
