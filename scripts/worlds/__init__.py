"""Planted worlds: experiments whose best arm is known by construction, simulated or run with a real model."""
