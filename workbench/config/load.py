"""YAML file + overrides → a checked config. All faults at once, each with file, line and the nearest known key.

ruamel reads YAML 1.2: `2e-4` is a number and `no` a string, which PyYAML gets wrong.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from workbench.config.base import Knobs
from workbench.config.experiment import ExperimentConfig
from workbench.config.knowledge import LibraryConfig
from workbench.errors import ConfigError

SWEPT = "sweep.keys."
Section = TypeVar("Section", bound=Knobs)


def load_config(path: Path, *, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read and check a config. Relative paths inside it are taken from the current folder.

    Args:
        path: the YAML file.
        overrides: `section.key=value` each, the value read as YAML; they win over the file.
    Raises:
        ConfigError: every fault found, one a line.
    """
    return _check(read_tree(path), ExperimentConfig, path, overrides=overrides)


def load_library_config(path: Path | None, *, overrides: Sequence[str] = ()) -> LibraryConfig:
    """Read and check the settings of a collection; as `load_config`. None: all defaults, but for the overrides."""
    tree = CommentedMap() if path is None else read_tree(path)
    return _check(tree, LibraryConfig, path or Path("settings"), overrides=overrides)


def read_tree(path: Path) -> CommentedMap:
    """Read a YAML file as a tree that knows its lines. Raises ConfigError when it is none."""
    try:
        tree = YAML().load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such config file; the ones shipped are in configs/") from error
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, CommentedMap):
        raise ConfigError(f"{path}: holds {type(tree).__name__}, expected keys such as `name:` and `questions:`")
    return tree


def _check(tree: CommentedMap, kind: type[Section], path: Path, *, overrides: Sequence[str]) -> Section:
    for override in overrides:
        set_key(tree, override)
    try:
        return kind.model_validate(_plain(tree))
    except ValidationError as error:
        faults = sorted(error.errors(), key=lambda fault: line_of(tree, fault["loc"]))
        lines = [explain_fault(fault, tree, path, set(overrides), kind) for fault in faults]
        raise ConfigError("\n".join(lines)) from error


def dump_config(config: Knobs) -> str:
    """Return the resolved config as YAML that `load_config` reads back to an equal object."""
    stream = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(config.model_dump(mode="json"), stream)
    return stream.getvalue()


def set_key(tree: CommentedMap, override: str) -> None:
    """Put `section.key=value` into the tree, the value read as YAML."""
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: expected section.key=value, for example --set training.r=16")
    *sections, last = key.split(".")
    if key.startswith(SWEPT):  # below it stand keys with dots of their own
        sections, last = SWEPT.split(".")[:-1], key.removeprefix(SWEPT)
    node = tree
    for section in sections:
        child = node.get(section)
        if child is None:
            child = node[section] = CommentedMap()
        if not isinstance(child, CommentedMap):
            raise ConfigError(f"--set {override}: {section!r} holds {child!r}, which has no keys below it")
        node = child
    try:
        node[last] = YAML().load(value)
    except YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML: {' '.join(str(error).split())}") from error


def _plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node


def explain_fault(
    fault: Any, tree: Any, path: Path, overrides: set[str], kind: type[Knobs], *, where: str | None = None
) -> str:
    """Return one line for one of pydantic's faults.

    Args:
        tree: what was checked.
        where: the place to name; None: the fault's own line, or --set where that gave the value.
    """
    location = [part for part in fault["loc"] if not _is_tag(part, fault["loc"], tree)]
    dotted = ".".join(str(part) for part in location)
    own, where = where is None, where or f"{path}:{line_of(tree, location)}"
    if own and any(override.split("=")[0] == dotted for override in overrides):
        where = "--set"
    if fault["type"] == "extra_forbidden":
        known = _known_keys(location[:-1], kind)
        nearest = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"; did you mean `{nearest[0]}`?" if nearest else f"; known: {', '.join(known)}"
        return f"{where}: unknown key `{dotted}`{hint}"
    if fault["type"] == "missing":
        return f"{where}: `{dotted}` is required"
    message = fault["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(fault["input"], Mapping) else f" (it is {fault['input']!r})"
    return f"{where}: `{dotted}`: {message}{shown}" if dotted else f"{where}: {message}"


def _is_tag(part: Any, loc: Sequence[Any], tree: Any) -> bool:
    # pydantic puts the union's tag into the location ("retrieval", "method", "fusion", "pool"); YAML has no such key.
    node: Any = tree
    for step in loc:
        if step is part:
            return isinstance(node, Mapping) and part not in node and node.get("kind") == part
        in_mapping = isinstance(node, Mapping) and step in node
        if in_mapping or (isinstance(node, list) and isinstance(step, int) and step < len(node)):
            node = node[step]
        elif not (isinstance(node, Mapping) and node.get("kind") == step):
            return False
    return False


def line_of(tree: Any, location: Sequence[Any]) -> int:
    """Return the line (from 1) of the deepest part of `location` that stands in the file."""
    node: Any = tree
    line = 1
    for part in location:
        try:
            line = (node.lc.key(part) if isinstance(node, CommentedMap) else node.lc.item(part))[0] + 1
            node = node[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line


def _known_keys(location: Sequence[Any], kind: type[Knobs]) -> list[str]:
    """Return the field names of the section at `location`, following unions and dictionaries of sections."""
    models: list[type[BaseModel]] = [kind]
    for part in location:
        models = [
            model
            for parent in models
            for name, info in parent.model_fields.items()
            if name == part
            for model in _models_in(info.annotation)
        ] or models
    return sorted({name for model in models for name in model.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    if get_origin(annotation) is None:
        return []
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
