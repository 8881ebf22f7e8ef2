"""What scripts/bench_training.py is made of. Files that run in the peers' environment import no workbench."""
