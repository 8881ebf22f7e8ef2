"""A sentence-transformers folder behind the `Embedder` socket: texts to unit vectors, and the tokens chunking counts.

Nothing is cut silently: a document over the limit is an error. It computes in float32 everywhere: with
all-MiniLM-L6-v2 in bfloat16 only 85 % of the ten nearest stayed the same.
Source: Reimers and Gurevych, EMNLP 2019, https://doi.org/10.18653/v1/D19-1410
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import MissingModelError, ModelIntegrityError
from workbench.models.loading import hide_progress_bars
from workbench.models.store import InstalledModel
from workbench.models.vetting import read_json
from workbench.types import EmbedderIdentity, Float32

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

QUESTION_PROMPTS = ("query", "question")
DOCUMENT_PROMPTS = ("document", "passage", "corpus")


class SentenceEmbedder:
    """Implements `contracts.Embedder`. `max_tokens` is the room left for a text beside the model's document prompt."""

    def __init__(self, installed: InstalledModel, *, device: str = "cpu", batch_size: int = 32) -> None:
        """Load the model.

        Args:
            device: a torch device.
            batch_size: texts computed at once, sorted by length first.
        Raises:
            MissingModelError: the model is not an embedder.
            ModelIntegrityError: sentence-transformers cannot read the folder, a weight is missing in it, or it has no
                fast tokenizer.
        """
        if installed.kind != "embedder":
            raise MissingModelError(f"{installed.name} is a model of kind {installed.kind}; see: workbench models list")
        self._model = _load(installed, device)
        self._batch_size = batch_size
        self._name = installed.name
        # A copy: the model's own tokenizer goes on cutting and padding, this one counts all there is.
        self._counter = _copy_backend(self._model, installed)
        prompts = self._model.prompts
        question, document = (_find_prompt(prompts, names) for names in (QUESTION_PROMPTS, DOCUMENT_PROMPTS))
        limit = self._model.max_seq_length
        if limit is None:
            raise ModelIntegrityError(f"{installed.folder}: states no max_seq_length, so texts could not be kept whole")
        self.n_special_tokens: int = self._counter.num_special_tokens_to_add(is_pair=False)
        self.max_tokens: int = limit - len(self._counter.encode(document, add_special_tokens=False))
        dimension = self._model.get_embedding_dimension()
        assert dimension is not None
        self.identity = EmbedderIdentity(
            name=installed.name,
            fingerprint=installed.fingerprint,
            dimension=dimension,
            max_tokens=self.max_tokens,
            pooling=_pooling(self._model),
            normalised=True,
            question_prompt=question,
            document_prompt=document,
        )

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return for each text the (start, end) characters of its tokens, special tokens excluded, never truncated."""
        return [encoding.offsets for encoding in self._counter.encode_batch(list(texts), add_special_tokens=False)]

    def embed_documents(self, texts: Sequence[str]) -> Float32:
        """Return shape (N, D), unit rows.

        Raises:
            ValueError: a text has more than `max_tokens` tokens, special tokens included.
        """
        for number, offsets in enumerate(self.token_offsets(texts)):
            n_tokens = len(offsets) + self.n_special_tokens
            if n_tokens > self.max_tokens:
                raise ValueError(
                    f"text {number} has {n_tokens} tokens, {self._name} reads {self.max_tokens}: {texts[number][:60]!r}"
                )
        return self._embed(texts, self.identity.document_prompt)

    def embed_questions(self, texts: Sequence[str]) -> Float32:
        """Return shape (N, D), unit rows. A question over the limit is cut at its end, as every retriever does."""
        return self._embed(texts, self.identity.question_prompt)

    def _embed(self, texts: Sequence[str], prompt: str) -> Float32:
        if not texts:
            return np.zeros((0, self.identity.dimension), dtype=np.float32)
        rows = self._model.encode(
            list(texts),
            prompt=prompt,
            batch_size=self._batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return np.ascontiguousarray(rows, dtype=np.float32)  # (N, D)


def _load(installed: InstalledModel, device: str) -> SentenceTransformer:
    import torch
    from sentence_transformers import SentenceTransformer

    hide_progress_bars()
    try:
        model = SentenceTransformer(
            str(installed.folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )
        missing = _missing_weights(model, installed)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelIntegrityError(f"{installed.folder}: not loadable: {' '.join(str(error).split())[:300]}") from error
    if missing:
        raise ModelIntegrityError(f"{installed.folder}: weights are missing: {missing[:5]}")
    return model


def _missing_weights(model: SentenceTransformer, installed: InstalledModel) -> list[str]:
    """Return the weights that were filled with random numbers: Transformers only warns, and nobody asked it to tell.

    Where the files name every weight of the encoder none can be missing. Else the names may only be older ones, so
    Transformers, which knows them, loads the encoder again and reports. A pooler may be missing: it is not used.
    """
    from safetensors import safe_open
    from transformers import PreTrainedModel

    encoder = getattr(model[0], "auto_model", None)
    if not isinstance(encoder, PreTrainedModel):
        return []  # other modules load strictly
    folder = installed.folder / read_json(installed.folder / "modules.json")[0].get("path", "")
    named: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as weights:
            named.update(weights.keys())
    if {name for name, _ in encoder.named_parameters()} <= named:
        return []
    loaded: Any = type(encoder).from_pretrained(
        folder,
        config=encoder.config,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
    )
    return sorted(name for name in loaded[1]["missing_keys"] if not name.startswith("pooler."))


def _copy_backend(model: SentenceTransformer, installed: InstalledModel) -> Tokenizer:
    from tokenizers import Tokenizer

    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelIntegrityError(f"{installed.folder}: has no fast tokenizer, so tokens cannot be placed in the text")
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _find_prompt(prompts: Mapping[str, str | None], names: Sequence[str]) -> str:
    return next((prompt for name in names if (prompt := prompts.get(name))), "")


def _pooling(model: SentenceTransformer) -> str:
    from sentence_transformers.sentence_transformer.modules import Pooling

    modes = [module.pooling_mode for module in model if isinstance(module, Pooling)]
    return ", ".join(str(mode) for mode in modes) or "the model's own"
