"""A sentence-transformers folder behind the `Embedder` socket: texts to unit vectors, and the tokens chunking counts.

Nothing is cut silently: a document over the limit is an error. A text is tokenised once, and its vector does not depend
on what is embedded with it (batching.py). Torch computes in float32: with all-MiniLM-L6-v2 all in bfloat16 only 85 % of
the ten nearest stayed the same. OpenVINO may compute the encoder in bfloat16; pooling and norm are float32 always.
Source: Reimers and Gurevych, EMNLP 2019, https://doi.org/10.18653/v1/D19-1410
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import MissingModelError, ModelIntegrityError
from workbench.intake import read_json
from workbench.models.batching import iterate_batches
from workbench.models.loading import hide_progress_bars, typed_faults
from workbench.models.openvino_encoder import EMBEDDER_KNOB, Backend, OpenVinoEncoder, takes_openvino
from workbench.models.store import InstalledModel
from workbench.models.tokenizing import copy_tokenizer
from workbench.models.weights import find_missing_weights
from workbench.types import EmbedderIdentity, Float32, Int64

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Encoding

QUESTION_PROMPTS = ("query", "question")
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
FEATURES = ("input_ids", "attention_mask", "token_type_ids")


class SentenceEmbedder:
    """Implements `contracts.Embedder`. `max_tokens` is the room left for a text beside the model's document prompt.

    Threads may share it.
    """

    def __init__(
        self, installed: InstalledModel, *, device: str = "cpu", backend: Backend = "auto", batch_tokens: int = 4096
    ) -> None:
        """Load the model.

        Args:
            device: a torch device. OpenVINO computes on the CPU, whatever it is.
            backend: auto: OpenVINO on a CPU where it is installed, else torch.
            batch_tokens: tokens computed at once, padding included.
        Raises:
            MissingModelError: the model is not an embedder.
            ModelIntegrityError: sentence-transformers cannot read the folder, a weight is missing in it, it has no
                fast tokenizer, or OpenVINO cannot compute it.
            ConfigError: OpenVINO is asked for and not installed.
        """
        if installed.kind != "embedder":
            raise MissingModelError(f"{installed.name} is a model of kind {installed.kind}; see: workbench models list")
        with_openvino = takes_openvino(backend, device=device)
        self._device = "cpu" if with_openvino else device
        self._model = _load(installed, self._device)
        self._batch_tokens = batch_tokens
        self._name = installed.name
        # Two copies, since a tokenizer's cutting is a state of its own and threads share them.
        self._counter = copy_tokenizer(self._model.tokenizer, installed.folder)
        self._cutter = copy_tokenizer(self._model.tokenizer, installed.folder)
        question, document = (
            _find_prompt(self._model.prompts, names) for names in (QUESTION_PROMPTS, DOCUMENT_PROMPTS)
        )
        limit = self._model.max_seq_length
        if limit is None:
            raise ModelIntegrityError(f"{installed.folder}: states no max_seq_length, so texts could not be kept whole")
        self._limit: int = limit
        self._cutter.enable_truncation(limit)
        self.n_special_tokens: int = self._counter.num_special_tokens_to_add(is_pair=False)
        self.max_tokens: int = limit - len(self._counter.encode(document, add_special_tokens=False))
        inputs = self._model.tokenizer.model_input_names
        self._features = tuple(name for name in FEATURES if name in inputs)
        self._encoder = _build_openvino(self._model, installed, self._features) if with_openvino else None
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
            backend=f"openvino-{self._encoder.precision}" if self._encoder else "torch-float32",
        )

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return for each text the (start, end) characters of its tokens, special tokens excluded, never truncated."""
        return [encoding.offsets for encoding in self._counter.encode_batch(list(texts), add_special_tokens=False)]

    def embed_documents(self, texts: Sequence[str]) -> Float32:
        """Return shape (N, D), unit rows.

        Raises:
            ValueError: a text has more than `max_tokens` tokens, special tokens included.
        """
        prompt = self.identity.document_prompt
        encodings = self._counter.encode_batch_fast([prompt + text for text in texts])
        for number, encoding in enumerate(encodings):
            excess = len(encoding.ids) - self._limit
            if excess > 0:
                raise ValueError(
                    f"text {number} has {self.max_tokens + excess} tokens, {self._name} reads {self.max_tokens}: "
                    f"{texts[number][:60]!r}"
                )
        return self._embed(encodings, prompt)

    def embed_questions(self, texts: Sequence[str]) -> Float32:
        """Return shape (N, D), unit rows. A question over the limit is cut at its end, as every retriever does."""
        prompt = self.identity.question_prompt
        return self._embed(self._cutter.encode_batch_fast([prompt + text for text in texts]), prompt)

    def _embed(self, encodings: Sequence[Encoding], prompt: str) -> Float32:
        rows = np.zeros((len(encodings), self.identity.dimension), dtype=np.float32)
        batches = iterate_batches(
            encodings,
            names=self._features,
            pad_id=self._model.tokenizer.pad_token_id or 0,
            longest=self._limit,
            batch_tokens=self._batch_tokens,
        )
        n_prompt_tokens = self._count_prompt(prompt) if prompt else 0
        for batch in batches:
            rows[batch.places] = self._compute(batch.features, n_prompt_tokens)  # (B, D)
        return rows

    def _compute(self, features: Mapping[str, Int64], n_prompt_tokens: int) -> Float32:
        import torch

        state: dict[str, object] = {name: torch.from_numpy(values) for name, values in features.items()}
        state = {name: tensor.to(self._device) for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}
        if n_prompt_tokens:
            state["prompt_length"] = n_prompt_tokens  # read by models that leave their prompt out when they pool
        modules = list(self._model)
        if self._encoder is not None:
            state["token_embeddings"] = torch.from_numpy(self._encoder(features))  # (B, L, H)
            modules = modules[1:]
        with torch.inference_mode():
            for module in modules:
                state = module(state)
            rows = state["sentence_embedding"]
            assert isinstance(rows, torch.Tensor)
            unit = torch.nn.functional.normalize(rows[:, : self.identity.dimension].float(), dim=1)
        return unit.cpu().numpy()

    def _count_prompt(self, prompt: str) -> int:
        """Return the tokens before the text: those of the prompt and the special ones that open it."""
        (alone, bare) = (self._counter.encode(prompt, add_special_tokens=special) for special in (True, False))
        return alone.ids.index(bare.ids[0]) + len(bare.ids) if bare.ids else 0


def _build_openvino(model: SentenceTransformer, installed: InstalledModel, names: tuple[str, ...]) -> OpenVinoEncoder:
    from transformers import PreTrainedModel

    encoder = getattr(model[0], "auto_model", None)
    if not isinstance(encoder, PreTrainedModel) or model[0].module_output_name != "token_embeddings":
        raise ModelIntegrityError(
            f"{installed.folder}: {type(model[0]).__name__} is no encoder that OpenVINO could compute; "
            f"take: --set {EMBEDDER_KNOB}=torch"
        )
    return OpenVinoEncoder(encoder, installed, names=names, knob=EMBEDDER_KNOB)


def built_by(identity: EmbedderIdentity) -> Backend:
    """Return the backend that computed the vectors of a collection with this stamp."""
    return "openvino" if identity.backend.startswith("openvino") else "torch"


def _load(installed: InstalledModel, device: str) -> SentenceTransformer:
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel

    hide_progress_bars()
    with typed_faults(installed.folder):
        model = SentenceTransformer(
            str(installed.folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )
        encoder = getattr(model[0], "auto_model", None)
        missing = []
        if isinstance(encoder, PreTrainedModel):  # other modules load strictly
            folder = installed.folder / read_json(installed.folder / "modules.json")[0].get("path", "")
            missing = find_missing_weights(encoder, folder, unused=("pooler.",))
    if missing:
        raise ModelIntegrityError(f"{installed.folder}: weights are missing: {missing[:5]}")
    return model.eval()


def _find_prompt(prompts: Mapping[str, str | None], names: Sequence[str]) -> str:
    return next((prompt for name in names if (prompt := prompts.get(name))), "")


def _pooling(model: SentenceTransformer) -> str:
    from sentence_transformers.sentence_transformer.modules import Pooling

    modes = [module.pooling_mode for module in model if isinstance(module, Pooling)]
    return ", ".join(str(mode) for mode in modes) or "the model's own"
