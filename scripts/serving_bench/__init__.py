"""What scripts/bench_serving.py is made of."""
