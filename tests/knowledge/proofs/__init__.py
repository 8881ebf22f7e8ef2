"""Proofs that a collection never lies: long runs of faults and rivals, held against a brute-force oracle.

Each module proves one thing and runs as a script; `test_proofs.py` runs short versions of all,
`scripts/prove_knowledge` the full ones. Kills and disk errors at every system call need strace.
"""
