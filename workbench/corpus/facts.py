"""What a user says about documents besides their text: metadata to filter by, and who may find them.

A file of rules, CSV, JSON lines or YAML: each names files by `path` (a document's id, or a glob) and gives values.
Later rules win over earlier ones, and rules win over what the document says of itself. Permissions fail closed:
nothing is read from an empty `readers`, a key that nearly says it is no fact, and a rule about readers that matches no
file is an error.
"""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.corpus.fact_rows import OWN_KEYS, ROW_READERS, fold_key
from workbench.errors import ConfigError
from workbench.filters import COMBINATIONS
from workbench.types import Document, Fact

EVERYBODY = ("*",)  # written out, since an empty `readers` could mean nobody as well
TAKEN_KEYS = {"id", "source", "title", *COMBINATIONS}  # a filter knows them as something else

_LISTED = re.compile(r"\[(.*)\]", re.DOTALL)
_GLOB_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_MAX_FAULTS = 20  # shown; the rest is counted
_WORDS = re.compile(r"[^\W_]+")
_NEAR = 0.8  # difflib's ratio: reader, readres and leaders lie above, years, orders and leader below


@dataclass(frozen=True, slots=True)
class FactRule:
    """One row of the file: what holds for each document whose id `path` matches."""

    path: str  # a document's id, or a glob: * within a folder, ** across folders, ?, [abc]
    facts: Mapping[str, Fact]
    readers: tuple[str, ...] | None  # EVERYBODY lifts earlier limits; None: this rule does not say
    line: int  # in the file, counted from 1


class FactRules:
    """All rules of one file, in its order; rules for single files are looked up, not searched.

    Raises:
        ConfigError: the path of a rule is no pattern.
    """

    def __init__(self, file: Path, rules: Iterable[FactRule] = ()) -> None:
        self.file = file
        self.rules = tuple(rules)
        self._exact: dict[str, list[tuple[int, FactRule]]] = {}
        self._globs: list[tuple[int, FactRule, Callable[[str], object]]] = []
        for n, rule in enumerate(self.rules):
            self._exact.setdefault(rule.path, []).append((n, rule))  # globs too: a name may hold brackets
            if any(sign in rule.path for sign in "*?["):
                self._globs.append((n, rule, _compile_glob(rule.path)))

    def matching(self, id_: str) -> list[FactRule]:
        """Return the rules for this document, in the file's order."""
        found = dict(self._exact.get(id_, ()))
        found |= {n: rule for n, rule, matches in self._globs if matches(id_)}
        return [rule for _, rule in sorted(found.items())]


def apply_facts(document: Document, rules: FactRules) -> Document:
    """Return the document with what the rules say of it, later rules over earlier ones, all over its own metadata."""
    metadata, readers = dict(document.metadata), document.readers
    for rule in rules.matching(document.id):
        metadata |= rule.facts
        readers = readers if rule.readers is None else rule.readers
    return replace(document, metadata=metadata, readers=None if readers == EVERYBODY else readers)


def match_ids(pattern: str, ids: Sequence[str]) -> list[str]:
    """Return those of `ids`, in their order, that the `path` of a rule would match: a document's id, or a glob.

    Raises:
        ConfigError: it is no pattern.
    """
    path = _clean_path(pattern)
    matches = _compile_glob(path)
    return [id_ for id_ in ids if id_ in (pattern, path) or matches(id_)]


def check_matched(rules: FactRules, ids: Sequence[str]) -> list[str]:
    """Return one line for each rule that matches none of `ids`; the caller shows them.

    Raises:
        ConfigError: such a rule sets `readers`: the file it was meant for would be open to everybody.
    """
    matched = {rule for id_ in ids for rule in map(id, rules.matching(id_))}
    unmatched = [rule for rule in rules.rules if id(rule) not in matched]
    faults = []
    for rule in unmatched:
        nearest = difflib.get_close_matches(rule.path, ids, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "; mend its path or take the rule out"
        faults.append(f"{rules.file.name}:{rule.line}: `path` {rule.path!r} matches no file{hint}")
    if any(rule.readers is not None for rule in unmatched):
        kept = [fault for fault, rule in zip(faults, unmatched, strict=True) if rule.readers is not None]
        _refuse([f"{fault} (it sets `readers`)" for fault in kept])
    return faults


def read_facts(file: Path) -> FactRules:
    """Read a file of rules: .csv, .jsonl, .yaml or .yml.

    Raises:
        ConfigError: every fault found, each with its line.
    """
    read_rows = ROW_READERS.get(file.suffix.lower())
    if read_rows is None:
        raise ConfigError(
            f"{file}: metadata comes as {', '.join(ROW_READERS)}, not as {file.suffix or 'a bare name'!r}"
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}; give a metadata file in UTF-8") from error
    faults: list[str] = []
    rules = [rule for line, row in read_rows(text, faults) if (rule := _to_rule(row, line, faults)) is not None]
    _refuse([f"{file.name}:{fault}" for fault in faults])
    return FactRules(file, rules)


def parse_readers(written: object) -> tuple[str, ...]:
    """Return principals, sorted, from a list of them, or from text: "hr; legal" or "[hr, legal]".

    Raises:
        ConfigError: it names nobody, or is neither list nor text.
    """
    if isinstance(written, str):
        listed = _LISTED.fullmatch(written.strip())
        parts: list[object] = [*listed[1].split(",")] if listed else [*written.split(";")]
        parts = [str(part).strip().strip("\"'") for part in parts]
    elif isinstance(written, list | tuple):
        parts = list(written)
    else:
        raise ConfigError(f"`readers` is {written!r}; write names, such as [hr, legal], or '*' for everybody")
    if not all(isinstance(part, str) for part in parts):
        raise ConfigError(f"`readers` is {written!r}, but each name must be text; put it in quotes")
    names = sorted({str(part).strip() for part in parts} - {""})
    if not names:
        way_out = "write '*' for everybody, or name who may; to show it to nobody leave the file out"
        raise ConfigError(f"`readers` is empty, which could mean nobody or everybody; {way_out}")
    if "*" in names and len(names) > 1:
        raise ConfigError(f"`readers` is {written!r}: '*' is everybody, so no other name may stand beside it")
    return tuple(names)


def check_facts(written: Mapping[str, object]) -> tuple[dict[str, Fact], tuple[str, ...] | None]:
    """Return metadata that came with a document, and the `readers` in it; None: it does not say.

    The rules are those of a file of metadata, so that what a filter can find is the same whatever way it came.

    Raises:
        ConfigError: every fault found.
    """
    faults: list[str] = []
    own = _find_own_keys(dict(written), "metadata", faults, taken=("readers",))
    readers = None
    try:
        readers = parse_readers(written[own["readers"]]) if "readers" in own else None
    except ConfigError as error:
        faults.append(f"metadata: {error}")
    facts = _to_facts(written, "metadata", ("readers",), faults)
    _refuse(faults)
    return facts, readers


def _to_rule(row: dict[str, Any], line: int, faults: list[str]) -> FactRule | None:
    n_before = len(faults)
    own = _find_own_keys(row, line, faults)
    path = row.get(own.get("path", ""))
    if not isinstance(path, str) or not path.strip():
        faults.append(f"{line}: `path` is {path!r}; name a file by its path below the folder, or several: manuals/**")
        path = ""
    readers = None
    try:
        _compile_glob(_clean_path(path))
        if "readers" in own:
            written = row[own["readers"]]
            readers = parse_readers("" if written is None else written)
    except ConfigError as error:
        faults.append(f"{line}: {error}")
    facts = _to_facts(row, line, OWN_KEYS, faults)
    return FactRule(_clean_path(path), facts, readers, line) if len(faults) == n_before else None


def _to_facts(row: Mapping[str, object], place: int | str, own: Sequence[str], faults: list[str]) -> dict[str, Fact]:
    """Return the facts of a row, which are all but its `own` keys."""
    facts: dict[str, Fact] = {}
    for key, value in row.items():
        if fold_key(key) in own or value is None:
            continue
        if key in TAKEN_KEYS or not key.strip():
            faults.append(f"{place}: `{key}` has a meaning of its own in filters; call it otherwise, such as my_{key}")
        elif (fact := _to_fact(value)) is None:
            faults.append(
                f"{place}: `{key}` is {value!r}; a value is text, a number, true, false, a date or names in a list"
            )
        else:
            facts[key] = fact
    return facts


def _find_own_keys(
    row: Mapping[str, object], place: int | str, faults: list[str], *, taken: Sequence[str] = OWN_KEYS
) -> dict[str, str]:
    """Return how a row writes the keys of `taken`; a second one is a fault, and so is what nearly says `readers`."""
    own: dict[str, str] = {}
    for key in row:
        name = fold_key(key)
        if name in own:
            faults.append(f"{place}: `{own[name]}` and `{key}` are both `{name}`; keep one")
        elif name in taken:
            own[name] = key
        elif "readers" in name or difflib.get_close_matches("readers", [name, *_WORDS.findall(name)], 1, _NEAR):
            faults.append(f"{place}: `{key}` reads like `readers`, who may find the file; write that, or another word")
    return own


def _clean_path(path: str) -> str:
    return path.strip().removeprefix("./")


def _to_fact(value: object) -> Fact | None:
    if isinstance(value, datetime.date):  # YAML's; a datetime is one
        return value.isoformat()
    if isinstance(value, list | tuple):
        return tuple(map(str, value)) if all(isinstance(one, str) for one in value) else None
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124  (NaN)
        return None
    for kind in (bool, int, float, str):  # not ruamel's own subclasses
        if isinstance(value, kind):
            return kind(value)
    return None


def _compile_glob(glob: str) -> Callable[[str], object]:
    try:
        return re.compile(_to_regex(glob), re.DOTALL).fullmatch
    except re.error as error:
        raise ConfigError(f"{glob!r} is no pattern: {error.msg}; a range in brackets goes up: [a-z]") from error


def _to_regex(glob: str) -> str:
    """Return the regular expression of a glob; `**/` is any folders or none, as in corpus.include."""
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = []
    for part in _GLOB_PARTS.findall(glob):
        if len(part) > 2 and part.startswith("["):
            # Python reads more into brackets than a glob: \, [ and doubled signs.
            members = re.sub(r"[\\[&~|]|(?<=-)-", r"\\\g<0>", part[1:-1])
            members = f"^{members[1:]}" if members.startswith("!") else members
            parts.append(f"(?!/)[{members}]")
        else:
            parts.append(known.get(part) or re.escape(part))
    return "".join(parts)


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        more = len(faults) - _MAX_FAULTS
        rest = [f"... and {more} more"] if more > 0 else []
        raise ConfigError("\n".join([*faults[:_MAX_FAULTS], *rest]))
