"""The intake gate: a folder is vetted before any library sees it, so that nothing in it can run code or lie on sizes.

Not a virus scanner: it knows file names, JSON keys that make a library import or fetch code, and safetensors headers.
Sources: the advisories on pickled weights, `auto_map`, `_attn_implementation_internal` (transformers), modules.json
(sentence-transformers) and `megatron_core` (PEFT).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import ModelIntegrityError

LOADED_SUFFIXES = (".safetensors", ".json", ".txt", ".jinja", ".model")
DOCUMENT_SUFFIXES = (".md", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf")
DOCUMENT_NAMES = ("license", "notice", "copying", "use_policy")
MAX_HEADER_BYTES = 100 * 2**20  # the safetensors library's own limit
MAX_JSON_BYTES = 256 * 2**20
MAX_TEMPLATE_BYTES = 128 * 2**10

# Keys that make a library import or download code. Their value must be null or absent, at any depth.
CODE_KEYS = frozenset(
    {
        "auto_map",
        "auto_mapping",
        "custom_pipelines",
        "_attn_implementation_internal",
        "_experts_implementation_internal",
        "megatron_config",
        "trust_remote_code",
    }
)
# Elsewhere than in this list, an attention implementation is a hub repository whose kernels are downloaded and run.
ATTENTION_KEYS = frozenset({"attn_implementation", "_attn_implementation"})
ATTENTION_NAMES = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
# Keys whose value names a Python class, and the packages it may come from.
CLASS_PREFIXES = {
    "activation_function": ("torch.nn.",),
    "activation_fn": ("torch.nn.",),
    "sbert_ce_default_activation_function": ("torch.nn.",),
    "tokenizer_class": ("sentence_transformers.",),
}
MODULE_PREFIX = "sentence_transformers."
VOCABULARY_NAMES = ("tokenizer.json", "vocab.json", "added_tokens.json")  # their keys are tokens, not settings


def vet_folder(folder: Path) -> list[str]:
    """Check every file of a model or adapter folder; return the names of those a library may read (posix, sorted).

    Documents (README, LICENSE, images) and hidden files are neither read nor listed.

    Raises:
        ModelIntegrityError: a file that could run code, a link out of the folder, a forbidden config key,
            a class from a foreign package, a safetensors header that does not fit its file, an oversized template.
    """
    root = folder.resolve()
    names = []
    for path in _walk(root):
        if not is_allowed(path.name):
            if is_document(path.name):
                continue
            raise ModelIntegrityError(
                f"{path}: only {', '.join(LOADED_SUFFIXES)} files are loaded, this format may run code or is unknown; "
                "delete it if the folder also holds *.safetensors"
            )
        _vet_file(path)
        names.append(path.relative_to(root).as_posix())
    for name in names:
        if name.lower().endswith(".index.json"):
            _vet_index(root, name, names)
    return sorted(names)


def is_allowed(name: str) -> bool:
    """Whether a library may read a file of this name."""
    return not name.startswith(".") and name.lower().endswith(LOADED_SUFFIXES)


def is_document(name: str) -> bool:
    """Whether a file of this name is for people: never loaded, harmless to leave in place."""
    lower = name.lower()
    return lower.endswith(DOCUMENT_SUFFIXES) or lower.startswith((".", *DOCUMENT_NAMES))


def _walk(root: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [*folders, *sorted(files)]:
            path = Path(parent, name)
            if path.is_symlink():
                _vet_link(root, path)
            if name in files:
                if not path.is_file():
                    raise ModelIntegrityError(f"{path}: neither a file nor a folder")
                yield path


def _vet_link(root: Path, path: Path) -> None:
    """Allow only links to files that this walk meets: it follows no linked folder and enters no hidden one."""
    target = path.resolve()
    advice = f"to {target}; copy the files: cp -rL FROM TO"
    if not target.is_relative_to(root):
        raise ModelIntegrityError(f"{path}: a link out of the model's folder, {advice}")
    if target.is_dir() or any(part.startswith(".") for part in target.relative_to(root).parts):
        raise ModelIntegrityError(f"{path}: a link to a folder or a hidden file, which are not checked, {advice}")


def _vet_index(root: Path, name: str, names: Sequence[str]) -> None:
    """Check that an index of shards names only vetted safetensors files beside it: libraries open what it says."""
    value = read_json(root / name)
    shards = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(shards, dict):
        raise ModelIntegrityError(f"{root / name}: no 'weight_map' of its shards")
    beside = {path.name for path in map(Path, names) if path.parent == Path(name).parent}
    for shard in shards.values():
        if not (isinstance(shard, str) and shard in beside and shard.endswith(".safetensors")):
            raise ModelIntegrityError(
                f"{root / name}: weight_map names {str(shard)[:80]!r}, which is no vetted *.safetensors file beside it"
            )


def _vet_file(path: Path) -> None:
    match path.suffix.lower():
        case ".safetensors":
            check_safetensors(path)
        case ".jinja":
            _check_template(path, path.stat().st_size)
        case ".json":
            value = read_json(path)
            if path.name == "modules.json":
                _vet_modules(path, value)
            if path.name == "router_config.json":
                _vet_routes(path, value)
            if path.name not in VOCABULARY_NAMES:
                _vet_settings(path, value)


def read_json(path: Path) -> Any:
    """Return a JSON file's value. Raises ModelIntegrityError when it is too large, too deep or not JSON."""
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ModelIntegrityError(f"{path}: {size} bytes of JSON, at most {MAX_JSON_BYTES} are read")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelIntegrityError(f"{path}: not sound JSON: {error}") from error


def _vet_settings(path: Path, value: Any) -> None:
    """Walk a config's keys at every depth (iteratively: a config may be nested on purpose)."""
    rest = [value]
    while rest:
        node = rest.pop()
        if isinstance(node, list):
            rest.extend(node)
        elif isinstance(node, dict):
            for key, item in node.items():
                _vet_setting(path, key, item)
                rest.append(item)


def _vet_setting(path: Path, key: str, item: Any) -> None:
    if item is None or item is False:
        return
    if key in CODE_KEYS:
        raise ModelIntegrityError(f"{path}: key {key!r} makes a library import or fetch code: {str(item)[:80]!r}")
    if key in ATTENTION_KEYS and item not in ATTENTION_NAMES:
        raise ModelIntegrityError(f"{path}: {key} is {str(item)[:80]!r}, allowed: {', '.join(ATTENTION_NAMES)}")
    if key in CLASS_PREFIXES and isinstance(item, str) and "." in item and not item.startswith(CLASS_PREFIXES[key]):
        raise ModelIntegrityError(f"{path}: {key} names {item[:80]!r}, outside of {', '.join(CLASS_PREFIXES[key])}*")
    if key == "chat_template":
        _check_template(path, len(json.dumps(item)))


def _vet_modules(path: Path, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(module, dict) for module in value):
        raise ModelIntegrityError(f"{path}: not a list of modules")
    for module in value:
        _check_module_type(path, module.get("type"))
        place = Path(str(module.get("path", "")))
        if place.is_absolute() or ".." in place.parts:
            raise ModelIntegrityError(f"{path}: module path {str(place)!r} leaves the folder")


def _vet_routes(path: Path, value: Any) -> None:
    types = value.get("types") if isinstance(value, dict) else None
    if not isinstance(types, dict):
        raise ModelIntegrityError(f"{path}: no 'types' of its modules")
    for name in types.values():
        _check_module_type(path, name)


def _check_module_type(path: Path, name: object) -> None:
    if not (isinstance(name, str) and name.startswith(MODULE_PREFIX)):
        raise ModelIntegrityError(
            f"{path}: module type {name!r} is outside of {MODULE_PREFIX}*, so it could be any code"
        )


def _check_template(path: Path, size: int) -> None:
    if size > MAX_TEMPLATE_BYTES:
        raise ModelIntegrityError(f"{path}: a chat template of {size} bytes, at most {MAX_TEMPLATE_BYTES} are read")


def check_safetensors(path: Path) -> None:
    """Check that the header fits the file: its length, its JSON, and tensors that fill the rest exactly, no overlap.

    Raises:
        ModelIntegrityError: the header lies, or the file was cut or extended.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            raise ModelIntegrityError(f"{path}: the header claims {length} bytes, the file has {max(size - 8, 0)} left")
        raw = stream.read(length)
    end = 0
    for start, stop in _tensor_spans(path, raw):
        if start != end or stop < start:
            raise ModelIntegrityError(f"{path}: a tensor begins at byte {start}, the one before ends at {end}")
        end = stop
    if end != size - 8 - length:
        raise ModelIntegrityError(f"{path}: the tensors need {end} bytes, the file holds {size - 8 - length}")


def _tensor_spans(path: Path, raw: bytes) -> list[tuple[int, int]]:
    try:
        header = json.loads(raw)
        spans = [tensor["data_offsets"] for name, tensor in header.items() if name != "__metadata__"]
        return sorted((int(start), int(stop)) for start, stop in spans)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelIntegrityError(f"{path}: the safetensors header is malformed: {error}") from error
