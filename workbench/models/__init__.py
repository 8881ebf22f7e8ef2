"""Find, fetch, vet and load local models. Torch is imported by the functions that need it, never by this package."""

from workbench.models.catalogue import CatalogueEntry, ModelKind, load_catalogue
from workbench.models.chat import HfChatTokenizer
from workbench.models.embedding import SentenceEmbedder, built_by
from workbench.models.fetching import fetch_model
from workbench.models.loading import choose_device_and_dtype, load_generator, load_tokenizer
from workbench.models.reranking import CrossEncoderReranker
from workbench.models.store import InstalledModel, ModelRow, add_folder, find_model, home, list_models, show_model

__all__ = [
    "CatalogueEntry",
    "CrossEncoderReranker",
    "HfChatTokenizer",
    "InstalledModel",
    "ModelKind",
    "ModelRow",
    "SentenceEmbedder",
    "add_folder",
    "built_by",
    "choose_device_and_dtype",
    "fetch_model",
    "find_model",
    "home",
    "list_models",
    "load_catalogue",
    "load_generator",
    "load_tokenizer",
    "show_model",
]
