"""Does an answer keep to its declared form? Pure and deterministic; a judge model has no say."""

from __future__ import annotations

import json
import re

from workbench.config import CheckConfig


def meets(check: CheckConfig, answer: str) -> bool:
    """Whether `answer`, without blanks around it, keeps every rule of `check`."""
    text = answer.strip()
    counts = {
        "words": len(text.split()),
        "characters": len(text),
        "lines": sum(bool(line.strip()) for line in text.splitlines()),
    }
    for name, count in counts.items():
        ends = getattr(check, name)
        if ends is not None and not ends[0] <= count <= ends[1]:
            return False
    return (
        (check.matches is None or re.fullmatch(check.matches, text, re.DOTALL) is not None)
        and (check.holds is None or re.search(check.holds, text) is not None)
        and (check.lacks is None or re.search(check.lacks, text) is None)
        and (check.json_keys is None or _is_object(text, check.json_keys))
    )


def _is_object(text: str, keys: tuple[str, ...]) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # deep nesting in an answer is an answer's fault, not ours
        return False
    return isinstance(value, dict) and all(key in value for key in keys)
