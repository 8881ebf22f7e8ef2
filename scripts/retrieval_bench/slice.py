"""A smaller BEIR folder out of a large one, for a first look: not for numbers anybody quotes."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path


def cut_folder(folder: Path, target: Path, *, n_documents: int, split: str) -> Path:
    """Write the first `n_documents` and the queries with a relevant one among them to `target`, and return it."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as stream:
        documents = list(islice(stream, n_documents))
    kept = {json.loads(line)["_id"] for line in documents}
    lines = (folder / "qrels" / f"{split}.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    cells = {line: line.rstrip("\n").split("\t") for line in lines}
    judgments = [line for line in lines[1:] if cells[line][1] in kept]
    asked = {cells[line][0] for line in judgments if int(cells[line][2]) > 0}
    with (folder / "queries.jsonl").open(encoding="utf-8") as stream:
        queries = [line for line in stream if json.loads(line)["_id"] in asked]
    (target / "qrels").mkdir(parents=True)
    (target / "corpus.jsonl").write_text("".join(documents), encoding="utf-8")
    (target / "queries.jsonl").write_text("".join(queries), encoding="utf-8")
    judged = [line for line in judgments if cells[line][0] in asked]
    (target / "qrels" / f"{split}.tsv").write_text("".join([lines[0], *judged]), encoding="utf-8")
    return target
