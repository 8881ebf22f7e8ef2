"""How many tokens of one sequence a model reads the same way whatever company they have in a batch."""

from __future__ import annotations

from typing import Any

ROPE_BY_LENGTH = ("dynamic", "longrope")  # the longest sequence of a batch decides how all of it is turned


def longest_context(model: Any) -> int:
    """Return the model's own limit, or the shorter one up to which it attends to everything and turns all alike."""
    config = model.config.get_text_config()
    limits = [config.max_position_embeddings]
    window = getattr(config, "sliding_window", None)
    if window is not None and getattr(config, "use_sliding_window", True):
        limits.append(window)
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") in ROPE_BY_LENGTH:
        limits.append(rope.get("original_max_position_embeddings", config.max_position_embeddings))
    return int(min(limits))
