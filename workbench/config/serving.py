"""The knobs of the server: where it listens, how much it takes on, what it keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from workbench.config.base import Knobs

CONTEXT_TOKENS = 4096  # where the config does not say and the model reads as many


class ServingConfig(Knobs):
    """`workbench serve`: loopback by default; any other host needs a key in the key file."""

    host: str = Field("127.0.0.1", description="address to listen on; one that others can reach needs keys")
    port: int = Field(8000, ge=0, le=65535, description="0: any free port")
    folder: Path | None = Field(None, description="collections, keys and logs of the server; none: RUN/serving")
    slots: int = Field(16, ge=1, le=256, description="answers decoded together, one batch")
    queue: int = Field(64, ge=0, description="requests that may wait for a slot; one more is answered with 429")
    max_new_tokens: int = Field(512, ge=1, description="most tokens of one answer, and the default where none is asked")
    context_tokens: int | None = Field(
        None, ge=64, description="most tokens of prompt and answer together; none: 4096, or as many as the model reads"
    )
    deadline_seconds: float = Field(120.0, gt=0, description="an answer that is not done by then is given up with 504")
    drain_seconds: float = Field(30.0, ge=0, description="after SIGTERM, how long running answers may take to end")
    max_body_bytes: int = Field(1_048_576, ge=1024, description="largest JSON body, checked before it is parsed")
    max_file_bytes: int = Field(33_554_432, ge=1024, description="largest uploaded document, its form included")
    requests_per_minute: int = Field(600, ge=0, description="of one key; more are answered with 429. 0: no limit")
    rag_depth: int = Field(3, ge=1, le=50, description="passages in the prompt where a request does not say")
    query_log: Literal["off", "measures", "content"] = Field(
        "off",
        description="off; measures: embedding, scores and seconds of each question, not its words; content: words too",
    )
    audit_content: bool = Field(False, description="write the words asked into the audit log, not only who and what")

    def folder_beside(self, run_folder: Path) -> Path:
        """Return the server's folder for a run's folder."""
        return self.folder or run_folder / "serving"
