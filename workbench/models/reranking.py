"""A cross-encoder behind the `Reranker` socket: question and passage read together, one score a pair.

The score is the logit, before any activation: a sigmoid makes good passages equal. A passage too long for the model is
cut at its end, and counted; the question is never cut. Computed in float32, each pair padded by its own length alone.
Source: Nogueira and Cho, 2019, https://arxiv.org/abs/1901.04085
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import MissingModelError, ModelIntegrityError, PromptBudgetError
from workbench.models.batching import iterate_batches
from workbench.models.loading import hide_progress_bars
from workbench.models.store import InstalledModel
from workbench.models.tokenizing import copy_tokenizer
from workbench.models.vetting import read_json
from workbench.models.weights import find_missing_weights
from workbench.types import Float32, Int64

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

FEATURES = ("input_ids", "attention_mask", "token_type_ids")
LEAST_PASSAGE_TOKENS = 1  # room that a question must leave


class CrossEncoderReranker:
    """Implements `contracts.Reranker` over any folder of a one-label cross-encoder. Threads may share it."""

    def __init__(self, installed: InstalledModel, *, device: str = "cpu", batch_tokens: int = 4096) -> None:
        """Load the model.

        Args:
            device: a torch device.
            batch_tokens: tokens computed at once, padding included.
        Raises:
            MissingModelError: the model is not a reranker.
            ModelIntegrityError: it gives more than one score, is a decoder, cannot be read, has no fast tokenizer, or
                a weight is missing in its files (a head drawn at random would rank at random).
        """
        if installed.kind != "reranker":
            raise MissingModelError(f"{installed.name} is a model of kind {installed.kind}; see: workbench models list")
        self._model = _load(installed, device)
        self._device = device
        self._name = installed.name
        self._batch_tokens = batch_tokens
        self._tokenizer = copy_tokenizer(self._model.tokenizer, installed.folder)
        limit = self._model.max_seq_length
        if limit is None:
            raise ModelIntegrityError(f"{installed.folder}: states no max_seq_length, so nothing says where to cut")
        self.max_tokens: int = limit
        self._cutter = copy_tokenizer(self._model.tokenizer, installed.folder)
        self._cutter.enable_truncation(limit, strategy="only_second")  # the passage, at its end
        self._features = tuple(name for name in FEATURES if name in self._model.tokenizer.model_input_names)
        self._prompt = self._model.prompts.get(self._model.default_prompt_name or "") or ""  # stands before questions
        self._counting = threading.Lock()
        self._n_scored = self._n_cut = 0

    @property
    def n_scored(self) -> int:
        """Pairs scored since the model was loaded."""
        return self._n_scored

    @property
    def n_cut(self) -> int:
        """How many of them lost the end of their passage, being longer than `max_tokens`."""
        return self._n_cut

    def score(self, question: str, texts: Sequence[str]) -> Float32:
        """Return shape (N,): one logit a text, higher is better. No texts: shape (0,).

        Raises:
            PromptBudgetError: the question alone fills the model.
        """
        if not texts:
            return np.zeros(0, dtype=np.float32)
        question = self._prompt + question
        self._check_room(question)
        encodings = self._tokenizer.encode_batch_fast([(question, text) for text in texts])
        n_cut = 0
        for place, encoding in enumerate(encodings):
            if len(encoding.ids) > self.max_tokens:
                encodings[place] = self._cutter.encode(question, texts[place])
                n_cut += 1
        with self._counting:
            self._n_scored += len(texts)
            self._n_cut += n_cut
        scores = np.zeros(len(texts), dtype=np.float32)
        for batch in iterate_batches(
            encodings,
            names=self._features,
            pad_id=self._model.tokenizer.pad_token_id or 0,
            longest=self.max_tokens,
            batch_tokens=self._batch_tokens,
        ):
            scores[batch.places] = self._compute(batch.features)  # (B,)
        return scores

    def _check_room(self, question: str) -> None:
        n_tokens = len(self._tokenizer.encode(question, "").ids)
        if n_tokens + LEAST_PASSAGE_TOKENS > self.max_tokens:
            raise PromptBudgetError(
                f"the question has {n_tokens} tokens, {self._name} reads {self.max_tokens} of question and passage "
                "together; shorten it, or take: --set retrieval.rerank=null"
            )

    def _compute(self, features: Mapping[str, Int64]) -> Float32:
        import torch

        with torch.inference_mode():
            state = {name: torch.from_numpy(values).to(self._device) for name, values in features.items()}
            scores = self._model(state)["scores"]  # (B, 1)
        return scores.float().reshape(-1).cpu().numpy()  # type: ignore[no-any-return]


def _load(installed: InstalledModel, device: str) -> CrossEncoder:
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import PreTrainedModel

    hide_progress_bars()
    try:
        model: CrossEncoder = CrossEncoder(
            str(installed.folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            activation_fn=torch.nn.Identity(),
            model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )
        encoder = getattr(model[0], "auto_model", None)
        if not isinstance(encoder, PreTrainedModel) or type(encoder).__name__.endswith("ForCausalLM"):
            raise ValueError(f"{type(encoder).__name__} is no encoder of pairs")
        if model.num_labels != 1:
            raise ValueError(f"it gives {model.num_labels} scores a pair, a reranker gives 1")
        modules = installed.folder / "modules.json"
        place = read_json(modules)[0].get("path", "") if modules.exists() else ""
        missing = find_missing_weights(encoder, installed.folder / place)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelIntegrityError(f"{installed.folder}: not loadable: {' '.join(str(error).split())[:300]}") from error
    if missing:
        raise ModelIntegrityError(
            f"{installed.folder}: weights are missing: {missing[:5]}; they would be drawn at random, and so would the "
            "ranking; take a trained reranker: workbench models fetch ms-marco-minilm-l12-v2"
        )
    return model.eval()
