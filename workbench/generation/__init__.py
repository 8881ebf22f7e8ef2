"""Prompts to texts: the local Transformers engine, the same for many users at once, and a scripted one for tests."""

from workbench.generation.continuous import ContinuousEngine
from workbench.generation.local import LocalGenerator
from workbench.generation.scripted import ScriptedGenerator

__all__ = ["ContinuousEngine", "LocalGenerator", "ScriptedGenerator"]
