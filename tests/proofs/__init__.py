"""Proofs that take more than a test may: each is run by a script of its name."""
