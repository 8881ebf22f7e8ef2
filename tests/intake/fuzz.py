"""Real tokenizers changed at random, through the gate and into the library: nothing but typed outcomes.

    python -O -m tests.intake.fuzz FOLDER N [SEED]      prints the outcomes; FOLDER holds models' folders to change

What is let in is then opened by Transformers as this program does it, and used once.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.intake.real_pieces import BPE, UNIGRAM
from workbench.errors import WorkbenchError
from workbench.intake import admit_model
from workbench.models.catalogue import FolderSource
from workbench.models.loading import load_tokenizer
from workbench.models.store import InstalledModel

UNREAD = shutil.ignore_patterns("*.safetensors", "workbench.json", "vocab.txt")
TEXTS = ("", "a", "\0", "▁", "(a+)+$", "\ud800", "x" * 70)
VALUES: tuple[Any, ...] = (None, True, False, 0, -1, 1, 7, 2**31, 2**63, 1e308, [], {}, [[]], *TEXTS)


def change_bytes(dice: random.Random, content: bytes) -> bytes:
    """Change, take out, double or cut a few bytes."""
    raw = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        place, width = dice.randrange(len(raw)), dice.randint(1, 64)
        match dice.randrange(5):
            case 0:
                raw[place] = dice.randrange(256)
            case 1:
                del raw[place : place + width]
            case 2:
                raw[place:place] = raw[place : place + width]
            case 3:
                raw[place : place + 1] = dice.choice((b"{", b"}", b'"', b"0", b"-1", b"null", b"1e999", b"\xff", b"\\"))
            case _:
                raw = raw[: max(1, place)] if dice.random() < 0.1 else raw
    return bytes(raw)


def change_json(dice: random.Random, content: bytes) -> bytes:
    """Put odd values in odd places of a JSON file."""
    value = json.loads(content)
    for _ in range(dice.randint(1, 3)):
        node: Any = value
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = dice.choice(keys[:40])
            if isinstance(node[key], (dict, list)) and node[key] and dice.random() < 0.8:
                node = node[key]
                continue
            match dice.randrange(4):
                case 0:
                    del node[key]
                case 1 if isinstance(node, dict):
                    node[dice.choice(("type", "id", "vocab", "content", "pattern", "mine"))] = node[key]
                case _:
                    node[key] = dice.choice(VALUES)
            break
    return json.dumps(value).encode()


def spoil(dice: random.Random, folder: Path) -> None:
    """Change one file of a model's folder."""
    if dice.random() < 0.25:
        (folder / "tokenizer.model").write_bytes(change_bytes(dice, dice.choice((UNIGRAM, BPE))))
        return
    path = folder / dice.choice(("tokenizer.json",) * 4 + ("tokenizer_config.json",))
    change: Callable[[random.Random, bytes], bytes] = dice.choice((change_json, change_json, change_bytes))
    path.write_bytes(change(dice, path.read_bytes()))


def try_out(folder: Path) -> str:
    """Return what came of a folder."""
    step = "gate"
    try:
        admitted = admit_model(folder)
        step = "library"
        model = InstalledModel("x", "generator", folder, admitted.fingerprint, "", FolderSource(path=str(folder)))
        load_tokenizer(model)
        step = "use"
        load_tokenizer(model)("The quick brown fox\n\n 1987 été 中")
    except WorkbenchError:
        return f"{step}: refused"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{step}: untyped {type(error).__name__}: {' '.join(str(error).split())[:160]}"
    return "let in, works"


def main() -> None:
    """Change, try, count."""
    homes = [path.parent for path in sorted(Path(sys.argv[1]).glob("*/tokenizer.json"))]
    dice = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        for _ in range(int(sys.argv[2])):
            folder = Path(place, "model")
            shutil.copytree(dice.choice(homes), folder, ignore=UNREAD)
            spoil(dice, folder)
            outcomes[try_out(folder)] += 1
            shutil.rmtree(folder)
    sys.stdout.write(json.dumps({"optimised": not __debug__, **outcomes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
