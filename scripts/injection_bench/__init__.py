"""Facts into weights: rows of few and many forms, one run over all of them, a table. Called by bench_injection.py."""
