"""All gates over a real adapter on the tiny model: they find what is there, and leave the model as it was."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import load_tiny, make_job, make_prompts
from workbench.config import GatesConfig
from workbench.errors import TrainingError
from workbench.gates import GateReport, GateSubject, HeldOutQuestion, Status, read_report, run_gates
from workbench.training import train_adapter

pytestmark = pytest.mark.usefixtures("tiny_home")
NAMES = [
    "start equals base",
    "held-out loss",
    "general text",
    "known facts",
    "stops",
    "abstention",
    "over-refusal",
    "merge",
    "canaries",
]


def train(folder: Path, model: Any, tokenizer: Any, **changes: Any) -> GateSubject:
    job = make_job(tokenizer, **({"epochs": 20, "learning_rate": 2e-3, "dropout": 0.0} | changes))
    progress = train_adapter(job, model, folder, pad_id=tokenizer.end_of_turn_ids[-1])
    return GateSubject(
        name=job.name,
        folder=folder / "adapter",
        held_out=job.held_out,
        groups=("a", "b", "c"),
        questions=tuple(HeldOutQuestion(prompt, at != 1) for at, prompt in enumerate(make_prompts(tokenizer))),
        start_loss=progress.held_out[0]["loss"],
    )


def check(subject: GateSubject, model: Any, tokenizer: Any, **knobs: Any) -> GateReport:
    return run_gates(
        subject,
        model,
        tokenizer,
        GatesConfig(**knobs),
        base_fingerprint="base",
        not_found="not in the documents",
        max_new_tokens=3,
        stop_at_newline=False,
        seed=0,
    )


@pytest.mark.parametrize("acts_from", ["question", "prompt"])
def test_every_gate_reports_and_the_model_comes_back_as_it_was(tmp_path: Path, acts_from: str) -> None:
    model, tokenizer = load_tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    subject = train(tmp_path, model, tokenizer, acts_from=acts_from)
    report = check(subject, model, tokenizer)
    assert [result.name for result in report.results] == NAMES
    assert report["start equals base"].status is Status.PASS
    assert report["held-out loss"].status is Status.PASS, report["held-out loss"]
    assert report["abstention"].status is Status.WARN  # nobody refuses here
    assert report["canaries"].status is Status.NOT_APPLICABLE
    merge = report["merge"]
    if acts_from == "question":
        assert (merge.status, merge.says) == (
            Status.NOT_APPLICABLE,
            "Not mergeable: acts from the question on.",
        )
    else:
        assert merge.status is Status.PASS, merge
    assert read_report(subject.folder) == report
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    again = train(tmp_path / "again", model, tokenizer, acts_from=acts_from)  # the model still trains, to the same bits
    assert (again.folder / "adapter_model.safetensors").read_bytes() == (
        subject.folder / "adapter_model.safetensors"
    ).read_bytes()


def test_a_loop_that_records_another_loss_is_caught_and_told_when_enforced(tmp_path: Path) -> None:
    model, tokenizer = load_tiny()
    subject = replace(train(tmp_path, model, tokenizer, epochs=1), start_loss=1.0)
    assert [result.name for result in check(subject, model, tokenizer, max_forgetting=99).failed] == [
        "start equals base",
        "stops",  # an untrained model rambles
    ]
    with pytest.raises(TrainingError, match=r"failed 2 of 9 gates: start equals base: .*gates\.enforce=false"):
        check(subject, model, tokenizer, max_forgetting=99, enforce=True)
    assert (subject.folder / "adapter_model.safetensors").exists()
    report = read_report(subject.folder)
    assert report is not None
    assert len(report.failed) == 2
    assert len(report.lines()) == len(NAMES)
    assert not hasattr(model, "peft_config")


def test_an_adapter_that_was_never_checked_has_no_report(tmp_path: Path) -> None:
    assert read_report(tmp_path) is None
