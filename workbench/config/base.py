"""The base of all sections of a config: read-only and closed, so that an unknown key is an error."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Knobs(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid")
