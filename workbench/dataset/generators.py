"""Which generator makes which rows: one table, and one order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from workbench.config import GeneratorName
from workbench.dataset.connectors import make_connector_rows
from workbench.dataset.definitions import make_definition_rows
from workbench.dataset.fact_rows import make_fact_rows
from workbench.dataset.faq import make_faq_rows
from workbench.dataset.headings import make_heading_rows
from workbench.dataset.lists import make_list_rows
from workbench.dataset.plain_text import make_text_rows
from workbench.dataset.reading import make_quote_rows, make_reader_rows
from workbench.dataset.replay import draw_replay_rows
from workbench.dataset.tables import make_table_rows
from workbench.dataset.unanswerable import make_unanswerable_rows
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow

MakeRows = Callable[[Workshop], Iterator[DatasetRow]]
GENERATORS: Mapping[GeneratorName, MakeRows | None] = MappingProxyType(  # None: replay, told how many others there are
    {
        GeneratorName.QUESTIONS: make_fact_rows,  # the forms of a fact are made together
        GeneratorName.STATEMENTS: make_fact_rows,
        GeneratorName.CLOZE: make_fact_rows,
        GeneratorName.REVERSED: make_fact_rows,
        GeneratorName.HEADINGS: make_heading_rows,
        GeneratorName.DEFINITIONS: make_definition_rows,
        GeneratorName.CONNECTORS: make_connector_rows,
        GeneratorName.TABLES: make_table_rows,
        GeneratorName.LISTS: make_list_rows,
        GeneratorName.FAQ: make_faq_rows,
        GeneratorName.QUOTES: make_quote_rows,
        GeneratorName.READER: make_reader_rows,
        GeneratorName.UNANSWERABLE: make_unanswerable_rows,
        GeneratorName.TEXT: make_text_rows,
        GeneratorName.REPLAY: None,
    }
)


def make_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield the rows of every generator of the config, facts first, replay last, each generator's in a fixed order."""
    n_made = 0
    makers = dict.fromkeys(maker for name, maker in GENERATORS.items() if name in shop.config.generators and maker)
    for maker in makers:
        for row in maker(shop):
            n_made += 1
            yield row
    if GeneratorName.REPLAY in shop.config.generators:
        yield from draw_replay_rows(shop, n_made)
