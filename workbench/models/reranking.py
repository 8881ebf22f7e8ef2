"""A cross-encoder behind the `Reranker` socket: question and passage read together, one score a pair.

The score is the logit, before any activation: a sigmoid makes good passages equal. A passage too long for the model is
cut at its end, and counted; the question is never cut. Each pair is padded by its own length alone. Torch computes in
float32. OpenVINO may compute the encoder in bfloat16; the head, which makes the score, is torch's and float32 always.
Source: Nogueira and Cho, 2019, https://arxiv.org/abs/1901.04085
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import MissingModelError, ModelIntegrityError, PromptBudgetError
from workbench.intake import read_json
from workbench.models.batching import iterate_batches
from workbench.models.loading import hide_progress_bars, typed_faults
from workbench.models.openvino_encoder import RERANKER_KNOB, Backend, OpenVinoEncoder, takes_openvino
from workbench.models.store import InstalledModel
from workbench.models.tokenizing import copy_tokenizer
from workbench.models.weights import find_missing_weights
from workbench.types import Float32, Int64

if TYPE_CHECKING:
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import PreTrainedModel

FEATURES = ("input_ids", "attention_mask", "token_type_ids")
LEAST_PASSAGE_TOKENS = 1  # room that a question must leave
MOST_APART = 1e-4  # of a score, one torch head on the same hidden states twice


class CrossEncoderReranker:
    """Implements `contracts.Reranker` over any folder of a one-label cross-encoder. Threads may share it."""

    def __init__(
        self, installed: InstalledModel, *, device: str = "cpu", backend: Backend = "auto", batch_tokens: int = 4096
    ) -> None:
        """Load the model.

        Args:
            device: a torch device. OpenVINO computes on the CPU, whatever it is.
            backend: auto: OpenVINO on a CPU where it is installed, else torch.
            batch_tokens: tokens computed at once, padding included.
        Raises:
            MissingModelError: the model is not a reranker.
            ModelIntegrityError: it gives more than one score, is a decoder, cannot be read, has no fast tokenizer, or
                a weight is missing in its files (a head drawn at random would rank at random), or OpenVINO cannot
                compute it.
            ConfigError: OpenVINO is asked for and not installed.
        """
        if installed.kind != "reranker":
            raise MissingModelError(f"{installed.name} is a model of kind {installed.kind}; see: workbench models list")
        with_openvino = takes_openvino(backend, device=device)
        self._device = "cpu" if with_openvino else device
        self._model = _load(installed, self._device)
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
        self.backend = _take_openvino(self._model, installed, self._features) if with_openvino else "torch-float32"
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


def _take_openvino(model: CrossEncoder, installed: InstalledModel, names: tuple[str, ...]) -> str:
    """Have OpenVINO compute the encoder below the head, let torch's go, and return the backend's name."""
    classifier: Any = model[0].auto_model
    own = classifier.base_model
    if own is classifier or len(model) != 1:
        raise ModelIntegrityError(
            f"{installed.folder}: {type(classifier).__name__} is no encoder below a head, so OpenVINO cannot "
            f"compute it; take: --set {RERANKER_KNOB}=torch"
        )
    encoder = OpenVinoEncoder(own, installed, names=names, knob=RERANKER_KNOB)
    _check_head(classifier, own, installed, names)
    _set_encoder(classifier, own, encoder, names)
    return f"openvino-{encoder.precision}"


def _check_head(
    classifier: PreTrainedModel, own: PreTrainedModel, installed: InstalledModel, names: Sequence[str]
) -> None:
    """Raise ModelIntegrityError where the head reads more of its encoder than the last hidden states, pooled or not."""
    import torch

    def encode(features: Mapping[str, Int64]) -> Float32:
        hidden: torch.Tensor = own(**{name: torch.from_numpy(features[name]) for name in names}).last_hidden_state
        return hidden.numpy()

    ids = torch.arange(10, 26).reshape(2, 8) % int(classifier.config.vocab_size)
    features = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    read = {name: features[name] for name in names}
    with torch.inference_mode():
        wanted = classifier(**read).logits
        try:
            _set_encoder(classifier, own, encode, names)
            found = classifier(**read).logits
        except (AttributeError, IndexError, TypeError, RuntimeError):
            found = torch.full_like(wanted, torch.nan)
    if not bool(((found - wanted).abs() <= MOST_APART).all()):
        raise ModelIntegrityError(
            f"{installed.folder}: the head of {type(classifier).__name__} reads more than its encoder's last hidden "
            f"states, so OpenVINO cannot compute it; take: --set {RERANKER_KNOB}=torch"
        )


def _set_encoder(
    classifier: PreTrainedModel,
    own: PreTrainedModel,
    encode: Callable[[Mapping[str, Int64]], Float32],
    names: Sequence[str],
) -> None:
    """Put `encode`, features (B, L) to hidden states (B, L, D), in the place of `own`, whose pooler stays."""
    import torch
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    class Encoder(torch.nn.Module):
        """What the head takes for the model below it."""

        def __init__(self) -> None:
            super().__init__()
            self.pooler = getattr(own, "pooler", None)

        def forward(self, input_ids: torch.Tensor, **others: Any) -> BaseModelOutputWithPooling:
            features = {"input_ids": input_ids, **others}
            hidden = torch.from_numpy(encode({name: features[name].numpy() for name in names}))  # (B, L, D)
            pooled = None if self.pooler is None else self.pooler(hidden)
            return BaseModelOutputWithPooling(last_hidden_state=hidden, pooler_output=pooled)

    setattr(classifier, classifier.base_model_prefix, Encoder())


def _load(installed: InstalledModel, device: str) -> CrossEncoder:
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import PreTrainedModel

    hide_progress_bars()
    with typed_faults(installed.folder):
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
    if missing:
        raise ModelIntegrityError(
            f"{installed.folder}: weights are missing: {missing[:5]}; they would be drawn at random, and so would the "
            "ranking; take a trained reranker: workbench models fetch ms-marco-minilm-l12-v2"
        )
    return model.eval()
