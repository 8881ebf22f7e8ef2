"""Prefixes: the cap is kept, padding changes nothing."""

import pytest
import torch

from tests.tiny import load_tiny
from workbench.models.prefix import PrefixStore, _read_together, assemble_batch, compute_prefix

pytestmark = pytest.mark.usefixtures("tiny_home")


def test_an_evicting_store_keeps_the_latest_and_stays_under_its_cap() -> None:
    model, _ = load_tiny()
    prefixes = {number: compute_prefix(model, [number] * 10) for number in range(3)}
    store = PrefixStore(max_bytes=2 * prefixes[0].n_bytes, evict=True)
    for number in (0, 1, 0, 2, 0, 1):  # 2 pushes out 1, the least recently used
        store.get(None, (number,), lambda number=number: prefixes[number])  # type: ignore[misc]
    assert (store.n_computed, store.n_reused) == (4, 2)
    assert store.n_bytes <= 2 * prefixes[0].n_bytes


def test_a_keeping_store_keeps_the_first_that_came() -> None:
    model, _ = load_tiny()
    prefix = compute_prefix(model, [1, 2, 3])
    store = PrefixStore(max_bytes=prefix.n_bytes, evict=False)
    for number in (0, 1, 0, 1):
        store.get(None, (number,), lambda: prefix)
    assert (store.n_computed, store.n_reused) == (3, 1)


def test_adapters_do_not_see_each_others_prefixes() -> None:
    model, _ = load_tiny()
    store = PrefixStore(max_bytes=1e9, evict=True)
    for owner in (None, "a", "b", "a"):
        store.get(owner, (1,), lambda: compute_prefix(model, [1]))
    assert (store.n_computed, store.n_reused) == (3, 1)


def test_a_padded_batch_gives_each_row_what_it_gets_alone() -> None:
    model, _ = load_tiny()
    rows = [([5, 6, 7, 8], [9, 10]), ([], [11, 12, 13]), ([14], [15])]
    prefixes = [compute_prefix(model, prefix) if prefix else None for prefix, _ in rows]
    batch = assemble_batch(prefixes, [suffix for _, suffix in rows], pad_id=0, device=torch.device("cpu"))
    with torch.no_grad():
        together = model(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            attention_mask=batch.attention_mask,
            past_key_values=batch.cache,
        ).logits[:, -1]
        alone = torch.stack([model(torch.tensor([prefix + suffix])).logits[0, -1] for prefix, suffix in rows])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_prefixes_read_together_are_what_each_is_alone() -> None:
    model, _ = load_tiny()
    many = [(5, 6, 7, 8), (9,), (10, 11)]
    with torch.no_grad():
        together = _read_together(model, many)
    for ids, prefix in zip(many, together, strict=True):
        assert torch.allclose(prefix.states, compute_prefix(model, ids).states, atol=1e-5)


def test_an_empty_prefix_is_refused() -> None:
    model, _ = load_tiny()
    with pytest.raises(ValueError, match="empty prefix"):
        compute_prefix(model, [])
