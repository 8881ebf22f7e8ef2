"""Replays of a race over finished runs and simulated studies: how often it ends like the full grid, and for what."""
