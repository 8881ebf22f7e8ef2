"""A model's own tokenizer without its habits: a copy that neither cuts nor pads, so that it counts all there is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ModelIntegrityError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def copy_tokenizer(tokenizer: object, folder: Path) -> Tokenizer:
    """Return a copy of the Rust tokenizer inside a Transformers `tokenizer`, cutting and padding switched off.

    Raises:
        ModelIntegrityError: it has none, so tokens cannot be placed in the text.
    """
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelIntegrityError(f"{folder}: has no fast tokenizer, so tokens cannot be placed in the text")
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy
