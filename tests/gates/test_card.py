"""The card says what the folder says, to people and to the hub's parser, and its code loads the adapter."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.tiny import RECIPE
from workbench.config import RecipeConfig
from workbench.gates import CardFacts, GateReport, GateResult, Status, write_card
from workbench.gates.results import write_report
from workbench.models.activation import write_invocation
from workbench.models.adapters import save_passport
from workbench.types import Adapter

FACTS = CardFacts(
    base="smollm2-135m-instruct",
    base_licence="Apache-2.0",
    template="{{ messages }}",
    config=RECIPE,
    rows={"reader": 300, "unanswerable": 20},
    held_out_rows=40,
    step=120,
    n_steps=160,
)


def make_folder(folder: Path, *, acts_from: str = "prompt") -> Path:
    folder.mkdir()
    adapter = Adapter("reader", folder, "b" * 64, "c" * 64, 16, 32, acts_from, "d" * 64)
    save_passport(adapter, folder)
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    return folder


def gates(status: Status = Status.PASS) -> GateReport:
    return GateReport(
        adapter="reader",
        results=(
            GateResult(
                name="held-out loss", status=status, value=-0.5, bound=0, says="Held-out loss went from 2 to 1."
            ),
            GateResult(name="merge", status=Status.NOT_APPLICABLE, says="Not | mergeable."),
        ),
    )


def read_card(folder: Path) -> tuple[dict[str, object], str]:
    _, front, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return YAML(typ="safe").load(front), text


def test_the_card_tells_base_rows_losses_gates_and_settings(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a")
    write_report(folder, gates())
    write_card(folder, FACTS)
    front, text = read_card(folder)
    assert front == {
        "base_model": "smollm2-135m-instruct",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "license": "unknown",
        "tags": ["lora"],
    }
    for wanted in (
        "| reader | 300 |",
        "| **all** | **320** |",
        "40 rows were held out",
        "Step 120 of\n160 was kept. Held-out loss went from 2 to 1.",
        "| held-out loss | pass | Held-out loss went from 2 to 1. |",
        "| merge | not applicable | Not \\| mergeable. |",
        "licence: none was chosen",
        "d" * 64,
        "plain LoRA",
    ):
        assert wanted.lower() in text.lower(), wanted
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == FACTS.template
    assert RecipeConfig.model_validate(YAML(typ="safe").load(folder / "config.yaml")) == RECIPE


def test_a_question_side_adapter_says_how_other_tools_begin_at_the_question(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a", acts_from="question")
    write_card(folder, FACTS)
    assert "PEFT applies the adapter to the whole prompt" in read_card(folder)[1]
    write_invocation(folder, (17872, 42))
    write_card(folder, FACTS)
    text = read_card(folder)[1]
    assert "`alora_invocation_tokens: [17872, 42]`" in text
    assert "PEFT applies the adapter to the whole prompt" not in text
    assert "cannot be merged" in text
    assert "None was run." in text


def test_failures_stand_among_the_limits(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a")
    write_report(folder, gates(Status.FAIL))
    write_card(folder, FACTS)
    assert "It failed 1 of 2 gates" in read_card(folder)[1]


def test_the_code_is_at_most_six_lines_and_is_python(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a")
    write_card(folder, FACTS)
    (code,) = re.findall(r"```python\n(.*?)```", read_card(folder)[1], flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 5
    compile(code, "README.md", "exec")
    assert json.loads((folder / "workbench.json").read_text(encoding="utf-8"))["name"] == "reader"


@pytest.mark.parametrize("kind", ["kept", "untrained"])
def test_an_adapter_that_was_kept_untrained_says_so(tmp_path: Path, kind: str) -> None:
    folder = make_folder(tmp_path / "a")
    step = 0 if kind == "untrained" else 3
    write_card(folder, CardFacts("b", "MIT", "", RECIPE, {"reader": 1}, 0, step, 9))
    assert ("The step kept is 0" in read_card(folder)[1]) is (kind == "untrained")
