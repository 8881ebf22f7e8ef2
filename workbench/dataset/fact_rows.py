"""Facts as closed-book rows and plain text: the first `dataset.forms` of each fact's forms."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.config import GeneratorName
from workbench.dataset.forms import FORM_GENERATORS, express
from workbench.dataset.workshop import Workshop
from workbench.rows import DatasetRow


def make_fact_rows(shop: Workshop) -> Iterator[DatasetRow]:
    """Yield the forms of every fact, all first forms before all second ones, so that filters meet early forms first."""
    generators: set[GeneratorName] = {name for name in shop.config.generators if name in FORM_GENERATORS}
    forms = [express(fact, shop.config.forms, generators, shop.seed) for fact in shop.material.facts]
    for place in range(shop.config.forms):
        for fact, fact_forms in zip(shop.material.facts, forms, strict=True):
            if place < len(fact_forms):
                form = fact_forms[place]
                yield shop.row(
                    form.generator,
                    form.template,
                    task=form.task,
                    question=form.question,
                    completion=form.completion,
                    sources=fact.spans,
                    fact=fact.id,
                    group=fact.source.document_id,
                )
