"""The offline proof fails where it would prove nothing, and where a stage reached out."""

import argparse
from pathlib import Path

import pytest

from tests.proofs import offline as proof
from tests.proofs.sockets import Seen

OPTIONS = argparse.Namespace(config=proof.TINY, bundle=None, key=None)
LEAVES = '1 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.1")}, 16) = -1 E'


def run(monkeypatch: pytest.MonkeyPatch, place: Path, *, routes: list[str], left: str = "") -> list[str]:
    """Run the proof over stages that are told, not run: the plain control reaches out, the guarded one is refused."""

    def told(self: proof.Proof, command: list[str]) -> Seen:
        self._log()
        self._output().write_text("OfflineError" if proof.GUARDED in command else "")
        if proof.REACH_OUT in command:
            return Seen(1, left=[LEAVES])
        return Seen(0, left=[LEAVES] if left and left in command else [])

    monkeypatch.setattr(proof.Proof, "_trace", told)
    monkeypatch.setattr(proof, "find_routes", lambda: routes)
    monkeypatch.setattr(proof, "has_verb", lambda *_: False)
    return proof.prove(OPTIONS, place)


def test_a_run_that_stays_here_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, routes=[]) == []


def test_with_a_route_out_nothing_is_proved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (failure,) = run(monkeypatch, tmp_path, routes=["eth0"])
    assert "route out (eth0)" in failure


def test_a_stage_that_reaches_out_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, routes=[], left="train") == ["train"]


def test_without_its_positive_control_it_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(proof, "ELSEWHERE", "198.51.100.1")  # what strace saw was another attempt
    assert run(monkeypatch, tmp_path, routes=[]) == ["control: a plain attempt"]
