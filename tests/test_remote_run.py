"""An experiment whose answers come from a server: the same predictions as here, and never those of another server."""

import json
import shutil
from pathlib import Path

import pytest

from tests.generation.fake_server import FakeServer, say, serving, wrap
from tests.tiny import load_tiny
from workbench.bench import Bench
from workbench.config import load_config
from workbench.errors import ConfigError, ModelIntegrityError
from workbench.generation import LocalGenerator
from workbench.models import find_model
from workbench.training import BEST

ARMS = "arms={base: {strategy: closed_book}, rag: {strategy: rag}, reader: {strategy: rag, adapter: reader}}"
BARE = "arms={base: {strategy: closed_book}, rag: {strategy: rag}}"


def engine(server: FakeServer, adapters: str = "{}") -> str:
    return f"generation.engine={{kind: openai, url: '{server.url}', model: big, adapters: {adapters}}}"


def answers(out: Path) -> list[str]:
    return [json.loads(line)["answer"] for line in (out / "predictions.jsonl").read_text().splitlines()]


def test_a_server_around_the_same_model_gives_the_same_predictions(experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    Bench(load_config(experiment, overrides=[ARMS]), out=out).evaluate()
    here = (out / "predictions.jsonl").read_bytes()
    model, tokenizer = load_tiny()
    generator = LocalGenerator(
        model, tokenizer, base_fingerprint=find_model("tiny-random-llama").fingerprint, prefix_cache_bytes=1e9
    )
    generator.load_adapter("reader", out / "train-reader" / BEST)
    script = wrap(generator, tokenizer, {"big": None, "big-reader": "reader"})
    with serving(models=("big", "big-reader"), chat=script) as server:
        remote = Bench(load_config(experiment, overrides=[ARMS, engine(server, "{reader: big-reader}")]), out=out)
        remote.evaluate()
        assert "model" not in vars(remote.parts)  # no weights were loaded
        n_asked = len(server.asked())
        assert n_asked == len(answers(out))
        assert (out / "predictions.jsonl").read_bytes() == here
        summary = json.loads((out / "summary.json").read_text())
        assert "gold_logprob" not in summary["arms"]["rag"]  # it was not measured, and not made up
        assert "peak_bytes" not in summary["costs"]["rag"]  # this machine's memory says nothing of the server's
        assert json.loads((out / "manifest.json").read_text())["models"]["served_by"] == server.url
        patient = ["generation.engine.retries=1", "generation.engine.timeout_seconds=9"]
        same = load_config(experiment, overrides=[ARMS, engine(server, "{reader: big-reader}"), *patient])
        Bench(same, out=out).evaluate()
        assert len(server.asked()) == n_asked  # patience changes no answer


def test_answers_of_another_server_are_not_reused(experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for word in ("teal", "amber"):
        with serving(chat=say(word)) as server:
            Bench(load_config(experiment, overrides=[BARE, engine(server)]), out=out).evaluate()
            assert set(answers(out)) == {word}
            Bench(load_config(experiment, overrides=[BARE, engine(server)]), out=out).evaluate()
            assert len(server.asked()) == len(answers(out))


def test_a_tokenizer_alone_will_do_where_no_arm_has_an_adapter(
    experiment: Path, tmp_path: Path, tiny_home: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tiny_home / "models/tiny-random-llama", bare, ignore=shutil.ignore_patterns("*.safetensors"))
    there = f"models.generator={bare}"
    with serving(models=("big", "big-reader"), chat=say("teal")) as server:
        bench = Bench(load_config(experiment, overrides=[BARE, there, engine(server)]), out=tmp_path / "out")
        bench.evaluate()
        assert set(answers(tmp_path / "out")) == {"teal"}
        assert bench.ask("What colour is the Arvo?", arm="rag").generation.text == "teal"
        adapted = load_config(experiment, overrides=[ARMS, there, engine(server, "{reader: big-reader}")])
        with pytest.raises(ModelIntegrityError, match=r"no \*\.safetensors file"):
            Bench(adapted, out=tmp_path / "other").run()


def test_adapters_that_the_server_lacks_are_told_when_the_config_is_read(experiment: Path) -> None:
    remote = "generation.engine={kind: openai, url: 'http://box/v1', model: big, adapters: {other: x}}"
    with pytest.raises(ConfigError, match=r"arm 'reader' needs adapter 'reader', .* has: other; train it"):
        load_config(experiment, overrides=[ARMS, remote])
    named = remote.replace("other: x", "reader: x")
    assert load_config(experiment, overrides=[ARMS, named]).generation.engine.kind == "openai"
    with pytest.raises(ConfigError, match=r"needs adapter 'reader-seed-1'"):
        load_config(experiment, overrides=[ARMS, named, "training.seeds=[0, 1]"])
    merged = "arms={one: {strategy: rag, adapter: reader, merged: true}}"
    with pytest.raises(ConfigError, match=r"merged: true, but generation\.engine is http://box/v1"):
        load_config(
            experiment,
            overrides=[merged, named, "training.adapters={reader: {examples: reader, recipe: {acts_from: prompt}}}"],
        )
