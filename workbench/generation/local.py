"""The Transformers engine on this machine: one base, any number of adapters, prefixes shared between them.

Greedy, one batch a call; the caller fixes the batches. An adapter that acts from the question on reads the prefix that
the base computed; one that acts from the prompt on has prefixes of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from workbench.generation.decode import decode_greedily, score_continuations
from workbench.models.adapters import adapter_active, attach_adapter, detach_adapter, detach_adapters, read_adapter
from workbench.models.chat import HfChatTokenizer
from workbench.models.merging import merged, refuse_unmergeable
from workbench.models.prefix import Prefix, PrefixedBatch, PrefixStore, assemble_batch, compute_prefix, read_clock
from workbench.types import Adapter, Generation, Prompt, StopReason


class LocalGenerator:
    """Implements `contracts.Generator`."""

    def __init__(
        self,
        model: Any,
        tokenizer: HfChatTokenizer,
        *,
        base_fingerprint: str,
        prefix_cache_bytes: float,
        stop_at_newline: bool = False,
    ) -> None:
        self._model = model.eval()
        self.tokenizer = tokenizer
        self._base_fingerprint = base_fingerprint
        self.adapters: dict[str, Adapter] = {}
        self._to_merge: set[str] = set()
        self._merged: tuple[str, ExitStack] | None = None  # the adapter that is inside the weights now, and the way out
        self.end_ids = {tokenizer.end_of_turn_ids[-1], *_own_end_ids(model)}
        self.newline_ids = tokenizer.newline_ids if stop_at_newline else frozenset()
        self._prefix_cache_bytes = prefix_cache_bytes
        self.prefixes = PrefixStore(max_bytes=prefix_cache_bytes, evict=True)

    def load_adapter(self, name: str, folder: Path, *, merge: bool = False) -> None:
        """Make an adapter available under `name`; `merge`: it answers from inside the base's weights, as if served so.

        One of this name that is loaded already is replaced, and what it had read is forgotten.

        Raises:
            AdapterMismatchError: another base or template.
            MergeError: it is to be merged, but acts from the question on.
        """
        adapter = read_adapter(
            folder, name=name, base_fingerprint=self._base_fingerprint, template_hash=self.tokenizer.template_hash
        )
        if merge:
            refuse_unmergeable(adapter)
        self._take_out()
        if name in self.adapters:
            self._unload(name)
        if merge:
            self._to_merge.add(name)
        self._model = attach_adapter(self._model, adapter).eval()
        self.adapters[name] = adapter

    @property
    def model(self) -> Any:
        """The base model, below PEFT's wrapper once an adapter was loaded."""
        return self._model

    def _unload(self, name: str) -> None:
        detach_adapter(self._model, name)
        del self.adapters[name]
        self._to_merge.discard(name)
        self.prefixes.forget(name)

    def release(self) -> Any:
        """Take all adapters off, forget the prefixes, and return the bare model."""
        self._take_out()
        self.adapters.clear()
        self._to_merge.clear()
        self.prefixes = PrefixStore(max_bytes=self._prefix_cache_bytes, evict=True)
        self._model = detach_adapters(self._model)
        return self._model

    def generate(self, prompts: Sequence[Prompt], *, adapter: str | None, max_new_tokens: int) -> list[Generation]:
        """Answer one batch, in order. `seconds` is an equal share of the batch plus the prefix's own time."""
        if not prompts:
            return []
        prefixes = self._find_prefixes(prompts, adapter)
        with self.active(adapter):
            started = read_clock(self._model.device)  # merging was done before: whoever serves an arm so does it once
            batch = self._assemble(prefixes, [prompt.suffix_ids for prompt in prompts])
            rows, entropies = decode_greedily(
                self._model, batch, end_ids=sorted(self.end_ids | self.newline_ids), max_new_tokens=max_new_tokens
            )
        share = (read_clock(self._model.device) - started) / len(prompts)
        return [
            self._finish(prompt, ids, share + (prefix.seconds if prefix else 0.0), entropy)
            for prompt, prefix, ids, entropy in zip(prompts, prefixes, rows, entropies, strict=True)
        ]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str], *, adapter: str | None) -> list[float]:
        """Return for each prompt the log-probability of its text: nats a token, averaged, end-of-turn left out."""
        if not prompts:
            return []
        answers = [self.tokenizer.encode(text) for text in texts]
        suffixes = [(*prompt.suffix_ids, *ids) for prompt, ids in zip(prompts, answers, strict=True)]
        batch = self._assemble(self._find_prefixes(prompts, adapter), suffixes)
        with self.active(adapter):
            return score_continuations(self._model, batch, [len(ids) for ids in answers])

    @contextmanager
    def active(self, name: str | None) -> Iterator[None]:
        """Run the block with adapter `name`; one that is merged stays so until another is wanted."""
        if self._merged is not None:
            if self._merged[0] == name:
                yield
                return
            self._take_out()
        with adapter_active(self._model, name):
            if name is not None and name in self._to_merge:
                way_out = ExitStack()
                way_out.enter_context(merged(self._model, name))
                self._merged = (name, way_out)  # not before: a merge that fails has to fail again
            yield

    def _take_out(self) -> None:
        if self._merged is not None:
            self._merged[1].close()
            self._merged = None

    def prefix_owner(self, adapter: str | None) -> str | None:
        """Return who reads the prefix for `adapter`: itself where it acts from the prompt on, else the base."""
        passport = self.adapters.get(adapter) if adapter is not None else None
        return adapter if passport is not None and passport.acts_from == "prompt" else None

    def is_merged(self, adapter: str) -> bool:
        """Whether the adapter answers from inside the base's weights."""
        return adapter in self._to_merge

    def _find_prefixes(self, prompts: Sequence[Prompt], adapter: str | None) -> list[Prefix | None]:
        owner = self.prefix_owner(adapter)
        with self.active(owner):
            return [self._compute(owner, prompt.prefix_ids) if prompt.prefix_ids else None for prompt in prompts]

    def _assemble(self, prefixes: Sequence[Prefix | None], suffixes: Sequence[Sequence[int]]) -> PrefixedBatch:
        pad_id = self.tokenizer.end_of_turn_ids[-1]  # masked by position, so any id serves
        return assemble_batch(prefixes, suffixes, pad_id=pad_id, device=self._model.device)

    def _compute(self, owner: str | None, ids: tuple[int, ...]) -> Prefix:
        return self.prefixes.get(owner, ids, lambda: compute_prefix(self._model, ids))

    def _finish(self, prompt: Prompt, ids: list[int], seconds: float, entropy: float) -> Generation:
        n_new, stop_reason = len(ids), StopReason.LENGTH
        if ids[-1] in self.end_ids:
            stop_reason, ids = StopReason.END, ids[:-1]
        elif ids[-1] in self.newline_ids:
            stop_reason = StopReason.NEWLINE
        text = self.tokenizer.decode(ids)
        if stop_reason is StopReason.NEWLINE:  # the last token may hold a character before its line break
            text = text.split("\n", 1)[0]
        return Generation(
            text=text.strip(),
            prompt_tokens=prompt.token_count,
            new_tokens=n_new,
            seconds=seconds,
            stop_reason=stop_reason,
            entropy=entropy,
        )


def _own_end_ids(model: Any) -> list[int]:
    """Return the tokens the model's own generation settings end with; some models have several."""
    ids = model.generation_config.eos_token_id
    if ids is None:
        return []
    return list(ids) if isinstance(ids, (list, tuple)) else [ids]
