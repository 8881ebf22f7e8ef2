"""Simulations that hold the verdict's statistics to what they promise."""
