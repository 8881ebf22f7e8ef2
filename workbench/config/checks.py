"""Declared checks of an answer's form: what a house style asks for, decided by rules and by no judge.

Descriptions are the help text.
"""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from workbench.config.base import Knobs

Range = tuple[int, int]
RULES = ("words", "characters", "lines", "matches", "holds", "lacks", "json_keys")


class CheckConfig(Knobs):
    """One check: an answer meets it if it keeps every rule that is given."""

    words: Range | None = Field(None, description="fewest and most words, for example [1, 12]")
    characters: Range | None = Field(None, description="fewest and most characters")
    lines: Range | None = Field(None, description="fewest and most lines that are not empty")
    matches: str | None = Field(None, description="a regular expression (Python) that the whole answer has to match")
    holds: str | None = Field(None, description="one that has to be found in the answer")
    lacks: str | None = Field(None, description="one that must not be found in it, for example (?i)sorry|as an AI")
    json_keys: tuple[str, ...] | None = Field(
        None, description="the answer has to be a JSON object with at least these keys; []: any object"
    )
    kinds: tuple[str, ...] = Field((), description="kinds of questions it applies to; none: every answerable question")

    @field_validator("matches", "holds", "lacks")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return pattern

    @field_validator("words", "characters", "lines")
    @classmethod
    def _rises(cls, ends: Range | None) -> Range | None:
        if ends is not None and not 0 <= ends[0] <= ends[1]:
            raise ValueError(f"{list(ends)} is no range: the fewest come first, for example [1, 12]")
        return ends

    @model_validator(mode="after")
    def _says_something(self) -> CheckConfig:
        if all(getattr(self, rule) is None for rule in RULES):
            raise ValueError(f"a check needs at least one rule of: {', '.join(RULES)}")
        return self
