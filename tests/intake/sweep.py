"""Every hostile fixture once, through the doors that users come by; no assert, so that `python -O` proves the same.

    python -O -m tests.intake.sweep FOLDER      prints how many were refused, and which were not

Needs WORKBENCH_HOME with the random models.
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.intake.hostile import ADAPTERS, MODELS, Spoil
from tests.intake.hostile_archives import COLLECTIONS, GGUFS
from tests.intake.hostile_tokenizers import TOKENIZERS
from tests.knowledge.archives import make_original, members, stated
from workbench.errors import WorkbenchError
from workbench.intake import admit_adapter
from workbench.intake.archive import DATABASE
from workbench.knowledge.portability import export_collection, import_collection
from workbench.models import find_model
from workbench.models.gguf import convert_gguf


class Lair:
    """A folder in which fixtures are made, one at a time, from honest originals."""

    def __init__(self, folder: Path, open_adapter: Callable[[Path], object] = admit_adapter) -> None:
        self._open_adapter = open_adapter
        self.folder = folder
        self.canary = folder / "canary"
        self.place = folder / "place"
        self.archive = folder / "honest.zip"
        make_original(folder / "collection")
        export_collection(folder / "collection", self.archive)
        self._parts = stated(self.archive), members(self.archive)[DATABASE]

    def fixtures(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Yield the name of each fixture and what a user would do with it."""
        for name, spoil in (MODELS | TOKENIZERS).items():
            yield f"model {name}", lambda spoil=spoil: self._open_model(spoil)  # type: ignore[misc]
        for name, spoil in ADAPTERS.items():
            yield f"adapter {name}", lambda spoil=spoil: self._attach(spoil)  # type: ignore[misc]
        for name, forge in COLLECTIONS.items():
            yield f"collection {name}", lambda forge=forge: self._import(forge)  # type: ignore[misc]
        for name, content in GGUFS.items():
            yield f"gguf {name}", lambda content=content: self._convert(content)  # type: ignore[misc]

    def try_out(self, use: Callable[[], object]) -> str:
        """Return what came of a fixture: "refused", or what should not have come."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        try:
            use()
        except WorkbenchError:
            outcome = "refused"
        except BaseException as error:
            outcome = f"untyped {type(error).__name__}: {error}"
        else:
            outcome = "let in"
        return "executed" if self.canary.exists() else outcome

    def _open_model(self, spoil: Spoil) -> object:
        folder = Path(shutil.copytree(find_model("tiny-random-bert").folder, self.place / "model"))
        spoil(folder, self.canary)
        return find_model(str(folder))

    def _attach(self, spoil: Spoil) -> object:
        folder = make_adapter(self.place / "adapter")
        spoil(folder, self.canary)
        return self._open_adapter(folder)

    def _import(self, forge: Callable[..., Path]) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile warns when a fixture gives a name twice
            forged = forge(self.place / "forged.zip", *self._parts, self.canary)
        return import_collection(forged, self.place / "new")

    def _convert(self, content: bytes) -> None:
        (self.place / "x.gguf").write_bytes(content)
        convert_gguf(self.place / "x.gguf", self.place)


def make_adapter(folder: Path) -> Path:
    """Write an honest adapter of one layer."""
    folder.mkdir()
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"auto_mapping": None}))
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (folder / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    (folder / "workbench.json").write_text("{}")
    return folder


def main() -> None:
    """Try every fixture and print what came of them."""
    lair = Lair(Path(sys.argv[1]))
    outcomes = {name: lair.try_out(use) for name, use in lair.fixtures()}
    found = {
        "optimised": not __debug__,
        "refused": sum(outcome == "refused" for outcome in outcomes.values()),
        "not refused": {name: outcome for name, outcome in outcomes.items() if outcome != "refused"},
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
