"""A sweep's YAML → one config for every combination of its values, each checked before anything runs.

Not the runs (series/) and not their verdict (verdict/). What may not be swept: that which decides what is asked, of
which documents, and how answers are judged. Runs that differ in it cannot be compared, or are the same run.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workbench.config.experiment import ExperimentConfig
from workbench.config.load import explain_fault, line_of, load_config, read_tree
from workbench.config.series import SweepConfig
from workbench.errors import ConfigError

LONGEST_NAME = 40  # characters of a value that names itself
LONGEST_FOLDER = 150  # characters: file systems allow 255 bytes, and files in it have names, too
FIXED = {
    "questions": "other questions may not be compared",
    "corpus": "answers from other documents may not be compared",
    "seed": "it draws other questions; training.seeds trains with several",
    "name": "it names the sweep",
    "offline": "it changes no answer",
    "sweep": "it is the sweep itself",
    "evaluation": "it changes no answer: workbench recommend FOLDER --set judges again",
    "decision": "it changes no answer: workbench recommend FOLDER --set judges again",
    **dict.fromkeys(("freshness", "scaling", "learning_curve", "serving", "monitoring"), "it changes no answer"),
}
BARE = ("true", "false", "none")  # values that say nothing without their key


@dataclass(frozen=True, slots=True)
class Variant:
    """One combination: `values` names one value of each swept key; `config` has no sweep of its own."""

    name: str
    values: Mapping[str, str]
    config: ExperimentConfig

    @property
    def folder(self) -> str:
        """Its folder's name: letters, digits and `-_.=,` only."""
        told = ",".join(f"{key}={value}" for key, value in self.values.items())
        plain = re.sub(r"[^A-Za-z0-9._=,-]+", "-", told)
        if len(plain) <= LONGEST_FOLDER:
            return plain
        return f"{plain[: LONGEST_FOLDER - 13]}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What a sweep runs: its own config, the names of each key's values, the combinations, the last key's fastest."""

    config: ExperimentConfig
    keys: Mapping[str, tuple[str, ...]]
    variants: tuple[Variant, ...]


def load_sweep(path: Path, *, overrides: Sequence[str] = ()) -> SweepPlan:
    """Read a config with a section `sweep:` and check every combination. `overrides` as `load_config` takes them.

    Raises:
        ConfigError: every fault found, one a line, with the file and line of the value that brings it.
    """
    config, places = load_config(path, overrides=overrides), _Places(path, overrides)
    sweep = config.sweep
    _refuse_unfit(sweep, config, places)
    named = {key: _name_values(key, values, places) for key, values in sweep.keys.items()}
    base = config.model_dump(mode="json") | {"sweep": {}}
    _refuse_unknown(base, named, places)
    found: list[Variant] = []
    faults: list[str] = []
    for combination in product(*(named[key].items() for key in named)):
        values = {key: name for key, (name, _) in zip(named, combination, strict=True)}
        tree = copy.deepcopy(base)
        for key, (_, value) in zip(named, combination, strict=True):
            _put(tree, key, value)
        try:
            checked = ExperimentConfig.model_validate(tree)
        except ValidationError as error:
            faults += [places.explain(fault, tree, values, list(named)) for fault in error.errors()]
            continue
        found.append(Variant(tell_values(values, list(named)), values, checked))
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))
    _refuse_equal(found, places)
    return SweepPlan(config, {key: tuple(names) for key, names in named.items()}, tuple(found))


def tell_values(values: Mapping[str, str], keys: Sequence[str]) -> str:
    """Return the values in one line; a number is named by its key unless it is the only one, a word is not.

    Args:
        values: swept key → its value's name; may be some of the `keys` only.
        keys: all that the sweep has, to tell keys with one ending apart.
    """
    told = []
    for key, value in values.items():
        clear = value not in BARE and (len(keys) == 1 or value[:1].isalpha())
        told.append(value if clear else f"{_ending(key, keys)} {value}")
    return ", ".join(told)


def _ending(key: str, keys: Sequence[str]) -> str:
    """Return the last parts of a key, as many as tell it from the others."""
    parts = key.split(".")
    for n in range(1, len(parts)):
        ending = ".".join(parts[-n:])
        if sum(f".{one}".endswith(f".{ending}") for one in keys) == 1:
            return ending
    return key


def _refuse_unfit(sweep: SweepConfig, config: ExperimentConfig, places: _Places) -> None:
    if not sweep.keys:
        raise ConfigError(
            f"{places.path}: sweep.keys names no key, so there is nothing to sweep; for example\n"
            "  sweep: {keys: {training.learning_rate: [2e-4, 5e-4]}}"
        )
    faults = []
    for key, values in sweep.keys.items():
        if (section := key.split(".")[0]) in FIXED:
            faults.append(f"{places.of(key)}: `{key}` cannot be swept: {FIXED[section]}")
        if len(values) < 2:
            faults.append(f"{places.of(key)}: `{key}` has {len(values)} values; a sweep needs two")
    n = prod(len(values) for values in sweep.keys.values())
    if n > sweep.most:
        faults.append(f"{places.of()}: {n} combinations, and sweep.most allows {sweep.most}; name fewer or raise it")
    if config.evaluation.racing.enabled:
        faults.append(
            f"{places.path}: evaluation.racing.enabled is true, but a race stops arms that other variants' arms have "
            "to be compared with; set it to false: --set evaluation.racing.enabled=false"
        )
    if faults:
        raise ConfigError("\n".join(faults))


def _refuse_unknown(base: dict[str, Any], named: Mapping[str, Mapping[str, Any]], places: _Places) -> None:
    """Try each key by itself, so that all that are misspelt are told at once."""
    faults = []
    for key, values in named.items():
        tree = copy.deepcopy(base)
        try:
            _put(tree, key, next(iter(values.values())))
            ExperimentConfig.model_validate(tree)
        except KeyError as error:
            faults.append(f"{places.of(key)}: {error.args[0]}")
        except ValidationError as error:
            unknown = [fault for fault in error.errors() if fault["type"] == "extra_forbidden"]
            faults += [places.explain(fault, tree, {key: next(iter(values))}, [key]) for fault in unknown]
    if faults:
        raise ConfigError("\n".join(faults))


def _refuse_equal(variants: Sequence[Variant], places: _Places) -> None:
    met: dict[str, str] = {}
    folders: dict[str, str] = {}
    for variant in variants:
        twin = met.setdefault(variant.config.model_dump_json(), variant.name)
        if twin != variant.name:
            raise ConfigError(f"{places.of()}: {twin!r} and {variant.name!r} are the same settings; name one of them")
        twin = folders.setdefault(variant.folder.casefold(), variant.name)
        if twin != variant.name:
            raise ConfigError(f"{places.of()}: {twin!r} and {variant.name!r} would share a folder; name them otherwise")


def _name_values(key: str, values: Sequence[Any] | Mapping[str, Any], places: _Places) -> dict[str, Any]:
    """Return name → value; a value of a list names itself, a section with a `kind` by that."""
    if isinstance(values, Mapping):
        named = [(str(name), value) for name, value in values.items()]
    else:
        named = [(_own_name(value), value) for value in values]
    for place, (name, _) in enumerate(named):
        if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable() or set(name) & set("*|·"):
            raise ConfigError(
                f"{places.of(key, place)}: `{key}`: {name[:LONGEST_NAME]!r} cannot name a value; use a mapping from "
                f"names of up to {LONGEST_NAME} characters to values: {{short: ..., long: ...}}"
            )
    found = dict(named)
    if len(found) < len(named):
        twice = next(name for name in found if sum(one == name for one, _ in named) > 1)
        raise ConfigError(
            f"{places.of(key)}: `{key}` has {twice!r} twice; remove one, or name both by a mapping: "
            f"{{{twice}-1: ..., {twice}-2: ...}}"
        )
    return found


def _own_name(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, float):
        small = 0 < abs(value) < 1e-2 or abs(value) >= 1e6
        digits, _, exponent = f"{value:.12e}".partition("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}" if small else f"{value:.12g}"
    if isinstance(value, Mapping) and set(value) == {"kind"}:
        return str(value["kind"])
    return value if isinstance(value, str) else json.dumps(value)


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key. Raises KeyError, with what is wrong: a section on the way is not there."""
    *sections, last = key.split(".")
    node: Any = tree
    for place, section in enumerate(sections):
        if section not in node:
            raise KeyError(f"unknown key `{'.'.join(sections[: place + 1])}`; {_nearest(section, node)}")
        if node[section] is None:
            node[section] = {}
        if not isinstance(node[section], dict):
            raise KeyError(f"`{'.'.join(sections[: place + 1])}` holds {node[section]!r}, which has no keys below it")
        node = node[section]
    node[last] = copy.deepcopy(value)


def _nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean `{nearest[0]}`?" if nearest else f"known: {', '.join(known)}"


class _Places:
    """Where in the YAML the swept keys and values stand."""

    def __init__(self, path: Path, overrides: Sequence[str]) -> None:
        self.path, self._tree = path, read_tree(path)
        self._given = any(override.partition("=")[0].split(".")[0] == "sweep" for override in overrides)

    def of(self, key: str | None = None, place: int | None = None) -> str:
        """Return "file:line" of the sweep, a key of it, or the value at `place` of a key; --set where that gave it."""
        if self._given:
            return "--set"
        location: list[Any] = ["sweep", "keys"]
        if key is not None:
            location.append(key)
            values = self._tree.get("sweep", {}).get("keys", {}).get(key)
            if place is not None and values:
                location.append(list(values)[place] if isinstance(values, Mapping) else place)
        return f"{self.path}:{line_of(self._tree, location)}"

    def explain(self, fault: Any, tree: Mapping[str, Any], values: Mapping[str, str], keys: Sequence[str]) -> str:
        """Return one line for a fault of one combination: at the value that brings it, or with the combination."""
        dotted = ".".join(str(part) for part in fault["loc"])
        for key in keys:
            below = f"{dotted}.".startswith(f"{key}.")
            if below or (fault["type"] == "extra_forbidden" and f"{key}.".startswith(f"{dotted}.")):
                place = self.of(key, self._place_of(key, values[key]))
                return explain_fault(fault, tree, self.path, set(), ExperimentConfig, where=place)
        told = explain_fault(fault, tree, self.path, set(), ExperimentConfig, where=self.of())
        return f"{told} (with {tell_values(values, keys)})"

    def _place_of(self, key: str, name: str) -> int | None:
        given = self._tree.get("sweep", {}).get("keys", {}).get(key) if not self._given else None
        if not given:
            return None
        names = list(given) if isinstance(given, Mapping) else [_own_name(value) for value in given]
        return names.index(name) if name in names else None
