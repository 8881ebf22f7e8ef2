"""A chat request over a bench: which model, adapter, collection and passages it means, down to the prompt.

Beside `bench.py` on the same floor: that one measures arms, this one puts them, the bare base and the adapters to use,
with the prompts they were measured with. What is generated from a plan, and when, is the engine's affair.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from workbench.asking import Asking
from workbench.bench import Bench
from workbench.config import PromptConfig, RetrievalConfig
from workbench.contracts import Engine, Finder, Strategy
from workbench.errors import ConfigError, UnknownModelError
from workbench.evaluation.runner import Arm, refuse
from workbench.prompting import PromptBuilder
from workbench.retrieval import narrow
from workbench.strategies import ClosedBook, Rag
from workbench.types import (
    EVERYTHING,
    Found,
    Generation,
    Message,
    Prompt,
    Question,
    Ranking,
    Route,
    Scope,
)
from workbench.verdict.saved_router import SavedRouter

Generate = Callable[[Prompt, str | None], Generation]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a request may name as its model. `collection`: what it searches by itself; None: nothing."""

    name: str
    kind: str  # "base" | "adapter" | "arm"
    strategy: str  # "closed_book" | "rag" | "routed"
    adapter: str | None
    ready: bool
    collection: str | None


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """One request, as far as answering goes: the last message is the question, the others are what was said before.

    `rag`: None, as the model itself does. `depth`: passages in the prompt. `threshold`: least score of the best one.
    """

    model: str
    messages: tuple[Message, ...]
    rag: bool | None = None
    collection: str | None = None
    depth: int | None = None
    threshold: float | None = None
    scope: Scope = EVERYTHING
    as_measured: bool = True  # greedy and to the experiment's limit: a router's draft may then be the answer


@dataclass(frozen=True, slots=True)
class Plan:
    """What to generate. `done`: nothing has to be, the answer is known already."""

    prompt: Prompt
    adapter: str | None
    arm: str | None  # None: the base or an adapter was asked
    collection: str | None
    retrieval_seconds: float
    one_line: bool  # the answer ends at its first line break, as it was measured
    max_new_tokens: int  # where the request does not say
    route: Route | None = None
    done: Generation | None = None


class Answering:
    """Requests to plans, from any thread; searches of the run's own collection take turns."""

    def __init__(
        self,
        bench: Bench,
        *,
        finder: Callable[[str, RetrievalConfig, Scope], Finder],
        generate: Generate,
        engine: Engine,
    ) -> None:
        """Take the bench, indexed.

        Args:
            finder: name of a collection that is not the run's own, settings → the steps to its passages.
            generate: answers a router's draft; greedy, to the experiment's limit.
            engine: generates from the plans; it lends its model where adapters are attached.
        """
        self.bench = bench
        self._foreign_finder = finder
        self._generate, self._engine = generate, engine
        self._turn = threading.Lock()
        self._models: dict[str, ServedModel] = {}
        self._router: SavedRouter | None = None
        self.refresh()

    @property
    def own_collection(self) -> str:
        """The name under which the collection that the experiment indexed is served."""
        return self.bench.config.name

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """All that may be named: the base, the adapters, the arms that a question can be put to."""
        return tuple(self._models.values())

    def refresh(self) -> None:
        """Attach the adapters that are trained, and read the router; nothing is generated meanwhile."""
        with self._engine.exclusive():
            self._refresh()

    def _refresh(self) -> None:
        for model in self._list_models():
            arm = self.bench.config.arms.get(model.name) if model.kind == "arm" else None
            if model.ready and model.adapter is not None:
                self.bench.attach(model.adapter, merge=arm is not None and arm.merged)
            if arm is not None and arm.strategy == "routed" and model.ready:
                self._router = self.bench.router()
            self._models[model.name] = model

    def _list_models(self) -> list[ServedModel]:
        config, own = self.bench.config, self.own_collection
        trained = {name: self.bench.is_trained(name) for name in config.training.adapters}
        found = [ServedModel(config.models.generator, "base", "closed_book", None, True, None)]
        found += [ServedModel(name, "adapter", "closed_book", name, ready, None) for name, ready in trained.items()]
        for name in self.bench.askable:
            arm = config.arms[name]
            needed = [one.adapter for one in config.arms.values()] if arm.strategy == "routed" else [arm.adapter]
            ready = all(trained[adapter] for adapter in needed if adapter is not None)
            collection = None if arm.strategy == "closed_book" else own
            found.append(ServedModel(name, "arm", arm.strategy, arm.adapter, ready, collection))
        return list({model.name: model for model in found}.values())  # an arm hides an adapter of the same name

    def collection_of(self, asked: ChatQuestion) -> str | None:
        """Return the collection a request would search; None: it searches none.

        Raises:
            ConfigError: no such model, or the request contradicts it or itself.
        """
        model = self._find(asked.model)
        reads = model.strategy != "closed_book" if asked.rag is None else asked.rag
        if not reads:
            if asked.rag is False and model.strategy != "closed_book":
                raise ConfigError(f"model {model.name!r} reads passages, but rag is 0; take a closed-book model")
            for field, value in (("rag_collection", asked.collection), ("rag_depth", asked.depth)):
                if value is not None:
                    raise ConfigError(f"{field} is {value!r}, but model {model.name!r} reads no passages; set rag: 1")
            return None
        if model.strategy == "routed" and asked.collection not in (None, self.own_collection):
            raise ConfigError(
                f"model {model.name!r} was fitted on the collection {self.own_collection!r}, "
                f"but rag_collection is {asked.collection!r}; take an arm that reads passages"
            )
        return asked.collection or self.own_collection

    def plan(self, asked: ChatQuestion) -> Plan:
        """Search and build the prompt.

        Raises:
            ConfigError: as `collection_of`, or the conversation does not take turns.
            MissingModelError: an adapter is not trained.
            PromptBudgetError: the conversation does not fit prompt.max_tokens.
        """
        collection, model, config = self.collection_of(asked), self._find(asked.model), self.bench.config
        if model.kind == "base" and collection is None:
            prompt = self.bench.parts.builder.chat(asked.messages)
            return Plan(prompt, None, None, None, 0.0, one_line=False, max_new_tokens=config.serving.max_new_tokens)
        started = time.perf_counter()
        talk = _Talk(asked.messages)
        arm, route, done = self._decide(model, asked, collection, talk)
        prompt = arm.strategy.prompt(Question(id="asked", text=talk.question))
        if prompt.refused:
            done = refuse(config.prompt.not_found)
        return Plan(
            prompt,
            arm.adapter,
            arm.name if model.kind == "arm" else None,
            collection,
            time.perf_counter() - started,
            one_line=config.generation.stop_at_newline,
            max_new_tokens=config.generation.max_new_tokens,
            route=route,
            done=done,
        )

    def _decide(
        self, model: ServedModel, asked: ChatQuestion, collection: str | None, talk: _Talk
    ) -> tuple[Arm, Route | None, Generation | None]:
        def strategy(name: str) -> Strategy:
            return self._strategy(name, asked, collection, talk)

        def ready(name: str) -> Arm:
            return replace(self.bench.ready_arm(name), strategy=strategy(name))

        match model.kind:
            case "arm" if model.strategy == "routed":
                if self._router is None:
                    self._router = self.bench.router()  # says what is missing
                asking = Asking(talk.question, self.bench.parts, strategy=strategy, arm=ready, generate=self._generate)
                route = asking.choose(self._router)
                drafted = asking.drafted(route.arm) if asked.as_measured else None
                return ready(route.arm), route, None if drafted is None else drafted.generation
            case "arm":
                return ready(model.name), None, None
            case "base" | "adapter":
                adapter = None if model.adapter is None else self.bench.attach(model.adapter)
                return Arm(model.name, self._strategy(None, asked, collection, talk), adapter), None, None
            case _:
                raise AssertionError(model.kind)

    def _strategy(self, name: str | None, asked: ChatQuestion, collection: str | None, talk: _Talk) -> Strategy:
        """Return how prompts are made for arm `name` (None: for no arm) in this conversation."""
        config, parts = self.bench.config, self.bench.parts
        arm = None if name is None else config.arms[name]
        retrieval = config.retrieval if name is None else config.retrieval_of(name)
        shots = parts.shots(arm.shots) if arm is not None and arm.shots else []
        builder = PromptBuilder(parts.tokenizer, talk.instructed(config.prompt), shots=[*shots, *talk.earlier])
        kind = "rag" if collection is not None else "closed_book"
        if arm is not None and asked.rag is None:
            assert arm.strategy in ("closed_book", "rag")
            kind = arm.strategy
        match kind:
            case "closed_book":
                return ClosedBook(builder)
            case "rag":
                assert collection is not None
                own = retrieval.passages if arm is not None else config.serving.rag_depth
                passages = asked.depth or (arm.passages if arm is not None else None) or own
                finder = self._finder(collection, retrieval, asked)
                return Rag(finder, builder, depth=max(passages, retrieval.depth), passages=passages)
            case _:
                raise AssertionError(kind)

    def _finder(self, collection: str, retrieval: RetrievalConfig, asked: ChatQuestion) -> Finder:
        if collection != self.own_collection:
            return _Narrowed(
                self._foreign_finder(collection, retrieval, asked.scope), asked.scope, asked.threshold, nullcontext()
            )
        return _Narrowed(self.bench.finder_of(retrieval), asked.scope, asked.threshold, self._turn)

    def _find(self, name: str) -> ServedModel:
        if name not in self._models:
            raise UnknownModelError(f"no model {name[:80]!r} is served; there are: {', '.join(self._models)}")
        return self._models[name]


class _Talk:
    """A conversation as the measured prompts have it: instructions, earlier pairs, the question."""

    def __init__(self, messages: Sequence[Message]) -> None:
        """Raises ConfigError: it does not end with the user, or what comes before is not user and assistant in turn."""
        self._instructions = [message.content for message in messages if message.role == "system"]
        turns = [message for message in messages if message.role != "system"]
        wanted = ["user", "assistant"] * (len(turns) // 2) + ["user"]
        if [turn.role for turn in turns] != wanted:
            roles = ", ".join(turn.role for turn in turns) or "none"
            raise ConfigError(f"messages must be user and assistant in turn, and end with the user; they are: {roles}")
        self.question = turns[-1].content
        if not self.question.strip():
            raise ConfigError("the last message is empty: it is the question")
        self.earlier = [(turns[at].content, turns[at + 1].content) for at in range(0, len(turns) - 1, 2)]

    def instructed(self, config: PromptConfig) -> PromptConfig:
        """Return the prompt's settings with the conversation's own instructions below the experiment's."""
        if not self._instructions:
            return config
        return config.model_copy(update={"system": "\n".join([config.system, *self._instructions]).strip()})


class _Narrowed:
    """A finder within a scope, with a threshold of the request's own, in its turn. Implements `contracts.Finder`."""

    def __init__(
        self, finder: Finder, scope: Scope, threshold: float | None, turn: AbstractContextManager[object]
    ) -> None:
        self._finder = finder
        self._turn = turn
        self._scope = scope
        self._threshold = threshold

    def find(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Found:
        both = replace(narrow(self._scope, scope.filter), principals=self._scope.principals)
        with self._turn:
            found = self._finder.find(question, k=k, scope=both)
        if self._threshold is None:
            return found
        enough = found.best_score is not None and found.best_score >= self._threshold
        return replace(found, answerable=enough)

    def search(self, question: str, *, k: int, scope: Scope = EVERYTHING) -> Ranking:
        return self.find(question, k=k, scope=scope).ranking
