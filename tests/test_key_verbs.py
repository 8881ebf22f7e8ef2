"""`workbench keys`: the secret comes once on stdout, and everything else is a line one can act on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from workbench.access import AuditLog, Event, KeyStore
from workbench.cli import main
from workbench.errors import RevokedKeyError


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["workbench", "keys", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    return code if isinstance(code, int) else 0


def test_a_key_is_made_shown_once_listed_and_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, store = str(tmp_path / "serving"), KeyStore(tmp_path / "serving")
    words = ["--role", "manuals=write", "--role", "*=read", "--as", "hr", "--expires", "2099-12-31"]
    assert run(monkeypatch, "create", folder, "ann", *words) == 0
    secret = capsys.readouterr().out.strip()
    grant = store.find(secret)
    assert (dict(grant.roles), grant.principals) == ({"manuals": "write", "*": "read"}, frozenset({"hr"}))
    assert run(monkeypatch, "list", folder) == 0
    listed = capsys.readouterr().out
    assert f"{grant.key_id}  ann  good until 2099-12-31 00:00  *=read manuals=write  as hr" in listed
    assert secret not in listed
    assert run(monkeypatch, "revoke", folder, str(grant.key_id)) == 0
    with pytest.raises(RevokedKeyError):
        store.find(secret)
    assert run(monkeypatch, "list", folder) == 0
    assert "revoked" in capsys.readouterr().out


def test_an_experiments_yaml_names_its_servers_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "e.yaml"
    config.write_text("name: small\nquestions: {path: q.jsonl}\n")
    for words, folder in (
        ([], "runs/small/serving"),
        (["--out", "elsewhere"], "elsewhere/serving"),
        (["--set", "serving.folder=srv"], "srv"),
    ):
        assert run(monkeypatch, "create", str(config), "root", "--role", "*=admin", "--as", "*", *words) == 0
        secret = capsys.readouterr().out.strip()
        assert KeyStore(tmp_path / folder).find(secret).principals is None


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["create", "srv", "ann"], "without a role"),
        (["create", "srv", "ann", "--role", "manuals"], "is no pair"),
        (["create", "srv", "ann", "--role", "a=read", "--role", "a=write"], "names 'a' twice"),
        (["create", "srv", "ann", "--role", "a=king"], "one of read, write, admin"),
        (["create", "srv", "ann", "--role", "a=read", "--as", "*", "--as", "hr"], "no other name"),
        (["create", "srv", "ann", "--role", "a=read", "--expires", "2001-01-01"], "cannot end"),
        (["revoke", "srv", "nix"], "has the id 'nix'"),
        (["list", "srv", "--out", "x"], "go with an experiment's YAML"),
        (["list", "file"], "is no folder"),
        (["list", "missing.yaml"], "no such config"),
        (["audit", "srv"], "no audit log"),
    ],
)
def test_a_mistake_is_one_line_and_exit_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    assert run(monkeypatch, *words) == 1
    said = capsys.readouterr()
    assert fault in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
    assert not (tmp_path / "srv/keys.json").exists()


def test_lost_keys_are_told_and_forgotten_only_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "create", str(tmp_path), "ann", "--role", "*=admin") == 0
    (tmp_path / "keys.json").unlink()
    capsys.readouterr()
    assert run(monkeypatch, "list", str(tmp_path)) == 1
    assert "keys.json is gone: nobody is let in" in capsys.readouterr().err
    assert run(monkeypatch, "forget", str(tmp_path)) == 0
    assert "forgot 0 keys" in capsys.readouterr().out
    assert run(monkeypatch, "list", str(tmp_path)) == 0
    assert "answers this machine alone" in capsys.readouterr().err


def test_the_audit_log_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = AuditLog(tmp_path / "audit")
    for _ in range(3):
        log.record(Event(None, None, "GET /v1/models", 200))
    assert run(monkeypatch, "audit", str(tmp_path)) == 0
    said = capsys.readouterr().out
    assert said.startswith("whole: 3 lines in 1 files")
    assert run(monkeypatch, "audit", str(tmp_path), "--noted", said.split()[-1]) == 0
    path = tmp_path / "audit/audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"200", b"403", 1))
    capsys.readouterr()
    assert run(monkeypatch, "audit", str(tmp_path)) == 1
    assert "one of them was altered" in capsys.readouterr().out
