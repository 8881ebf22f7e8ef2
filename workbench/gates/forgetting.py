"""The forgetting probe: what the adapter costs in log-probability of general text and of facts the base model knows.

The adapter is on from the first token, also where it is trained to act from a question on: for such an adapter that is
the worst case, since it leaves text without a question to the base.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from workbench.config import GatesConfig
from workbench.contracts import ChatTokenizer, Generator
from workbench.errors import ConfigError
from workbench.gates.results import GateResult, Status
from workbench.types import Frozen, Prompt

BUILT_IN = Path(__file__).with_name("probes.yaml")
GENERAL, FACTS = "general text", "known facts"


class KnownFact(Frozen):
    """A sentence's opening and its end, which a base model completes: "The capital of France is", " Paris"."""

    text: str
    answer: str


class Probes(Frozen):
    """What is probed."""

    texts: tuple[str, ...]
    facts: tuple[KnownFact, ...]


def load_probes(config: GatesConfig) -> Probes:
    """Return the built-in probes, or the user's own where the config names them.

    Raises:
        ConfigError: a file is missing, empty or malformed.
    """
    built_in = _built_in()
    texts = built_in.texts if config.general_text is None else _read_texts(config.general_text)
    facts = built_in.facts if config.known_facts is None else _read_facts(config.known_facts)
    return Probes(texts=texts, facts=facts)


@cache
def _built_in() -> Probes:
    return Probes.model_validate(YAML(typ="safe").load(BUILT_IN))


def _read_texts(path: Path) -> tuple[str, ...]:
    try:
        blocks = path.read_text(encoding="utf-8").split("\n\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"gates.general_text: {path} cannot be read: {error}") from error
    texts = tuple(" ".join(block.split()) for block in blocks if len(block.split()) > 1)
    if not texts:
        raise ConfigError(f"gates.general_text: {path} holds no paragraph of two words or more")
    return texts


def _read_facts(path: Path) -> tuple[KnownFact, ...]:
    try:
        entries = YAML(typ="safe").load(path)
        facts = tuple(KnownFact.model_validate(entry) for entry in entries or ())
    except (OSError, YAMLError, TypeError, ValidationError) as error:
        raise ConfigError(
            f"gates.known_facts: {path} is no YAML list of {{text: opening, answer: end}}: {error}"
        ) from error
    if not facts:
        raise ConfigError(f"gates.known_facts: {path} holds no fact")
    return facts


def check_forgetting(
    generator: Generator, tokenizer: ChatTokenizer, adapter: str, probes: Probes, *, bound: float, batch_size: int = 8
) -> tuple[GateResult, GateResult]:
    """Compare the mean log-probability, in nats a token, with the adapter and without, on both kinds of probe.

    A loss above `bound` fails, above half of it warns.
    """
    openings = [text.split(" ", 1) for text in probes.texts]
    texts = [(first, f" {rest}") for first, rest in openings]
    facts = [(fact.text, f" {fact.answer.strip()}") for fact in probes.facts]
    results = []
    for name, pairs in ((GENERAL, texts), (FACTS, facts)):
        prompts = [_as_prompt(tokenizer, opening) for opening, _ in pairs]
        wanted = [rest for _, rest in pairs]
        before, after = (_mean_score(generator, prompts, wanted, which, batch_size) for which in (None, adapter))
        results.append(_judge(name, before, after, len(pairs), bound))
    return results[0], results[1]


def _mean_score(
    generator: Generator, prompts: Sequence[Prompt], texts: Sequence[str], adapter: str | None, batch_size: int
) -> float:
    scores: list[float] = []
    for at in range(0, len(prompts), batch_size):
        scores += generator.score(prompts[at : at + batch_size], texts[at : at + batch_size], adapter=adapter)
    return sum(scores) / len(scores)


def _judge(name: str, before: float, after: float, n: int, bound: float) -> GateResult:
    lost = before - after
    status = Status.PASS if lost <= bound / 2 else Status.WARN if lost <= bound else Status.FAIL
    what = "paragraphs" if name == GENERAL else "facts"
    says = (
        f"Log-probability of {n} {what} went from {before:.3f} to {after:.3f} nats a token: "
        f"{'lost' if lost > 0 else 'gained'} {abs(lost):.3f}, {bound:g} may be lost."
    )
    details: dict[str, float | int | str | None] = {"before": before, "after": after, "n": n}
    return GateResult(name=name, status=status, value=lost, bound=bound, says=says, details=details)


def _as_prompt(tokenizer: ChatTokenizer, text: str) -> Prompt:
    """Plain text, outside of any conversation."""
    return Prompt(messages=(), prefix_ids=(), suffix_ids=tuple(tokenizer.encode(tokenizer.neutralise(text))))
