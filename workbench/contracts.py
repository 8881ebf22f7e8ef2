"""The sockets: what a part promises to whoever uses it. Nobody inherits from these; mypy checks the shape.

Each promise names the empty case. Tests of a room run every implementation in it against its socket.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from workbench.types import (
    EVERYTHING,
    Chunk,
    Document,
    EmbedderIdentity,
    EngineLoad,
    Event,
    Float32,
    Found,
    Generation,
    Message,
    Parsed,
    Prompt,
    Question,
    Ranking,
    Sampling,
    Scope,
)


class Reader(Protocol):
    """One document format."""

    def __call__(self, path: Path) -> Parsed:
        """Read one file. Raises UnreadableDocumentError, and only that, when the file cannot be read."""


class TokenOffsets(Protocol):
    """The embedder's own tokenizer, as far as chunking needs it."""

    max_tokens: int  # longest input in tokens, special tokens included
    n_special_tokens: int  # added to every input

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return for each text the (start, end) characters of its tokens, special tokens excluded, never truncated."""


class Embedder(TokenOffsets, Protocol):
    """Texts to unit vectors."""

    identity: EmbedderIdentity

    def embed_documents(self, texts: Sequence[str]) -> Float32:
        """Return shape (N, D), unit rows. A text over `max_tokens` is a ValueError: nothing is cut silently."""

    def embed_questions(self, texts: Sequence[str]) -> Float32:
        """Return shape (N, D), unit rows. A question over `max_tokens` is cut at its end, as every retriever does."""


class Retriever(Protocol):
    """A question to a ranking."""

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        """Return at most `k` hits from documents in `scope`, best first, no chunk twice.

        Nothing found is an empty ranking, not an error.
        """


class Finder(Retriever, Protocol):
    """A retriever that also knows when what it found is not enough."""

    def find(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Found:
        """Return the ranking `search` returns, and whether it is enough to answer from."""


class Reranker(Protocol):
    """A model that reads question and text together."""

    def score(self, question: str, texts: Sequence[str]) -> Float32:
        """Return shape (N,), higher is better, comparable between questions. No texts: shape (0,)."""


class ChatTokenizer(Protocol):
    """The generator's tokenizer, as far as prompts need it."""

    def render(self, messages: Sequence[Message]) -> str:
        """Return the chat template's text, ready for the model's turn."""

    def encode(self, text: str) -> list[int]:
        """Return token ids; special tokens written in `text` by `render` are recognised, none are added."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, control tokens left out."""

    def neutralise(self, text: str) -> str:
        """Return `text` with every control token broken up: a document must not be able to end the user's turn."""

    @property
    def end_of_turn_ids(self) -> tuple[int, ...]:
        """The tokens that end the model's turn in this template (usually one)."""


class Generator(Protocol):
    """Prompts to texts, greedy. The adapter is named, the base stays loaded."""

    def load_adapter(self, name: str, folder: Path, *, merge: bool = False) -> None:
        """Make an adapter available under `name`; `merge`: it answers from inside the base's weights.

        Raises AdapterMismatchError for another base or template, MergeError where it cannot be merged.
        """

    def generate(self, prompts: Sequence[Prompt], *, adapter: str | None, max_new_tokens: int) -> list[Generation]:
        """Answer one batch, in order. An empty batch gives an empty list."""

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str], *, adapter: str | None) -> list[float]:
        """Return for each prompt the log-probability of its text: nats a token, averaged, end-of-turn left out."""


class Ticket(Protocol):
    """An answer under way."""

    def cancel(self) -> None:
        """Give the answer up within one decoding step; its last event is a Failure. Done already: nothing."""


class Engine(Protocol):
    """Prompts of many users to texts, each piece as it comes."""

    def submit(
        self,
        prompt: Prompt,
        *,
        adapter: str | None,
        sampling: Sampling,
        deadline: float,
        on_event: Callable[[Event], None],
    ) -> Ticket:
        """Begin an answer, or put it in the queue; return at once. Safe to call from any thread.

        Args:
            deadline: `time.monotonic()` at which the answer is given up with a Failure of DeadlineError.
            on_event: called from the engine's thread with each piece and, last, the Generation or Failure; the pieces'
                texts, joined, are the generation's text. It must not block, and what it raises is logged and lost.

        Raises:
            QueueFullError: as many wait as may; nothing was begun.
            AdapterMismatchError: no adapter of this name is loaded.
        """

    def exclusive(self) -> AbstractContextManager[object]:
        """Keep the engine off its model for the block: for attaching an adapter. Answers wait, deadlines go on."""

    @property
    def load(self) -> EngineLoad:
        """What the engine is doing now."""

    def close(self, *, drain_seconds: float) -> None:
        """Take nothing new, let what runs end for `drain_seconds`, give up the rest, and end the engine's thread."""


class Strategy(Protocol):
    """How a question becomes a prompt: with or without passages, and which."""

    def prompt(self, question: Question) -> Prompt:
        """Build the prompt. Deterministic: the same question gives the same prompt."""


class Metric(Protocol):
    """A pure function of an answer and the accepted answers, in [0, 1]."""

    def __call__(self, answer: str, gold: Sequence[str]) -> float:
        """Score the best match over `gold`, which is not empty."""


class ChunkStore(Protocol):
    """What retrieval needs of a collection. An unknown id is a KeyError everywhere."""

    def require(self, identity: EmbedderIdentity) -> None:
        """Raise StaleIndexError if the collection was built with another embedder."""

    def search_vectors(self, vector: Float32, *, k: int, scope: Scope = EVERYTHING) -> list[tuple[str, float]]:
        """Return the `k` nearest (chunk id, inner product) to `vector`, shape (D,), best first, ties by id."""

    def search_words(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> list[tuple[str, float]]:
        """Return the `k` best (chunk id, BM25 above 0), best first, ties by id; may be empty."""

    def chunks(self, ids: Sequence[str]) -> list[Chunk]:
        """Return the chunks in the order of `ids`."""

    def vectors_of(self, ids: Sequence[str]) -> Float32:
        """Return shape (N, D), unit rows, in the order of `ids`."""

    def neighbours(self, chunk_id: str, *, before: int, after: int) -> list[Chunk]:
        """Return the chunk between up to `before` and `after` chunks of its document, in the document's order."""

    def section(self, chunk_id: str) -> list[Chunk]:
        """Return the unbroken run of chunks around this one that share its heading path, in the document's order."""

    def document(self, id_: str) -> Document:
        """Return one document."""
