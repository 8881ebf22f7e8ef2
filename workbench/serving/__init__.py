"""OpenAI's API over a bench, with collections, keys and a page. No logic of its own: routes to calls, and back."""

from workbench.serving.opening import open_service
from workbench.serving.running import serve

__all__ = ["open_service", "serve"]
