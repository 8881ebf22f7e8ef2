"""What scripts/bench_retrieval.py is made of. Files that run in the peers' environment import no workbench."""
