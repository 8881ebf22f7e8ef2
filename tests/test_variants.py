"""A sweep's YAML: every combination checked, names that are readable, faults told with their line before any run."""

from pathlib import Path

import pytest

from workbench.config import SweepPlan, dump_config, load_config, load_sweep
from workbench.errors import ConfigError

BASE = "name: x\nquestions: {path: q.jsonl}\n"
TWO_KEYS = """sweep:
  keys:
    models.generator: [small, large]
    training.learning_rate:
      - 2e-4
      - 5e-4
"""


def plan(tmp_path: Path, text: str, *overrides: str) -> SweepPlan:
    path = tmp_path / "c.yaml"
    path.write_text(BASE + text, encoding="utf-8")
    return load_sweep(path, overrides=overrides)


def faults(tmp_path: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan(tmp_path, text, *overrides)
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def test_every_combination_is_a_config_of_its_own(tmp_path: Path) -> None:
    found = plan(tmp_path, TWO_KEYS, "training.r=8")
    assert [one.name for one in found.variants] == [
        "small, learning_rate 2e-4",
        "small, learning_rate 5e-4",
        "large, learning_rate 2e-4",
        "large, learning_rate 5e-4",
    ]
    assert found.variants[2].folder == "models.generator=large,training.learning_rate=2e-4"
    assert {(one.config.models.generator, one.config.training.learning_rate) for one in found.variants} == {
        ("small", 2e-4),
        ("small", 5e-4),
        ("large", 2e-4),
        ("large", 5e-4),
    }
    assert all(one.config.training.r == 8 and not one.config.sweep.keys for one in found.variants)
    assert found.keys == {"models.generator": ("small", "large"), "training.learning_rate": ("2e-4", "5e-4")}


def test_a_written_config_sweeps_the_same_into_the_same_folders(tmp_path: Path) -> None:
    first = plan(tmp_path, TWO_KEYS)
    (tmp_path / "again.yaml").write_text(dump_config(first.config), encoding="utf-8")
    assert load_sweep(tmp_path / "again.yaml") == first


def test_a_single_key_needs_no_name_and_values_may_have_names(tmp_path: Path) -> None:
    alone = plan(tmp_path, "sweep: {keys: {training.learning_rate: [2e-4, 0.001, 5e-5]}}")
    assert [one.name for one in alone.variants] == ["2e-4", "1e-3", "5e-5"]
    named = plan(tmp_path, "sweep: {keys: {retrieval.rerank: {off: null, deep: {pool: 40}}}}")
    assert [(one.name, one.config.retrieval.rerank is None) for one in named.variants] == [
        ("off", True),
        ("deep", False),
    ]
    kinds = plan(tmp_path, "sweep: {keys: {retrieval.method: [{kind: dense}, {kind: lexical}]}}")
    assert [one.name for one in kinds.variants] == ["dense", "lexical"]
    switch = plan(tmp_path, "sweep: {keys: {generation.stop_at_newline: [true, false]}}")
    assert [one.name for one in switch.variants] == ["stop_at_newline true", "stop_at_newline false"]


def test_keys_with_one_ending_are_told_apart(tmp_path: Path) -> None:
    found = plan(tmp_path, "sweep: {keys: {arms.rag.passages: [1, 2], arms.rag_lora.passages: [1, 2]}}")
    assert found.variants[1].name == "rag.passages 1, rag_lora.passages 2"
    assert found.variants[1].config.arms["rag_lora"].passages == 2  # of the default arms: the file names none


def test_keys_can_be_given_on_the_command_line(tmp_path: Path) -> None:
    found = plan(tmp_path, "", "sweep.keys.training.r=[8, 16]")
    assert [one.name for one in found.variants] == ["8", "16"]
    assert faults(tmp_path, "", "sweep.keys.training.r=[8, 0]") == [
        "--set: `training.r`: Input should be greater than or equal to 1 (it is 0)"
    ]


def test_unfit_values_are_refused_with_their_line_all_at_once(tmp_path: Path) -> None:
    assert faults(tmp_path, TWO_KEYS.replace("5e-4", "5") + "    training.r: [8, none]\n") == [
        "c.yaml:9: `training.r`: Input should be a valid integer, unable to parse string as an integer (it is 'none')",
        "c.yaml:8: `training.learning_rate`: Input should be less than 0.003 (it is 5)",
    ]


def test_unknown_keys_are_refused_with_the_nearest(tmp_path: Path) -> None:
    text = "sweep:\n  keys:\n    training.learning_rat: [1, 2]\n    arms.rog.passages: [1, 2]\n    trainin.r: [1, 2]\n"
    assert faults(tmp_path, text + "    training.r.x: [1, 2]\n") == [
        "c.yaml:5: unknown key `training.learning_rat`; did you mean `learning_rate`?",
        "c.yaml:6: unknown key `arms.rog`; did you mean `rag`?",
        "c.yaml:7: unknown key `trainin`; did you mean `training`?",
        "c.yaml:8: `training.r` holds 16, which has no keys below it",
    ]


def test_values_that_do_not_go_together_are_refused_with_the_combination(tmp_path: Path) -> None:
    assert faults(tmp_path, "sweep:\n  keys: {retrieval.depth: [2, 5], retrieval.passages: [2, 3]}\n") == [
        "c.yaml:4: `retrieval`: depth 2 is below passages 3 (with depth 2, passages 3)"
    ]


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        ("{}", "names no key"),
        ("{keys: {training.r: [8]}}", "has 1 values; a sweep needs two"),
        ("{keys: {training.r: [8, 8]}}", "has '8' twice"),
        ("{keys: {training.r: {a: 8, b: 8}}}", "'a' and 'b' are the same settings"),
        ("{keys: {training.r: [8, 16, 32], training.alpha: [8, 16, 32]}, most: 8}", "9 combinations, and sweep.most"),
        ("{keys: {seed: [1, 2]}}", "`seed` cannot be swept: it draws other questions; training.seeds"),
        ("{keys: {questions.limit: [1, 2]}}", "other questions may not be compared"),
        ("{keys: {corpus.path: [a, b]}}", "answers from other documents may not be compared"),
        ("{keys: {evaluation.margin: [0.1, 0.2]}}", "changes no answer: workbench recommend FOLDER --set"),
        ("{keys: {prompt.system: [Be brief., " + "Say " * 20 + "]}}", "use a mapping from names"),
        ("{keys: {prompt.system: {a/b: x, 'a:b': y}}}", "would share a folder"),
    ],
)
def test_what_is_no_sweep_is_refused(tmp_path: Path, sweep: str, told: str) -> None:
    (line, *_) = faults(tmp_path, f"sweep: {sweep}\n")
    assert told in line and "c.yaml" in line


def test_a_race_is_refused(tmp_path: Path) -> None:
    text = TWO_KEYS + "evaluation: {racing: {enabled: true}}\n"
    assert "racing.enabled is true" in faults(tmp_path, text)[0]
    assert len(plan(tmp_path, text, "evaluation.racing.enabled=false").variants) == 4


def test_a_folder_of_many_keys_has_a_name_that_file_systems_take(tmp_path: Path) -> None:
    keys = ", ".join(
        f"training.adapters.reader.recipe.{key}: [8, 16]" for key in ("r", "alpha", "epochs", "batch_size")
    )
    folders = [one.folder for one in plan(tmp_path, f"sweep: {{keys: {{{keys}}}}}").variants]
    assert max(map(len, folders)) <= 150 and len(set(folders)) == 16


def test_a_config_with_a_sweep_is_an_experiment_like_any_other(tmp_path: Path) -> None:
    plan(tmp_path, TWO_KEYS)
    assert load_config(tmp_path / "c.yaml").sweep.keys["models.generator"] == ["small", "large"]
