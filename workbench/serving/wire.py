"""What chats look like on the wire: OpenAI's request and answers, with the fields of our own.

Closed models: a field that would change the answer and is not known here is refused, not ignored.
Source: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

EXAMPLE: JsonValue = {
    "model": "rag",
    "messages": [{"role": "user", "content": "How do I reset the gauge?"}],
    "rag": 1,
    "rag_collection": "manuals",
    "rag_depth": 3,
}
MAX_CHARACTERS = 200_000  # of one message


class Body(BaseModel):
    """Base of all requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TextPart(Body):
    """A part of a message."""

    type: Literal["text"]
    text: str = Field(max_length=MAX_CHARACTERS)


class ChatMessage(Body):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=MAX_CHARACTERS)] | list[TextPart]
    name: str | None = None

    @property
    def text(self) -> str:
        """The words, parts put together."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class StreamOptions(Body):
    """What a stream ends with."""

    include_usage: bool = False
    include_obfuscation: bool = False
    include_sources: bool = Field(False, description="one more event before [DONE] that holds the sources alone")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


StopText = Annotated[str, Field(min_length=1, max_length=200)]
Stop = Annotated[Annotated[list[StopText], Field(max_length=4)] | None, BeforeValidator(_as_list)]
# Fields of OpenAI's that do not change an answer, and fields whose neutral value does not: all others are refused.
HARMLESS = ("metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "parallel_tool_calls")
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0, None),
    "presence_penalty": (0, None),
    "logprobs": (False, None),
    "top_logprobs": (0, None),
    "logit_bias": ({}, None),
    "tools": ([], None),
    "tool_choice": ("none", None),
    "response_format": ({"type": "text"}, None),
    "modalities": (["text"], None),
    "audio": (None,),
}


class ChatRequest(Body):
    """OpenAI's request, and `rag…`. `n` may only be 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    model: str = Field(min_length=1, max_length=200, description="the base, an adapter, or an arm of the experiment")
    messages: list[ChatMessage] = Field(min_length=1, max_length=200)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2, description="0, the default, is greedy")
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: Stop = None
    n: Literal[1] | None = 1
    user: str | None = Field(None, max_length=200)
    rag: bool | None = Field(None, description="1: read passages, 0: do not; none: as the model itself does")
    rag_collection: str | None = Field(None, max_length=100)
    rag_depth: int | None = Field(None, ge=1, le=50, description="passages in the prompt")
    rag_threshold: float | None = Field(None, description="least score of the best passage; below it: the refusal")
    rag_filter: str | None = Field(None, max_length=2000, description="a filter on metadata, such as year >= 2020")
    rag_sources_in_text: bool | None = Field(None, description="append the sources to the answer's text")

    @model_validator(mode="before")
    @classmethod
    def _drop_what_changes_nothing(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        kept = {name: value for name, value in data.items() if name not in HARMLESS}
        for name, neutral in NEUTRAL.items():
            if name in kept and not any(type(kept[name]) is type(one) and kept[name] == one for one in (*neutral, 0.0)):
                raise ValueError(f"{name} is not supported here; leave it out")
            kept.pop(name, None)
        return kept


class Source(BaseModel):
    """A passage that an answer could read, or that a search found. Offsets are characters of the document."""

    number: int
    collection: str
    document_id: str
    start: int
    end: int
    page: int | None
    headings: list[str]
    score: float
    cited: bool | None = None
    text: str


class Usage(BaseModel):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChosenRoute(BaseModel):
    """The arm a router took, and why."""

    arm: str
    why: str


class Timing(BaseModel):
    """Seconds. `first_token_seconds`: from the request to the first words; None: there were none."""

    retrieval_seconds: float
    first_token_seconds: float | None
    seconds: float


class AnswerMessage(BaseModel):
    """The model's turn."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """The only one."""

    index: int = 0
    message: AnswerMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class ChatAnswer(BaseModel):
    """OpenAI's answer, with where it comes from."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    system_fingerprint: str
    sources: list[Source]
    route: ChosenRoute | None = None
    timing: Timing
