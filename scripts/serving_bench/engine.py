"""Part 1 of scripts/bench_serving.py: how many tokens a second the engine makes for one user, and for many together."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from retrieval_bench.table import format_table

from serving_bench.users import Ask, Measured, ask_engine, ask_transformers
from serving_bench.work import load, make_prompts
from workbench.config import ModelsConfig
from workbench.generation import LocalGenerator
from workbench.hardware import describe_machine
from workbench.models import choose_device_and_dtype
from workbench.models.prefix import PrefixStore
from workbench.runs import write_json

ONE, MANY, MIXED, APART = "engine, 1 user", "engine, {n} users", "engine, {n} users, base and 2 adapters", "no sharing"
PEER = "transformers generate, one after another"


def measure_engine(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run the contestants in turn, round by round; print a table; return all figures."""
    dtype = choose_device_and_dtype(ModelsConfig(device="cpu"))[1]
    generator = load(arguments.model, dtype, adapters=2, folder=work)
    contestants = _contestants(generator, arguments)
    results: dict[str, list[Measured]] = {name: [] for name in contestants}
    for _ in range(arguments.rounds):
        for name, run in contestants.items():
            # What a round before had read is forgotten.
            generator.prefixes = PrefixStore(max_bytes=2 * 2**30, evict=True)
            results[name].append(run())
    found = {name: _summarise(each) for name, each in results.items()}
    machine = describe_machine()
    print(f"{machine['processor']}, {torch.get_num_threads()} threads, {str(dtype).removeprefix('torch.')}\n")
    print(_format(found, first=ONE))
    return {"machine": machine, "dtype": str(dtype), "contestants": found}


def _contestants(generator: LocalGenerator, arguments: argparse.Namespace) -> dict[str, Callable[[], Measured]]:
    n, limit = arguments.users, arguments.new_tokens
    n_asks = n * arguments.questions
    prompts = make_prompts(generator.tokenizer, n=n_asks, n_shared=arguments.shared)
    tokens = [prompt.token_count for prompt in prompts]
    print(f"{n_asks} prompts of {min(tokens)}-{max(tokens)} tokens, {limit} new tokens each; every second prompt has")
    print(
        f"one of {arguments.shared} sets of passages; 1 user and transformers answer the first {arguments.few} of them"
    )
    base = [Ask(prompt, None) for prompt in prompts]
    mixed = [Ask(prompt, (None, "adapter_0", "adapter_1")[place % 3]) for place, prompt in enumerate(prompts)]
    own = [Ask(prompt, None) for prompt in make_prompts(generator.tokenizer, n=n_asks, n_shared=0)]
    few = base[: arguments.few]
    return {
        PEER: lambda: ask_transformers(generator, few, new_tokens=limit),
        ONE: lambda: ask_engine(generator, few, n_users=1, new_tokens=limit),
        MANY.format(n=n): lambda: ask_engine(generator, base, n_users=n, new_tokens=limit),
        MIXED.format(n=n): lambda: ask_engine(generator, mixed, n_users=n, new_tokens=limit),
        f"{MANY.format(n=n)}, {APART}": lambda: ask_engine(generator, own, n_users=n, new_tokens=limit),
    }


def _summarise(each: list[Measured]) -> dict[str, Any]:
    rates = [one.tokens_a_second for one in each]
    return {
        "tokens_a_second": median(rates),
        "tokens_a_second_each": rates,
        "first_token_seconds": median(one.first_token_seconds for one in each),
        "answer_seconds": median(one.answer_seconds for one in each),
    }


def _format(found: dict[str, Any], *, first: str) -> str:
    head = ("contestant", "tokens/s (least-most)", f"times {first}", "first token s", "answer s")
    rows = []
    for name, row in found.items():
        rates = row["tokens_a_second_each"]
        begun = row["first_token_seconds"]
        rows.append(
            (
                name,
                f"{row['tokens_a_second']:.1f} ({min(rates):.1f}-{max(rates):.1f})",
                f"{row['tokens_a_second'] / found[first]['tokens_a_second']:.2f}",
                "-" if math.isnan(begun) else f"{begun:.2f}",  # NaN: it does not stream
                f"{row['answer_seconds']:.2f}",
            )
        )
    return format_table(head, rows)


def write_found(found: dict[str, Any], out: Path) -> None:
    """Write the figures as JSON."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "serving.json", found)
    print(f"\nall figures: {out / 'serving.json'}")
