"""Faults in a config are told all at once, each with its line and the nearest key."""

from pathlib import Path

import pytest

from workbench.config import (
    ExperimentConfig,
    FusionConfig,
    LibraryConfig,
    TrainingConfig,
    dump_config,
    load_config,
    load_library_config,
)
from workbench.errors import ConfigError

CONFIGS = Path(__file__).parent.parent / "configs"
GOOD = "name: x\nquestions:\n  path: q.jsonl\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted((CONFIGS / "collections").iterdir()), ids=lambda path: path.name)
def test_every_shipped_collection_config_loads_and_opens_with_its_command(path: Path) -> None:
    assert load_library_config(path) != LibraryConfig()
    assert f"--config configs/collections/{path.name}\n" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_config_loads_and_opens_with_the_command_that_runs_it(path: Path) -> None:
    assert load_config(path).name == path.stem
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    commands = [f"workbench {verb} configs/{path.name}" for verb in ("run", "dataset build", "sweep")]
    assert any(command in line for command in commands for line in header)


def test_unknown_keys_are_refused_with_line_and_nearest_key_all_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path, GOOD + "training:\n  learning_rat: 1e-4\n  r: 0\nretrieval:\n  method: {kind: fusion, pol: 3}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).splitlines() == [
        f"{path}:5: unknown key `training.learning_rat`; did you mean `learning_rate`?",
        f"{path}:6: `training.r`: Input should be greater than or equal to 1 (it is 0)",
        f"{path}:8: unknown key `retrieval.method.pol`; did you mean `pool`?",
    ]


def test_a_missing_key_names_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"c.yaml:1: `questions` is required"):
        load_config(write(tmp_path, "name: x\n"))


def test_an_arm_with_an_unknown_adapter_shows_both_sides(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "arms:\n  a: {strategy: rag, adapter: readr}\n")
    with pytest.raises(ConfigError, match=r"'readr', but training\.adapters has: closed_book, reader"):
        load_config(path)


def test_an_adapters_recipe_is_checked_when_the_config_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        GOOD
        + "training:\n  adapters:\n    reader: {examples: reader, recipe: {epoch: 3}}\narms: {a: {strategy: rag}}\n",
    )
    with pytest.raises(ConfigError, match=r"unknown key `adapters\.reader\.recipe\.epoch`; did you mean `epochs`\?"):
        load_config(path)


def test_overrides_win_and_are_read_as_yaml(tmp_path: Path) -> None:
    config = load_config(
        write(tmp_path, GOOD + "training: {r: 8}\n"),
        overrides=["training.r=16", "training.learning_rate=2e-4", "retrieval.method={kind: dense}"],
    )
    assert config.training.r == 16
    assert config.training.learning_rate == 2e-4
    assert config.retrieval.method.kind == "dense"


def test_a_bad_override_is_blamed_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set: unknown key `training.rr`; did you mean `r`\?"):
        load_config(write(tmp_path, GOOD), overrides=["training.rr=16"])
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        load_config(write(tmp_path, GOOD), overrides=["training.r"])


@pytest.mark.parametrize("text", ["- a\n", "name: [\n", "\x00"], ids=["list", "broken", "binary"])
def test_what_is_no_yaml_mapping_is_one_clear_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        load_config(write(tmp_path, text))


def test_a_dumped_config_reads_back_equal(tmp_path: Path) -> None:
    config = ExperimentConfig.model_validate(
        {
            "name": "x",
            "questions": {"path": "q"},
            "training": {
                "adapters": {
                    "closed_book": {"examples": "closed_book", "recipe": {"epochs": 2}},
                    "reader": {"examples": "reader"},
                }
            },
        }
    )
    assert isinstance(config.retrieval.method, FusionConfig)
    assert load_config(write(tmp_path, dump_config(config))) == config
    assert config.training.recipe("closed_book").epochs == 2
    assert config.training.recipe("reader").epochs == 4


def test_a_collections_settings_are_checked_like_an_experiments(tmp_path: Path) -> None:
    path = write(tmp_path, "chunking: {max_tokens: 8}\nindex: {knid: ivf}\n")
    with pytest.raises(ConfigError) as caught:
        load_library_config(path, overrides=["retrieval.filter={year: {around: 3}}"])
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert f"{path}:1: `chunking.max_tokens`" in str(caught.value)
    assert f"{path}:2: unknown key `index.knid`; did you mean `kind`?" in lines
    assert "around" in str(caught.value)
    assert load_library_config(None, overrides=["chunking.max_tokens=64"]).chunking.max_tokens == 64


def test_a_grid_names_values_or_factors_of_the_recipe() -> None:
    training = TrainingConfig(learning_rate=4e-4, r=8, grid={"learning_rate": ("0.5x", "1x"), "r": (4, "2x")})
    assert training.combinations("reader") == [
        {"learning_rate": 2e-4, "r": 4},
        {"learning_rate": 2e-4, "r": 16},
        {"learning_rate": 4e-4, "r": 4},
        {"learning_rate": 4e-4, "r": 16},
    ]


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ({"learning_rat": (1e-4,)}, "unknown key `grid.learning_rat`"),
        ({"learning_rate": ("10x",)}, "learning_rate"),
        ({"keep": ("2x",)}, "'2x' is no factor of 'best'"),
        ({"r": tuple(range(1, 18))}, "17 combinations, at most 16"),
    ],
)
def test_a_grid_that_cannot_be_tried_is_refused(grid: dict[str, tuple[object, ...]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TrainingConfig.model_validate({"grid": grid})


def test_a_race_is_off_by_default_and_needs_arms_that_it_may_stop(tmp_path: Path) -> None:
    assert not load_config(write(tmp_path, GOOD)).evaluation.racing.enabled
    race = "evaluation: {racing: {enabled: true, keep: [base, nobody]}}\n"
    with pytest.raises(ConfigError, match="keep names nobody; the arms are: base, rag"):
        load_config(write(tmp_path, GOOD + race))
    routed = "arms: {base: {strategy: closed_book}, rag: {strategy: rag}, routed: {strategy: routed}}\n"
    with pytest.raises(ConfigError, match=r"arm 'routed' is routed, .* evaluation\.racing stops arms early"):
        load_config(write(tmp_path, GOOD + routed + "evaluation: {racing: {enabled: true}}\n"))


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        ("{strategy: rag, merged: true}", "merged: true, but no adapter"),
        ("{strategy: rag, adapter: reader, merged: true}", "acts from the question on"),
    ],
)
def test_only_a_plain_adapter_is_merged(tmp_path: Path, arm: str, told: str) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text(
        "name: m\nquestions: {path: q.jsonl}\ntraining: {adapters: {reader: {examples: reader}}}\n"
        f"arms: {{one: {arm}}}\n"
    )
    with pytest.raises(ConfigError, match=told):
        load_config(path)


def test_documents_come_from_one_place(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, GOOD)).corpus.inside_questions
    assert not load_config(write(tmp_path, GOOD + "corpus: {collection: kb}\n")).corpus.inside_questions
    with pytest.raises(ConfigError, match="path docs and collection kb both name documents"):
        load_config(write(tmp_path, GOOD + "corpus: {path: docs, collection: kb}\n"))
