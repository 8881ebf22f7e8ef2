"""Prompts to texts: the local Transformers engine, one behind OpenAI's API, each also for many users at once.

And a scripted one, for tests and demonstrations.
"""

from workbench.generation.continuous import ContinuousEngine
from workbench.generation.local import LocalGenerator
from workbench.generation.openai import OpenAIGenerator
from workbench.generation.openai_engine import OpenAIEngine
from workbench.generation.scripted import ScriptedGenerator

__all__ = ["ContinuousEngine", "LocalGenerator", "OpenAIEngine", "OpenAIGenerator", "ScriptedGenerator"]
