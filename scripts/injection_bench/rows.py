"""Facts of a corpus, their rows in n forms, the questions that ask for each in a form kept back, the text itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from workbench.config import DatasetConfig
from workbench.dataset import Fact, Manifest, Material, Passages, Workshop, read_material, write_dataset
from workbench.dataset.facts import Form
from workbench.dataset.forms import FORM_GENERATORS, express
from workbench.dataset.plain_text import make_text_rows
from workbench.errors import DatasetError
from workbench.rows import DatasetRow
from workbench.types import Document, Question, Split

MOST_FORMS = 12
ASKED = 13  # place in the forms' order of the wording that is asked for: a question, behind all that are trained on
HELD_OUT = 15  # place of the one that the held-out loss is of: a gap
N_HELD_OUT = 16


class InjectionRows:
    """The facts, `forms[i]` all forms of `facts[i]`."""

    def __init__(self, documents: Sequence[Document], n: int, *, seed: int, count_tokens: Callable[[str], int]) -> None:
        """Take `n` facts, one of each document in turn, whose forms are all there and do not give the value away.

        Raises:
            DatasetError: there are fewer.
        """
        material = read_material(documents, facts_per_document=None)
        expressed = [(fact, express(fact, HELD_OUT + 1, set(FORM_GENERATORS), seed)) for fact in material.facts]
        fit = [(fact, forms) for fact, forms in expressed if _is_askable(fact, forms)]
        by_document: dict[str, list[tuple[Fact, tuple[Form, ...]]]] = {}
        for fact, forms in fit:
            by_document.setdefault(fact.source.document_id, []).append((fact, forms))
        in_turn = [one for layer in zip_longest(*by_document.values()) for one in layer if one is not None]
        if len(in_turn) < n:
            raise DatasetError(f"--facts {n}: the corpus has {len(in_turn)} facts with all {HELD_OUT + 1} forms")
        self.facts = tuple(fact for fact, _ in in_turn[:n])
        self.forms = tuple(forms for _, forms in in_turn[:n])
        ours = {fact.source.document_id for fact in self.facts}
        outlines = tuple(one for one in material.outlines if one.document.id in ours)
        nothing = Passages(find=lambda _: (), gold=lambda _: (), n=1, forbidden=())
        self._shop = Workshop(
            Material(outlines, self.facts, material.vocabulary), DatasetConfig(), seed, "", nothing, count_tokens
        )

    def questions(self) -> tuple[Question, ...]:
        """Return one test question a fact."""
        return tuple(
            Question(
                id=fact.id,
                text=forms[ASKED].question,
                answers=(fact.value,),
                relevant=fact.spans,
                split=Split.SEEN,
                group=fact.source.document_id,
            )
            for fact, forms in zip(self.facts, self.forms, strict=True)
        )

    def in_forms(self, n: int) -> list[DatasetRow]:
        """Return the rows of the first `n` forms of every fact."""
        return [self._row(fact, form) for fact, forms in zip(self.facts, self.forms, strict=True) for form in forms[:n]]

    def text(self) -> list[DatasetRow]:
        """Return the facts' documents as they stand, in windows."""
        return list(make_text_rows(self._shop))

    def write(self, folder: Path, rows: Sequence[DatasetRow]) -> Path:
        """Write a dataset of `rows` and a few held-out ones, and return its folder."""
        held_out = [row.model_copy(update={"split": Split.DEV}) for row in self._held_out()]
        made = (*rows, *held_out)
        manifest = Manifest(
            seed=self._shop.seed, config={}, prompt={}, fingerprints={}, documents=len(self._shop.material.outlines),
            facts={}, coverage={"answers": 0, "covered": 0}, rejects={}, generators={}, n_rows=len(made),
            n_dev=len(held_out),
        )  # fmt: skip
        write_dataset(folder, made, manifest)
        return folder

    def _held_out(self) -> Iterator[DatasetRow]:
        for fact, forms in list(zip(self.facts, self.forms, strict=True))[:N_HELD_OUT]:
            yield self._row(fact, forms[HELD_OUT])

    def _row(self, fact: Fact, form: Form) -> DatasetRow:
        return self._shop.row(
            form.generator, form.template, task=form.task, question=form.question, completion=form.completion,
            sources=fact.spans, fact=fact.id, group=fact.source.document_id,
        )  # fmt: skip


def _is_askable(fact: Fact, forms: tuple[Form, ...]) -> bool:
    if len(forms) <= HELD_OUT or len({(form.question, form.completion) for form in forms}) <= HELD_OUT:
        return False
    asked = forms[ASKED]
    return asked.completion == fact.value and fact.value.lower() not in asked.question.lower()
