"""Compare our retrieval with txtai and LlamaIndex on one BEIR folder, the same model and the same cores.

    python scripts/bench_retrieval.py FOLDER --peer-python PEERS/bin/python

The peers live in an environment of their own, for they are no dependencies of ours:
python -m venv PEERS && PEERS/bin/pip install -c constraints.txt -r scripts/retrieval_bench/peers.txt
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from retrieval_bench.session import compare_engines, verify_reference

from workbench.errors import WorkbenchError


def main() -> int:
    """Run the comparison, or only check our scores against the reference libraries; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv")
    parser.add_argument("--peers", default="txtai,llamaindex", help="which, by comma; empty: ours alone")
    parser.add_argument("--peer-python", type=Path, help="interpreter of the environment that has them")
    parser.add_argument("--split", default="test", help="which judgments")
    parser.add_argument("--model", default="all-minilm-l6-v2", help="the embedder all of them use")
    parser.add_argument("--settings", default="default,8,64", help="the peers' batch sizes to run")
    parser.add_argument("--ours", default="default", help="our embedder's backends: default, torch, openvino")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; medians are reported")
    parser.add_argument("--cores", type=int, default=2, help="cores all of them run on")
    parser.add_argument("--rerank", metavar="MODEL", default="", help="also rank with this reranker (ours)")
    parser.add_argument("--documents", type=int, help="only the first N documents: a first look, no result")
    parser.add_argument("--reference", action="store_true", help="only compare our scores with bm25s and FAISS")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-retrieval"), help="folder for the JSON")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=arguments.out) as work:
            session = verify_reference if arguments.reference else compare_engines
            return session(arguments, Path(work))
    except WorkbenchError as error:
        print(f"bench_retrieval: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
