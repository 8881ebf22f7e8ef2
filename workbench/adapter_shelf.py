"""The adapters on this machine: listed, shown, merged into their bases, written for other tools.

Beside `bench.py`, which makes them. The command line's `adapter` verbs call one function each.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, assert_never

import torch

from workbench.config import GatesConfig
from workbench.errors import AdapterMismatchError, ConfigError, ExportError, MissingModelError
from workbench.gates import GateReport, read_report
from workbench.gates.card import write_merged_card
from workbench.gates.forgetting import load_probes
from workbench.gates.runner import probe_ids
from workbench.intake import read_json
from workbench.intake.adapter_settings import WEIGHTS
from workbench.models import HfChatTokenizer, InstalledModel, find_model, list_models, load_tokenizer
from workbench.models.activation import recorded_invocation
from workbench.models.adapters import read_adapter, read_passport
from workbench.models.merging import MergeCheck, refuse_unmergeable, write_merged
from workbench.runs import fingerprint_file, sync_folder
from workbench.types import Adapter

CONVERTER = "convert_hf_to_gguf.py"
CONVERTER_PLACE = "LLAMA_CPP"  # environment: a checkout of llama.cpp
GGUF_MAGIC = b"GGUF"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
GGUF_TYPES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}

DtypeName = Literal["auto", "float32", "float16", "bfloat16"]


@dataclass(frozen=True, slots=True)
class AdapterRow:
    """One line of `workbench adapter list`. `fault` says why a folder that looks like an adapter is none."""

    folder: Path
    name: str = ""
    rank: int = 0
    acts_from: str = ""
    base: str = ""  # its name, or the start of its fingerprint where it is not on this machine
    gates: str = ""
    fault: str = ""


def list_adapters(roots: Sequence[Path]) -> list[AdapterRow]:
    """Return every adapter below `roots`, by path; folders being written (hidden ones) are left out.

    Raises:
        MissingModelError: a root is no folder.
    """
    rows = []
    for root in roots:
        if not root.is_dir():
            raise MissingModelError(f"{root} is no folder; adapters lie in the folders of runs: workbench train CONFIG")
        for weights in sorted(root.rglob(WEIGHTS)):
            if not any(part.startswith(".") for part in weights.relative_to(root).parts):
                rows.append(_row(weights.parent))
    return rows


def _row(folder: Path) -> AdapterRow:
    try:
        adapter, report = read_passport(folder), read_report(folder)
    except (MissingModelError, AdapterMismatchError, ValueError) as error:  # another tool's, or damaged
        return AdapterRow(folder, fault=" ".join(str(error).split()))
    return AdapterRow(folder, adapter.name, adapter.rank, adapter.acts_from, _name_base(adapter), _sum_up(report))


def _sum_up(report: GateReport | None) -> str:
    if report is None:
        return "not checked"
    return f"{len(report.failed)} failed" if report.failed else "passed"


def show_adapter(folder: Path) -> dict[str, object]:
    """Return all that is known of an adapter, JSON-ready.

    Raises:
        MissingModelError: the folder holds no adapter.
    """
    adapter, report = read_passport(folder), read_report(folder)
    return {
        **asdict(adapter),
        "folder": str(folder),
        "base": _name_base(adapter),
        "weights": fingerprint_file(folder / WEIGHTS),
        "invocation_tokens": recorded_invocation(folder),
        "mergeable": adapter.acts_from == "prompt",
        "gates": [result.model_dump(mode="json") for result in report.results] if report else "not checked",
    }


def find_base(adapter: Adapter, reference: str | None = None) -> InstalledModel:
    """Return the base model an adapter was trained for: `reference`, or whichever on this machine has its fingerprint.

    Raises:
        MissingModelError: it is not here.
        AdapterMismatchError: `reference` is another model.
    """
    if reference is not None:
        named = find_model(reference, kind="generator")
        if named.fingerprint != adapter.base_fingerprint:
            raise AdapterMismatchError(
                f"{adapter.folder}: trained for base model {adapter.base_fingerprint[:12]}, but {reference} is "
                f"{named.fingerprint[:12]}; name the right one: --base NAME_OR_FOLDER"
            )
        return named
    for row in list_models():
        if row.installed and row.kind == "generator":
            model = find_model(row.name)
            if model.fingerprint == adapter.base_fingerprint:
                return model
    raise MissingModelError(
        f"{adapter.folder}: its base model (fingerprint {adapter.base_fingerprint[:12]}) is not in `workbench models "
        f"list`; name its folder: --base FOLDER"
    )


def merge_adapter(folder: Path, out: Path, *, base: str | None = None, dtype: DtypeName = "auto") -> MergeCheck:
    """Write base + adapter as one model folder `out`, checked by logits before it appears.

    Args:
        base: the base model's name or folder; None: found by its fingerprint.
        dtype: number format; auto: the base's own.
    Raises:
        ConfigError: `out` exists.
        MergeError: the adapter acts from the question on, or the merged logits differ.
        MissingModelError, AdapterMismatchError: no adapter, no base, or not its base.
    """
    _refuse_existing(out)
    passport = read_passport(folder)
    refuse_unmergeable(passport)  # before a base is looked for
    installed = find_base(passport, base)
    tokenizer = HfChatTokenizer(load_tokenizer(installed), name=installed.name)
    adapter = read_adapter(
        folder,
        name=passport.name,
        base_fingerprint=installed.fingerprint,
        template_hash=tokenizer.template_hash,
    )
    return write_merged(
        adapter,
        installed,
        out,
        dtype=_choose_dtype(installed, dtype),
        probes=probe_ids(tokenizer, load_probes(GatesConfig())),
        card=write_merged_card(adapter, installed.name, installed.licence),
    )


def export_adapter(
    folder: Path,
    to: Literal["safetensors", "gguf"],
    out: Path | None = None,
    *,
    base: str | None = None,
    dtype: DtypeName = "auto",
    converter: Path | None = None,
) -> tuple[Path, MergeCheck]:
    """Merge an adapter into its base and write that as a model folder or as one GGUF file; return where it lies.

    Args:
        out: None: NAME-merged or NAME.gguf in the current folder.
    Raises:
        As `merge_adapter` and `export_gguf`.
    """
    name = read_passport(folder).name
    match to:
        case "safetensors":
            out = out or Path(f"{name}-merged")
            return out, merge_adapter(folder, out, base=base, dtype=dtype)
        case "gguf":
            out = out or Path(f"{name}.gguf")
            return out, export_gguf(folder, out, base=base, dtype=dtype, converter=converter)
        case _:
            assert_never(to)


def export_gguf(
    folder: Path, out: Path, *, base: str | None = None, dtype: DtypeName = "auto", converter: Path | None = None
) -> MergeCheck:
    """Merge, then let llama.cpp's converter write `out`, one GGUF file; it appears whole or not at all.

    Args:
        converter: llama.cpp's convert_hf_to_gguf.py; None: looked for below $LLAMA_CPP and on PATH. It is run with this
            Python, so its packages (gguf, torch, transformers) are those of this program.
    Raises:
        ConfigError: `out` exists.
        ExportError: the converter is not here, or it failed; its last words are told.
        MergeError and others: as `merge_adapter`.
    """
    _refuse_existing(out)
    script = find_converter(converter)
    refuse_unmergeable(read_passport(folder))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        merged, file = Path(temporary, read_passport(folder).name), Path(temporary, "model.gguf")
        check = merge_adapter(folder, merged, base=base, dtype=dtype)
        kind = GGUF_TYPES[DTYPES[check.dtype]]
        command = [sys.executable, str(script), str(merged), "--outfile", str(file), "--outtype", kind]
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | offline)
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[-300:]
            raise ExportError(f"{script} ended with {done.returncode}: {said or 'it said nothing'}")
        if not file.is_file() or not _is_gguf(file):
            raise ExportError(f"{script} ended well, but wrote no GGUF file; is it llama.cpp's {CONVERTER}?")
        file.replace(out)
        sync_folder(out.parent)
    return check


def _is_gguf(file: Path) -> bool:
    """Whether a file begins as GGUF does. What it holds is made durable."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        return stream.read(len(GGUF_MAGIC)) == GGUF_MAGIC


def find_converter(given: Path | None) -> Path:
    """Return llama.cpp's converter. Raises ExportError naming what to install."""
    if given is not None:
        if not given.is_file():
            raise ExportError(f"--converter {given} is no file; it should be llama.cpp's {CONVERTER}")
        return given
    checkout = os.environ.get(CONVERTER_PLACE)
    if checkout:
        script = Path(checkout, CONVERTER)
        if not script.is_file():
            raise ExportError(f"{CONVERTER_PLACE}={checkout}, but {script} is no file; set it to a llama.cpp checkout")
        return script
    found = shutil.which(CONVERTER)
    if found is None:
        raise ExportError(
            f"GGUF is written by llama.cpp's {CONVERTER}, which is not on PATH; get a checkout of llama.cpp "
            f"(github.com/ggml-org/llama.cpp) and name it: --converter FILE, or {CONVERTER_PLACE}=CHECKOUT"
        )
    return Path(found)


def _choose_dtype(base: InstalledModel, wanted: DtypeName) -> torch.dtype:
    if wanted != "auto":
        return DTYPES[wanted]
    config = read_json(base.folder / "config.json")
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    if stored not in DTYPES:
        raise ConfigError(f"{base.name} is stored as {stored!r}; say into which format to merge: --dtype bfloat16")
    return DTYPES[stored]


def _name_base(adapter: Adapter) -> str:
    try:
        return find_base(adapter).name
    except MissingModelError:
        return f"not here ({adapter.base_fingerprint[:12]})"


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise ConfigError(f"{out} exists, and nothing is overwritten; name another place, or remove it first")
