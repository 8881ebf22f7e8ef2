"""Prompts to texts: the local Transformers engine, and a scripted one for tests and demonstrations."""

from workbench.generation.local import LocalGenerator
from workbench.generation.scripted import ScriptedGenerator

__all__ = ["LocalGenerator", "ScriptedGenerator"]
