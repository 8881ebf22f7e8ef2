"""Make the sample corpus and its questions: python scripts/make_sample_corpus.py [--out data] [--seed 11].

Needs the extra `dev` (fpdf2 writes the PDFs). The committed data/ comes from the default seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sample_corpus.build import build_sample, count_questions


def main() -> None:
    """Write the corpus and print how many questions each split and kind has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "data", help="folder to write into")
    parser.add_argument("--seed", type=int, default=11, help="draws the facts and the splits")
    arguments = parser.parse_args()
    print(count_questions(build_sample(arguments.out, arguments.seed)))


if __name__ == "__main__":
    main()
