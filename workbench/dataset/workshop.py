"""What generators work with: the documents' outlines and facts, the knobs, and who finds passages. Makes rows.

Not the generators, nor their order: `generators.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from workbench.config import DatasetConfig, GeneratorName
from workbench.dataset.extraction import extract_facts
from workbench.dataset.facts import Fact, choose_facts
from workbench.dataset.sections import Outline, Vocabulary, outline, read_vocabulary
from workbench.rows import DatasetRow, RowPassage, Task
from workbench.runs import fingerprint
from workbench.types import Chunk, Document, Hit, Ranking, Span

FindPassages = Callable[[str], Ranking]  # what the retriever has for a question, best first, deeper than needed
FindGold = Callable[[Sequence[Span]], Ranking]  # the chunks that hold the spans
CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Material:
    """The documents that rows may come from, as outlines, and the facts taken from them, in order."""

    outlines: tuple[Outline, ...]
    facts: tuple[Fact, ...]
    vocabulary: Vocabulary


def read_material(
    documents: Sequence[Document], *, facts_per_document: int | None, vocabulary: Vocabulary | None = None
) -> Material:
    """Return outlines and facts of `documents`; the vocabulary is theirs unless a wider one is given."""
    vocabulary = vocabulary or read_vocabulary(documents)
    outlines = tuple(outline(document, vocabulary) for document in documents)
    facts = [fact for one in outlines for fact in choose_facts(extract_facts(one, vocabulary), facts_per_document)]
    return Material(outlines, tuple(facts), vocabulary)


@dataclass(frozen=True, slots=True)
class Passages:
    """Right and wrong passages for a question, as the reader will meet them: in the retriever's own order."""

    find: FindPassages
    gold: FindGold
    n: int  # passages a row
    forbidden: Collection[str]  # documents that no row may show

    def with_gold(self, question: str, spans: Sequence[Span], rng: random.Random) -> tuple[RowPassage, ...]:
        """Return `n` passages, those that hold `spans` among them; () where no chunk holds them or there is no room."""
        gold = [hit.chunk for hit in self.gold(spans)]
        if not gold or len(gold) > self.n:
            return ()
        shown = [hit.chunk for hit in self._offered(question)][: self.n]
        for chunk in gold:
            if any(_holds(other, chunk) for other in shown):
                continue
            if len(shown) == self.n:
                wrong = [place for place, other in enumerate(shown) if not any(_holds(other, one) for one in gold)]
                del shown[wrong[-1]]
            shown.insert(rng.randint(0, len(shown)), chunk)
        return tuple(map(to_passage, shown))

    def without_gold(self, question: str, spans: Sequence[Span], value: str) -> tuple[RowPassage, ...]:
        """Return `n` passages that neither touch `spans` nor hold `value`; fewer where the retriever has no more."""
        wrong = [
            hit.chunk
            for hit in self._offered(question)
            if not _touches(hit.chunk, spans) and not (value and value.lower() in hit.chunk.text.lower())
        ]
        return tuple(map(to_passage, wrong[: self.n]))

    def _offered(self, question: str) -> list[Hit]:
        return [hit for hit in self.find(question) if hit.chunk.document_id not in self.forbidden]


@dataclass(frozen=True, slots=True)
class Workshop:
    """All that generators may use."""

    material: Material
    config: DatasetConfig
    seed: int
    not_found: str  # the answer to what no document says
    passages: Passages
    count_tokens: CountTokens
    replay: tuple[DatasetRow, ...] = field(default=())  # general rows, to be drawn from

    def rng(self, *names: str) -> random.Random:
        """Return a source of chance of its own: what one row draws changes no other row."""
        return random.Random(":".join((str(self.seed), *names)))

    def row(
        self,
        generator: str,
        template: str,
        *,
        task: Task,
        completion: str,
        question: str = "",
        passages: tuple[RowPassage, ...] = (),
        sources: Sequence[Span] = (),
        fact: str = "",
        group: str,
    ) -> DatasetRow:
        """Return a row; its id is made of what it holds, so equal settings give equal ids."""
        named = fingerprint(group, template, task, question, completion, [p.model_dump() for p in passages])
        return DatasetRow(
            id=f"{generator}-{named[:16]}",
            task=task,
            question=question,
            passages=passages,
            completion=completion,
            generator=generator,
            template=template,
            seed=self.seed,
            sources=tuple(sources),
            fact=fact,
            group=group,
        )

    def ask(
        self, generator: GeneratorName, template: str, sources: Sequence[Span], question: str, answer: str
    ) -> DatasetRow:
        """Return a closed-book row on what stands in `sources`, all of one document."""
        return self.row(
            generator,
            template,
            task=Task.CLOSED_BOOK,
            question=question,
            completion=answer,
            sources=sources,
            group=sources[0].document_id,
        )


def to_passage(chunk: Chunk) -> RowPassage:
    """Return a chunk as a row shows it."""
    return RowPassage(
        document_id=chunk.document_id, start=chunk.start, end=chunk.end, text=chunk.text, context=chunk.context
    )


def _holds(shown: Chunk, gold: Chunk) -> bool:
    return shown.document_id == gold.document_id and shown.start <= gold.start and gold.end <= shown.end


def _touches(chunk: Chunk, spans: Sequence[Span]) -> bool:
    return any(s.document_id == chunk.document_id and s.start < chunk.end and chunk.start < s.end for s in spans)
