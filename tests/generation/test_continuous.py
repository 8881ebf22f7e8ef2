"""The engine against the generator it runs over: the same tokens whatever the company, and the rules of its queue."""

import gc
import random
import threading
import time
import weakref
from itertools import product

import pytest
import torch

from tests.generation.company import ADAPTERS, Listener, ask, forget, make_prompts
from workbench.errors import (
    AdapterMismatchError,
    ConfigError,
    DeadlineError,
    GenerationError,
    GivenUpError,
    PromptBudgetError,
    QueueFullError,
)
from workbench.generation import ContinuousEngine, LocalGenerator
from workbench.models import mixed_lora
from workbench.types import Generation, Piece, Prompt, Sampling, StopReason

FOREVER = 1500


def long_prompt(generator: LocalGenerator) -> Prompt:
    return make_prompts(generator.tokenizer)[0]


def hold_slots(engine: ContinuousEngine, prompt: Prompt, n: int) -> list[Listener]:
    """Fill `n` slots with answers that go on; wait until each is decoded."""
    begun = threading.Semaphore(0)
    held = [ask(engine, prompt, max_new_tokens=FOREVER, act=lambda event: begun.release()) for _ in range(n)]
    for _ in range(n):
        assert begun.acquire(timeout=30)
    return held


def no_end(generator: LocalGenerator) -> None:
    """Let no token end an answer, and have enough characters come that pieces do."""
    generator.end_ids = set()


def test_answers_equal_the_generators_whatever_the_company(generator: LocalGenerator) -> None:
    prompts = make_prompts(generator.tokenizer)
    wishes = list(product((None, *ADAPTERS), range(len(prompts)), (3, 17)))
    expected = {
        (adapter, number, limit): generator.generate([prompts[number]], adapter=adapter, max_new_tokens=limit)[0]
        for adapter, number, limit in wishes
    }
    assert len({generation.text for generation in expected.values()}) > 12, "the model says different things"
    forget(generator)
    engine = ContinuousEngine(generator, slots=5, queue=64, context_tokens=2000, chunk_tokens=16)
    try:
        asked = {wish: ask(engine, prompts[wish[1]], wish[0], max_new_tokens=wish[2]) for wish in wishes}
        for wish, listener in asked.items():
            found, wanted = listener.wait(), expected[wish]
            assert (found.text, found.new_tokens, found.stop_reason, found.prompt_tokens) == (
                wanted.text,
                wanted.new_tokens,
                wanted.stop_reason,
                wanted.prompt_tokens,
            ), wish
            assert found.entropy == pytest.approx(wanted.entropy, rel=1e-3, abs=1e-4)
            assert found.seconds > 0
    finally:
        engine.close(drain_seconds=0)
    assert generator.generate([prompts[0]], adapter="reader", max_new_tokens=17)[0].text == (
        expected["reader", 0, 17].text
    ), "the generator is as it was"


def test_a_prefix_is_read_once_for_the_base_and_every_adapter_that_acts_from_the_question(
    engine: ContinuousEngine, generator: LocalGenerator
) -> None:
    prompts = make_prompts(generator.tokenizer)[:2]  # two questions over the same passages
    answers = [ask(engine, prompt, adapter) for prompt in prompts for adapter in (None, "reader", "dora")]
    for answer in answers:
        answer.wait()
    assert generator.prefixes.n_computed == 1
    read = len(prompts[0].prefix_ids) + 3 * sum(len(prompt.suffix_ids) for prompt in prompts)
    assert engine.load.prompt_tokens == read
    ask(engine, prompts[0], "whole").wait()
    assert generator.prefixes.n_computed == 2


def test_an_answer_begins_while_others_run_and_while_a_long_prompt_is_read(
    engine: ContinuousEngine, generator: LocalGenerator
) -> None:
    no_end(generator)
    prompt = long_prompt(generator)
    (running,) = hold_slots(engine, prompt, 1)
    n_before = len(running.events)
    long = Prompt(prompt.messages, (), prompt.suffix_ids * 20)
    ask(engine, long, max_new_tokens=1).wait()
    assert len(running.events) - n_before > 3
    assert not running.done.is_set()


def test_a_full_queue_refuses_and_says_when_to_come_again(generator: LocalGenerator) -> None:
    no_end(generator)
    engine = ContinuousEngine(generator, slots=2, queue=1, context_tokens=2000)
    try:
        prompt = long_prompt(generator)
        hold_slots(engine, prompt, 2)
        waiting = ask(engine, prompt)
        load = engine.load
        assert (load.running, load.waiting, load.slots) == (2, 1, 2)
        with pytest.raises(QueueFullError, match="2 answers run and 1 wait") as refused:
            ask(engine, prompt)
        assert refused.value.retry_after >= 1
        assert not waiting.events
    finally:
        engine.close(drain_seconds=0)
    assert isinstance(waiting.error(), GivenUpError)


def test_the_queue_is_served_in_order(generator: LocalGenerator) -> None:
    engine = ContinuousEngine(generator, slots=1, queue=8, context_tokens=2000)
    ended: list[int] = []

    def note(number: int) -> Listener:
        return ask(
            engine,
            make_prompts(generator.tokenizer)[number % 3],
            (None, "dora", "reader")[number % 3],
            act=lambda event: None if isinstance(event, Piece) else ended.append(number),
        )

    for listener in [note(number) for number in range(6)]:
        listener.wait()
    engine.close(drain_seconds=0)
    assert ended == list(range(6))


@pytest.mark.parametrize("stage", ["running", "waiting"])
def test_a_deadline_ends_an_answer_wherever_it_is(stage: str, generator: LocalGenerator) -> None:
    no_end(generator)
    engine = ContinuousEngine(generator, slots=1, queue=1, context_tokens=2000)
    try:
        prompt = long_prompt(generator)
        if stage == "waiting":
            hold_slots(engine, prompt, 1)
        late = ask(engine, prompt, seconds=0.15, max_new_tokens=FOREVER)
        assert isinstance(late.error(), DeadlineError)
        assert engine.load.running + engine.load.waiting == (1 if stage == "waiting" else 0)
    finally:
        engine.close(drain_seconds=0)


def test_a_cancelled_answer_leaves_within_a_step_and_the_others_are_as_without_it(
    engine: ContinuousEngine, generator: LocalGenerator
) -> None:
    no_end(generator)
    prompts = make_prompts(generator.tokenizer)
    expected = generator.generate([prompts[1]], adapter="reader", max_new_tokens=60)[0]
    begun = threading.Event()
    listener = Listener(lambda event: begun.set())
    ticket = engine.submit(
        prompts[0],
        adapter=None,
        sampling=Sampling(FOREVER),
        deadline=time.monotonic() + 60,
        on_event=listener,
    )
    other = ask(engine, prompts[1], "reader", max_new_tokens=60)
    assert begun.wait(30)
    asked = time.monotonic()
    ticket.cancel()
    ticket.cancel()
    assert isinstance(listener.error(), GivenUpError)
    assert time.monotonic() - asked < 0.2
    assert other.wait().text == expected.text


def test_what_cannot_be_answered_is_refused_at_once(engine: ContinuousEngine, generator: LocalGenerator) -> None:
    prompt = long_prompt(generator)
    with pytest.raises(AdapterMismatchError, match="'ghost' is not loaded; loaded: reader"):
        ask(engine, prompt, "ghost")
    with pytest.raises(PromptBudgetError, match=f"{prompt.token_count} tokens .* 1990, together more than the 2000"):
        ask(engine, prompt, max_new_tokens=1990)
    with pytest.raises(ValueError, match="top_p is 0"):
        ask(engine, prompt, top_p=0.0)
    with pytest.raises(ValueError, match="suffix is empty"):
        ask(engine, Prompt((), prompt.prefix_ids, ()))
    assert engine.load.running == 0


def test_more_context_than_the_model_reads_is_refused(generator: LocalGenerator) -> None:
    with pytest.raises(ConfigError, match="context_tokens is 5000, but the generator reads 4096"):
        ContinuousEngine(generator, slots=1, queue=0, context_tokens=5000)


def test_a_stop_text_ends_the_answer_before_it(engine: ContinuousEngine, generator: LocalGenerator) -> None:
    no_end(generator)
    prompt = long_prompt(generator)
    whole = ask(engine, prompt, max_new_tokens=60).wait()
    stop = whole.text[10:13]
    stopped = ask(engine, prompt, max_new_tokens=60, stop=("never said", stop)).wait()
    assert stopped.text == whole.text[: whole.text.index(stop)].strip()
    assert stopped.stop_reason is StopReason.STOP
    assert stopped.new_tokens < whole.new_tokens


def test_an_answer_of_one_line_ends_as_the_generators_does(generator: LocalGenerator) -> None:
    prompts = make_prompts(generator.tokenizer)
    no_end(generator)
    free = generator.generate(prompts, adapter="reader", max_new_tokens=30)
    said = next(letter for letter in free[0].text[5:] if letter.isascii())
    generator.newline_ids = frozenset(generator.tokenizer.encode(said))  # a character that it says ends the line
    expected = generator.generate(prompts, adapter="reader", max_new_tokens=30)
    assert StopReason.NEWLINE in {generation.stop_reason for generation in expected}
    engine = ContinuousEngine(generator, slots=4, queue=4, context_tokens=2000)
    try:
        for prompt, wanted in zip(prompts, expected, strict=True):
            found = ask(engine, prompt, "reader", max_new_tokens=30, one_line=True).wait()
            assert (found.text, found.stop_reason, found.new_tokens) == (
                wanted.text,
                wanted.stop_reason,
                wanted.new_tokens,
            )
    finally:
        engine.close(drain_seconds=0)


def test_a_seed_gives_the_same_answer_again_and_another_gives_another(
    engine: ContinuousEngine, generator: LocalGenerator
) -> None:
    no_end(generator)
    prompt = long_prompt(generator)

    def draw(seed: int | None, top_p: float = 1.0) -> str:
        return ask(engine, prompt, max_new_tokens=30, temperature=8.0, seed=seed, top_p=top_p).wait().text

    assert draw(5) == draw(5)
    assert len({draw(5), draw(6), draw(None), draw(None)}) == 4
    assert draw(5, top_p=0.9) == draw(5, top_p=0.9)
    greedy = ask(engine, prompt, max_new_tokens=30).wait().text
    assert draw(5, top_p=1e-9) == greedy


def test_logits_that_are_not_finite_fail_that_answer_and_no_other(generator: LocalGenerator) -> None:
    prompts = make_prompts(generator.tokenizer)
    expected = generator.generate([prompts[1]], adapter="reader", max_new_tokens=40)[0]
    for name, parameter in generator.model.named_parameters():
        if "layers.1" in name and "lora_B.whole" in name:
            parameter.data.fill_(torch.nan)
    engine = ContinuousEngine(generator, slots=4, queue=8, context_tokens=2000, chunk_tokens=16)
    company = [ask(engine, prompts[1], "reader", max_new_tokens=40) for _ in range(2)]
    sick = [ask(engine, prompts[0], "whole") for _ in range(3)]
    after = [ask(engine, prompts[1], "reader", max_new_tokens=40) for _ in range(2)]
    for listener in sick:
        assert isinstance(listener.error(), GenerationError)
        assert "not finite" in str(listener.error())
    for listener in (*company, *after):
        assert listener.wait().text == expected.text
    engine.close(drain_seconds=0)


def test_a_pass_that_fails_costs_the_youngest_and_the_engine_lives_on(
    engine: ContinuousEngine, generator: LocalGenerator, caplog: pytest.LogCaptureFixture
) -> None:
    no_end(generator)
    prompt = long_prompt(generator)
    (old,) = hold_slots(engine, prompt, 1)
    layer = generator.model.get_base_model().model.layers[1].mlp

    def too_much(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].shape[1] > 10:  # only where a prompt is read
            raise MemoryError("no room for so many tokens")

    hook = layer.register_forward_pre_hook(too_much)
    assert isinstance(ask(engine, prompt).error(), MemoryError)
    hook.remove()
    ask(engine, prompt).wait()
    assert not old.done.is_set()
    assert "a pass over 1 rows and 1 prompts failed" in caplog.text


def test_what_a_listener_raises_is_logged_and_lost(engine: ContinuousEngine, generator: LocalGenerator) -> None:
    def refuse(event: object) -> None:
        raise OSError("the connection is gone")

    prompt = long_prompt(generator)
    assert ask(engine, prompt, act=refuse).done.wait(30)
    ask(engine, prompt).wait()


def test_another_thread_may_borrow_the_generator_and_replace_an_adapter(
    engine: ContinuousEngine, generator: LocalGenerator
) -> None:
    no_end(generator)
    prompt = long_prompt(generator)
    (base,) = hold_slots(engine, prompt, 1)
    answering = ask(engine, prompt, "reader", max_new_tokens=FOREVER)
    with engine.exclusive() as lent:
        n_events = len(base.events)
        late = ask(engine, prompt, seconds=0.1)
        assert isinstance(late.error(), DeadlineError)
        assert len(base.events) == n_events
        lent.load_adapter("reader", lent.adapters["whole"].folder)
        lent.load_adapter("second", lent.adapters["dora"].folder)
        alone = lent.generate([prompt], adapter="reader", max_new_tokens=20)[0]
    assert isinstance(answering.error(), GivenUpError)
    assert ask(engine, prompt, "reader", max_new_tokens=20).wait().text == alone.text
    assert ask(engine, prompt, "second", max_new_tokens=4).wait()
    assert not base.done.is_set()


def test_an_answer_whose_adapter_mixes_no_longer_goes_on_alone(
    engine: ContinuousEngine, generator: LocalGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_end(generator)
    prompts = make_prompts(generator.tokenizer)
    wishes = [(None, 0), ("reader", 1), ("whole", 2)]
    expected = [generator.generate([prompts[n]], adapter=name, max_new_tokens=300)[0].text for name, n in wishes]
    asked = [ask(engine, prompts[number], name, max_new_tokens=300) for name, number in wishes]
    while not all(listener.events for listener in asked):
        time.sleep(0.001)
    with engine.exclusive():
        assert not any(listener.done.is_set() for listener in asked)
        monkeypatch.setattr(mixed_lora, "_is_plain", lambda layer: False)
    assert [listener.wait().text for listener in asked] == expected


def test_closing_lets_what_was_accepted_end_and_takes_nothing_new(generator: LocalGenerator) -> None:
    engine = ContinuousEngine(generator, slots=1, queue=4, context_tokens=2000)
    prompt = long_prompt(generator)
    accepted = [ask(engine, prompt) for _ in range(3)]
    engine.close(drain_seconds=30)
    assert all(isinstance(listener.events[-1], Generation) for listener in accepted)
    with pytest.raises(GivenUpError, match="stopping"):
        ask(engine, prompt)
    with engine.exclusive() as lent:
        assert lent is generator


def test_closing_gives_up_what_does_not_end_in_time(generator: LocalGenerator) -> None:
    no_end(generator)
    engine = ContinuousEngine(generator, slots=1, queue=4, context_tokens=2000)
    held = [*hold_slots(engine, long_prompt(generator), 1), ask(engine, long_prompt(generator))]
    started = time.monotonic()
    engine.close(drain_seconds=0.1)
    assert time.monotonic() - started < 5
    assert all(isinstance(listener.error(), GivenUpError) for listener in held)


def test_random_cancels_and_deadlines_leave_nothing_behind(generator: LocalGenerator) -> None:
    no_end(generator)
    prompts, dice = make_prompts(generator.tokenizer), random.Random(4)
    expected = generator.generate([prompts[1]], adapter="whole", max_new_tokens=20)[0]
    engine = ContinuousEngine(generator, slots=4, queue=500, context_tokens=2000, chunk_tokens=16)
    listeners, tickets = [], []
    for _ in range(500):
        listener = Listener()
        listeners.append(listener)
        ticket = engine.submit(
            dice.choice(prompts),
            adapter=dice.choice((None, "reader", "whole", "dora")),
            sampling=Sampling(dice.choice((1, 5, FOREVER))),
            deadline=time.monotonic() + dice.choice((0.5, 60.0)),
            on_event=listener,
        )
        tickets.append(ticket)
        if dice.random() < 0.7:
            dice.choice(tickets).cancel()
        time.sleep(dice.choice((0, 0, 0.002)))
    for ticket in tickets:
        ticket.cancel()
    for listener in listeners:
        assert listener.done.wait(30)
        assert sum(not isinstance(event, Piece) for event in listener.events) == 1
    assert (engine.load.running, engine.load.waiting) == (0, 0)
    assert ask(engine, prompts[1], "whole", max_new_tokens=20).wait().text == expected.text
    watched = [weakref.ref(ticket) for ticket in tickets]
    del tickets, ticket
    engine.close(drain_seconds=1)
    gc.collect()
    assert engine._batch.n_bytes == 0
    assert not [ticket for ticket in watched if ticket() is not None]


def test_an_idle_engine_uses_no_processor(engine: ContinuousEngine, generator: LocalGenerator) -> None:
    ask(engine, long_prompt(generator)).wait()
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.05
