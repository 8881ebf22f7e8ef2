"""What `scripts/prove_serving.py` does to a running server, and what it counts."""
