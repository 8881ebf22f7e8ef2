"""What the cross-encoder adds to the hybrid on one BEIR folder, by pool, and whether its backends agree.

    python scripts/bench_reranking.py FOLDER

Every question's deepest pool is scored once; a smaller pool is its beginning. The first `--check` questions are scored
by torch too: how far apart the scores are, what that does to nDCG@10, and what a question takes on either.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from retrieval_bench.reranking import compare_backends, compare_pools, format_findings, rank_hybrid, score_pools

from workbench.errors import WorkbenchError
from workbench.evaluation.beir import read_beir
from workbench.hardware import describe_machine
from workbench.models import CrossEncoderReranker, find_model
from workbench.runs import write_json


def main() -> int:
    """Rank, score, compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv")
    parser.add_argument("--split", default="test", help="which judgments")
    parser.add_argument("--embedder", default="all-minilm-l6-v2")
    parser.add_argument("--reranker", default="ms-marco-minilm-l12-v2")
    parser.add_argument("--backend", default="auto", help="what computes the scores: auto, torch, openvino")
    parser.add_argument("--pools", default="10,20,50", help="pool sizes in chunks, by comma")
    parser.add_argument("--check", type=int, default=10, help="questions that torch scores too; 0: none")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-reranking"), help="folder for the JSON")
    arguments = parser.parse_args()
    pools = sorted(map(int, arguments.pools.split(",")))
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        read = read_beir(arguments.folder, split=arguments.split)
        installed = find_model(arguments.reranker, kind="reranker")
        with tempfile.TemporaryDirectory(dir=arguments.out) as work:
            hybrid, given = rank_hybrid(read, Path(work), embedder=arguments.embedder)
        scored = score_pools(CrossEncoderReranker(installed, backend=arguments.backend), hybrid, depth=pools[-1])
        found = compare_pools(hybrid, scored, read.grades, pools)
        if arguments.check:
            few = dict(list(hybrid.items())[: arguments.check])
            reference = score_pools(CrossEncoderReranker(installed, backend="torch"), few, depth=pools[-1])
            found["against_torch"] = compare_backends(few, scored, reference, read.grades)
    except WorkbenchError as error:
        print(f"bench_reranking: {error}", file=sys.stderr)
        return 1
    print(format_findings(found))
    write_json(arguments.out / "reranking.json", found | given | {"machine": describe_machine()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
