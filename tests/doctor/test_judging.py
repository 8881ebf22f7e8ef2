"""Each check on sound and on broken figures: level, both values, and what to do."""

from pathlib import Path

import pytest

from workbench.doctor import Finding, Level
from workbench.doctor.finding import fine, worst
from workbench.doctor.machine import (
    Gpu,
    judge_clock,
    judge_disk,
    judge_gpu,
    judge_locale,
    judge_python,
    judge_scratch,
    judge_threads,
)
from workbench.doctor.memory import Need, judge_memory, lora_parameters, token_bytes, weight_bytes
from workbench.doctor.network import judge_offline
from workbench.doctor.packages import judge_packages, judge_tested
from workbench.doctor.places import judge_key_mode
from workbench.offline import FLAGS, QUIET

GIB = 2**30
H100 = Gpu("NVIDIA H100", "570.1", 9.0, 80 * GIB, 78 * GIB)
OLD = Gpu("NVIDIA T4", "450.2", 7.5, 16 * GIB, 15 * GIB)
SOUND = {**QUIET, **dict.fromkeys(FLAGS, "1")}
NEED = Need(libraries=GIB, weights=4 * GIB, adapter=GIB, slots=2 * GIB, planned=0)


@pytest.mark.parametrize(
    ("finding", "level", "says"),
    [
        (judge_python((3, 10, 2)), Level.BLOCKER, "3.10.2, needed is 3.11"),
        (judge_python((3, 11, 7)), Level.OK, "3.11.7"),
        (judge_python((3, 14, 0)), Level.WARN, "3.11"),
        (judge_threads(8, None), Level.OK, "8 cores"),
        (judge_threads(8, "8"), Level.OK, "8 of 8"),
        (judge_threads(8, "16"), Level.WARN, "16, but there are 8"),
        (judge_threads(8, "1"), Level.WARN, "1 of 8"),
        (judge_threads(8, "many"), Level.WARN, "'many'"),
        (judge_threads(8, "0"), Level.WARN, "'0'"),
        (judge_gpu(None, device="auto", dtype="auto", torch_version="2.13.0+cpu"), Level.OK, "CPU"),
        (judge_gpu(None, device="cuda", dtype="auto", torch_version="2.13.0"), Level.BLOCKER, "no GPU"),
        (judge_gpu(H100, device="cuda", dtype="auto", torch_version="2.13.0+cpu"), Level.BLOCKER, "build for the CPU"),
        (judge_gpu(H100, device="auto", dtype="auto", torch_version="2.13.0+cpu"), Level.WARN, "does not use it"),
        (judge_gpu(H100, device="auto", dtype="auto", torch_version="2.13.0"), Level.OK, "bfloat16: yes"),
        (judge_gpu(OLD, device="cuda", dtype="auto", torch_version="2.13.0"), Level.OK, "bfloat16: no"),
        (judge_gpu(OLD, device="cuda", dtype="bfloat16", torch_version="2.13.0"), Level.WARN, "emulated"),
        (
            judge_gpu(None, device="auto", dtype="auto", torch_version="2.13.0", quantize="nf4"),
            Level.BLOCKER,
            "nf4, which needs a GPU",
        ),
        (judge_disk("/x", 10 * GIB, GIB), Level.OK, "10 GiB free at /x"),
        (judge_disk("/x", 2 * GIB, GIB), Level.WARN, "2.00 GiB free"),
        (judge_disk("/x", GIB // 2, GIB), Level.BLOCKER, "about 1.00 GiB needed"),
        (judge_clock(1e9, 1e9 - 5, "a.py", monotonic=True), Level.OK, "2001-09-09"),
        (judge_clock(1e9, 1e9 + 3600, "a.py", monotonic=True), Level.OK, "2001-09-09"),
        (judge_clock(0, 1e9, "a.py", monotonic=True), Level.WARN, "days before a.py"),
        (judge_clock(1e9, 0, "a.py", monotonic=False), Level.BLOCKER, "backwards"),
        (judge_locale("UTF-8", "utf-8"), Level.OK, "UTF-8"),
        (judge_locale("ANSI_X3.4-1968", "utf-8"), Level.WARN, "ANSI_X3.4-1968"),
        (judge_scratch("/tmp", "", 10 * GIB), Level.OK, "/tmp"),
        (judge_scratch("/tmp", "Read-only file system", 0), Level.BLOCKER, "Read-only"),
        (judge_scratch("/tmp", "", 2**20), Level.WARN, "1 MiB free"),
        (judge_key_mode(Path("keys.json"), 0o600), Level.OK, "0600"),
        (judge_key_mode(Path("keys.json"), 0o400), Level.OK, "0400"),
        (judge_key_mode(Path("keys.json"), 0o640), Level.BLOCKER, "0640, expected 0600"),
        (judge_key_mode(Path("keys.json"), 0o604), Level.BLOCKER, "0604"),
    ],
)
def test_a_figure_gets_its_level_and_a_broken_one_its_advice(finding: Finding, level: Level, says: str) -> None:
    assert finding.level is level
    assert says in finding.found
    assert bool(finding.advice) == (level is not Level.OK)


def test_packages_are_judged_by_their_ranges() -> None:
    declared = ["torch>=2.10", "peft>=0.21.2", "transformers>=5.3,<6", 'ruff>=0.12; extra == "dev"']
    sound = {"torch": "2.13.0+cpu", "peft": "0.21.2", "transformers": "5.23.0"}
    assert [one.level for one in judge_packages(declared, sound)] == [Level.OK]
    found = judge_packages(declared, {"torch": "2.9.1", "transformers": "6.0"})
    assert [one.found for one in found] == [
        "torch is 2.9.1, needed is >=2.10",
        "peft is not installed",
        "transformers is 6.0, needed is <6,>=5.3",
    ]
    assert {one.level for one in found} == {Level.BLOCKER}
    assert judge_packages(["torch >= > 2"], sound)[0].level is Level.BLOCKER


def test_other_versions_than_the_tested_are_a_warning_with_both() -> None:
    pins = ["# made by pip freeze", "torch==2.13.0", "Ruamel.YAML==0.18.1", "gone==1.0"]
    assert judge_tested(pins, {"torch": "2.13.0+cpu", "ruamel-yaml": "0.18.1"}).level is Level.OK
    other = judge_tested(pins, {"torch": "2.15.0", "ruamel-yaml": "0.18.1"})
    assert other.level is Level.WARN
    assert "1 differ: torch 2.15.0 (tested 2.13.0)" in other.found
    assert judge_tested(None, {}).level is Level.OK


def test_memory_is_judged_by_what_is_free_and_by_what_there_is() -> None:
    levels = [one.level for one in judge_memory(NEED, free=32 * GIB, total=64 * GIB, where="memory")]
    assert levels == [Level.OK, Level.OK]
    training, serving = judge_memory(NEED, free=int(6.5 * GIB), total=64 * GIB, where="memory")
    assert (training.level, serving.level) == (Level.WARN, Level.WARN)
    assert "at least 6.00 GiB" in training.found
    assert "free 6.50 GiB of 64.00 GiB" in training.found
    training, serving = judge_memory(NEED, free=5 * GIB, total=6 * GIB, where="memory")
    assert (training.level, serving.level) == (Level.WARN, Level.BLOCKER)
    planned = Need(libraries=GIB, weights=4 * GIB, adapter=GIB, slots=0, planned=40 * GIB)
    training, _ = judge_memory(planned, free=32 * GIB, total=33 * GIB, where="memory")
    assert training.level is Level.BLOCKER
    assert "as the last training planned" in training.found


def test_bytes_are_counted_from_headers_by_hand() -> None:
    shapes = {
        "model.embed_tokens.weight": (10, 4),
        "model.layers.0.self_attn.q_proj.weight": (4, 6),
        "model.layers.0.mlp.down_proj.weight": (8, 2),
        "model.layers.0.input_layernorm.weight": (4,),
    }
    assert weight_bytes(shapes, 2) == 2 * (40 + 24 + 16 + 4)
    assert lora_parameters(shapes, 3) == 3 * (4 + 6) + 3 * (8 + 2)
    config = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1, "hidden_size": 32}
    assert token_bytes(config, 2) == 2 * 2 * 1 * 8 * 2  # layers, key and value, heads, head, bytes
    assert token_bytes({"text_config": config | {"head_dim": 16}}, 4) == 2 * 2 * 16 * 4


def test_offline_is_judged_by_flags_guard_and_config() -> None:
    assert [one.level for one in judge_offline(wanted=True, guarded=True, environment=SOUND)] == [Level.OK] * 2
    unset = {name: value for name, value in SOUND.items() if name != FLAGS[0]}
    assert FLAGS[0] in judge_offline(wanted=True, guarded=True, environment=unset)[0].found
    assert judge_offline(wanted=True, guarded=False, environment=SOUND)[0].level is Level.BLOCKER
    assert judge_offline(wanted=False, guarded=False, environment=SOUND)[0].level is Level.WARN
    loud = judge_offline(wanted=True, guarded=True, environment=SOUND | {"DO_NOT_TRACK": "0"})[1]
    assert (loud.level, "DO_NOT_TRACK" in loud.found) == (Level.WARN, True)


def test_the_worst_finding_decides() -> None:
    ok, warn, blocker = fine("a", ""), Finding("b", Level.WARN, ""), Finding("c", Level.BLOCKER, "")
    assert worst([]) is worst([ok]) is Level.OK
    assert worst([ok, warn]) is Level.WARN
    assert worst([blocker, ok, warn]) is Level.BLOCKER
