"""Prompts to texts: the local Transformers engine, one behind OpenAI's API, and a scripted one for tests."""

from workbench.generation.local import LocalGenerator
from workbench.generation.openai import OpenAIGenerator
from workbench.generation.openai_engine import OpenAIEngine
from workbench.generation.scripted import ScriptedGenerator

__all__ = ["LocalGenerator", "OpenAIEngine", "OpenAIGenerator", "ScriptedGenerator"]
