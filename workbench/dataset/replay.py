"""General rows from a file of the user's, drawn by the seed: they keep a model from forgetting what it could."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.config import GeneratorName
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow


def draw_replay_rows(shop: Workshop, n_others: int) -> Iterator[DatasetRow]:
    """Yield so many rows of the file that they are a share `dataset.replay` of all, or all there are."""
    share = shop.config.replay
    wanted = min(round(n_others * share / (1 - share)), len(shop.replay))
    drawn = sorted(shop.rng("replay").sample(range(len(shop.replay)), wanted))
    for place in drawn:
        row = shop.replay[place]
        yield row.model_copy(update={"generator": GeneratorName.REPLAY.value, "seed": shop.seed})
