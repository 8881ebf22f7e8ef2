"""One question, as typed: through the arm that is named, or through the one that the run's router chooses for it.

Beside `bench.py` on the same floor: that one measures arms and routers, this one only uses what was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from workbench.contracts import Strategy
from workbench.evaluation.runner import Arm, refuse
from workbench.parts import Parts
from workbench.prompting import read_citations
from workbench.types import Answer, Float32, Generation, Prompt, Question, Route
from workbench.verdict.router_features import DRAFT, EMBEDDING, Seen, of_draft, of_hits, of_question, stack
from workbench.verdict.saved_router import SavedRouter


@dataclass(slots=True)
class Asking:
    """One question on its way; what was computed for it is kept until it is answered.

    Attributes:
        strategy: name of an arm → how it makes prompts; its adapter is not touched.
        arm: name of an arm → it, ready to answer.
        generate: prompt, adapter → what the model says, greedily and to the experiment's limit.
    """

    question: str
    parts: Parts
    strategy: Callable[[str], Strategy]
    arm: Callable[[str], Arm]
    generate: Callable[[Prompt, str | None], Generation]
    _answers: dict[str, Answer] = field(default_factory=dict)

    def answer(self, name: str) -> Answer:
        """Answer with arm `name`."""
        if name not in self._answers:
            ready = self.arm(name)
            prompt = ready.strategy.prompt(Question(id="asked", text=self.question))
            generation = self._generate(prompt, ready.adapter)
            self._answers[name] = Answer("asked", prompt, generation, read_citations(generation.text, prompt.hits))
        return self._answers[name]

    def route(self, router: SavedRouter) -> Answer:
        """Answer with the arm that `router` chooses; the search and the draft are not done twice."""
        chosen = self.choose(router)
        return replace(self.answer(chosen.arm), route=chosen)

    def choose(self, router: SavedRouter) -> Route:
        """Return the arm that `router` chooses; nothing but the draft it may look at is generated."""
        return router.choose(self._look(router) if router.features else None)

    def drafted(self, name: str) -> Answer | None:
        """Return what arm `name` answered while the router looked, if it did."""
        return self._answers.get(name)

    def _generate(self, prompt: Prompt, adapter: str | None) -> Generation:
        if prompt.refused:
            return refuse(self.parts.config.prompt.not_found)
        return self.generate(prompt, adapter)

    def _look(self, router: SavedRouter) -> Seen:
        """Return what the router looks at, and compute no more than that."""
        prompt = self.strategy(router.reader).prompt(Question(id="asked", text=self.question))
        found = prompt.found or (*prompt.hits, *prompt.cut)  # as in the record of an answer
        named = of_hits([hit.score for hit in found]) | of_question(self.question)
        if router.draft is not None and set(DRAFT) & set(router.features):
            draft = self.answer(router.draft).generation
            assert draft.entropy is not None
            named |= of_draft(draft.entropy, draft.new_tokens)
        vectors: list[Float32] | None = None
        if EMBEDDING in router.features:
            vectors = [self.parts.embed_question(self.question)]
        return stack([named], vectors)
