"""The knobs of the part that generates: Transformers on this machine, or a server elsewhere that speaks OpenAI's API.

The address is the user's word: nothing is looked up, no other host is ever asked, and a redirect is not followed.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from workbench.config.base import Knobs

OURS = ("model", "messages", "stream", "stream_options", "max_tokens", "temperature", "top_p", "seed", "stop", "n")


class LocalEngineConfig(Knobs):
    """Transformers on this machine."""

    kind: Literal["local"] = "local"


class OpenAIEngineConfig(Knobs):
    """A server that speaks OpenAI's API: vLLM, llama.cpp's server, Ollama, another workbench."""

    kind: Literal["openai"] = "openai"
    url: str = Field(description="base of its API, for example http://gpu-box:8000/v1; no other host is asked")
    model: str = Field(min_length=1, description="name of the base model there; it must be models.generator")
    api_key_env: str | None = Field(
        None, description="environment variable that holds its key, read when it is first asked; none: no key"
    )
    adapters: dict[str, str] = Field(
        {},
        description="our adapter → its name there; one trained with another seed is called NAME-seed-SEED here. "
        "A server that applies it to the whole prompt needs one with acts_from: prompt",
    )
    timeout_seconds: float = Field(120.0, gt=0, description="longest wait for one answer, retries included")
    retries: int = Field(3, ge=0, le=20, description="new attempts where it cannot be reached or says 429 or 503")
    concurrent: int = Field(8, ge=1, le=256, description="requests in flight")
    scores: bool = Field(
        False,
        description="it returns the log-probabilities of a prompt (completions with echo and logprobs, as vLLM does): "
        "answers that are known to be right are scored; false: gold_logprob is not measured",
    )
    request: dict[str, object] = Field(
        {}, description="further fields of each request, for example {chat_template_kwargs: {enable_thinking: false}}"
    )

    @field_validator("url")
    @classmethod
    def _is_a_plain_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError(f"its scheme must be http or https, not {parts.scheme!r}")
        if parts.username is not None or parts.password is not None:
            raise ValueError("holds a user or a password; put the key into an environment variable: api_key_env")
        if not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be SCHEME://HOST[:PORT][/PATH], for example http://gpu-box:8000/v1")
        _ = parts.port  # raises ValueError for one out of range
        return url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        # Whoever puts the key itself here would find it in the run's config.yaml.
        if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError("must be the name of an environment variable, not the key itself")
        return name

    @field_validator("request")
    @classmethod
    def _leaves_ours_alone(cls, fields: dict[str, object]) -> dict[str, object]:
        if taken := [name for name in fields if name in OURS]:
            raise ValueError(f"sets {', '.join(taken)}, which this program sets itself")
        return fields


EngineConfig = Annotated[LocalEngineConfig | OpenAIEngineConfig, Field(discriminator="kind")]
