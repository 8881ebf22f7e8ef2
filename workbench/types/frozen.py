"""How a record crosses the disk."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A record that crosses the disk: read-only and closed, so a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
