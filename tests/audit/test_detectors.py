"""Planted secrets and personal data are found wherever they stand; ordinary technical prose gives no alarm."""

import re
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.audit.planting import PERSONAL, SECRETS, plant
from tests.audit.rows import chat, closed, reader, text
from workbench.audit import (
    Finding,
    blocking_kinds,
    find_personal_data,
    find_secrets,
    find_sensitive,
    refuse_sensitive,
    scan_rows,
)
from workbench.audit.detectors import _PLUGINS
from workbench.corpus import read_folder
from workbench.errors import SensitiveDataError
from workbench.evaluation import load_questions

DATA = Path(__file__).parent.parent.parent / "data"


def test_planted_faults_are_found_in_prompts_passages_and_completions() -> None:
    found, planted, fields = Counter[str](), Counter[str](), Counter[str]()
    for number, (kind, written, value) in enumerate(plant(32, seed=11)):
        makers = (
            closed(str(number), written, "yes"),
            closed(str(number), "What is it?", written),
            reader(str(number), "What is it?", ["Nothing here.", written], "see above"),
            chat(str(number), written, "Noted."),
            text(str(number), f"# Notes\n\n{written}\n"),
        )
        row = makers[number % len(makers)]
        hits = [
            place
            for place in scan_rows([row]).places
            if value[4:-4] in _text_of(row, place.field) and _touches(_text_of(row, place.field), value, place.finding)
        ]
        planted[kind] += 1
        found[kind] += bool(hits)
        fields.update(re.sub(r"\d", "n", hit.field) for hit in hits[:1])
    assert set(planted) == {*SECRETS, *PERSONAL, "password"}
    assert planted.total() >= 700
    assert {"question", "completion", "passages[n]", "turns[n]"} <= set(fields)
    assert found.total() / planted.total() >= 0.99
    assert {kind: found[kind] / planted[kind] for kind in planted if found[kind] / planted[kind] < 0.96} == {}


def _text_of(row: Any, field: str) -> str:
    match = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", field)
    assert match is not None
    value = getattr(row, match[1])
    if match[2] is None:
        return str(value)
    return str(getattr(value[int(match[2])], "text", None) or value[int(match[2])].content)


def _touches(whole: str, value: str, finding: Finding) -> bool:
    start = whole.index(value)
    return finding.start < start + len(value) and start < finding.end


def test_the_sample_corpus_and_its_questions_give_no_alarm() -> None:
    documents, failures = read_folder(DATA / "corpus", ["**/*"])
    questions = load_questions(DATA / "questions.jsonl").questions
    texts = [document.text for document in documents]
    texts += [part for question in questions for part in (question.text, *question.answers)]
    assert (len(documents), len(failures)) == (63, 0)
    assert [finding for written in texts for finding in find_sensitive(written)] == []


@pytest.mark.parametrize(
    "harmless",
    [
        "Codes C-179 and CV-2680 mean that pulses are too irregular.",
        "The password is case-sensitive and must be changed every 90 days.",
        "The secret is temperature-controlled brass; API key: see the manual.",
        "Serial no. 2024-0815-4711, part 4012 8888 8888 1882, order 1234567890123456.",  # fails Luhn
        "sha256: 1099f2ea6e3b355e5c8ae7cd36a74e76373fe769741f2831947e4d263d363dad",
        "id 123e4567-e89b-12d3-a456-426614174000",
        "from /usr/local/lib/python3.11/site-packages/HuggingFaceTB/SmolLM2-135M-Instruct/Tokenizer",
        "Firmware 1.2.3.4 and section 3.4.1.2 replace >=1.2.0.0; 127.0.0.1 is this machine.",
        "Scores were .050 / .086 and 5.3 to 3.0; call it 1,430 crowns at 20 % in 1998-2004.",
        "The company was born in 1987 in Lyon. The gauge was calibrated on 12 May 2021.",
        "password = <password>, pwd=${DB_PASSWORD}, secret: xxxxxxxx, token=********",
        "postgres://user:<password>@host/db and https://host:8080/a@b",
        "The 12 Harrow Street branch has 30 balances; see table[::2] at 12:30:45 and 1::2.",
        "DE00 0000 0000 0000 0000 00 is no IBAN, 000-12-3456 no SSN, 12-34-5678 neither.",
    ],
)
def test_what_only_looks_alike_is_left_alone(harmless: str) -> None:
    assert find_sensitive(harmless) == []


def test_a_finding_has_its_place_and_never_shows_the_whole() -> None:
    written = "Write to oswin.kaldry@orrinmouth.net, IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111."
    findings = find_personal_data(written)
    assert [(f.kind, written[f.start : f.end]) for f in findings] == [
        ("email", "oswin.kaldry@orrinmouth.net"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("credit_card", "4111 1111 1111 1111"),
    ]
    assert findings[0].masked == "os… (27 characters)"


def test_a_private_key_is_one_finding_with_its_body() -> None:
    written = "key:\n-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\n-----END RSA PRIVATE KEY-----\nend"
    (finding,) = find_secrets(written)
    assert written[finding.start : finding.end].endswith("-----END RSA PRIVATE KEY-----")


def test_digits_inside_a_secret_are_no_phone_number() -> None:
    assert [f.kind for f in find_sensitive("token xoxb-12345678901-123456789012-AbCdEfGhIjKlMnOpQrStUvWx")] == [
        "slack_token"
    ]


def test_nothing_found_is_sent_to_be_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    for module, name, _, _ in _PLUGINS:
        plugin = getattr(import_module(f"detect_secrets.plugins.{module}"), name)
        monkeypatch.setattr(plugin, "verify", lambda *_, **__: asked.append(1), raising=False)
    monkeypatch.setattr("requests.sessions.Session.request", lambda *_, **__: asked.append(1))
    assert all(find_secrets(planted.text) for planted in plant(4, seed=3) if planted.kind in SECRETS)
    assert asked == []


def test_training_is_refused_with_kinds_counts_rows_and_the_key_that_allows_them() -> None:
    rows = [closed(f"r{n}", f"Who is w{n}@tarn.io?", "a customer") for n in range(7)]
    rows.append(closed("s", "What opens it?", "password=Copper1987!"))
    scan = scan_rows([*rows, closed("ok", "What is C-179?", "pulses too irregular")])
    assert scan.counts == {"email": 7, "password": 1}
    assert blocking_kinds(scan.counts, ["email"]) == {"password": 1}
    with pytest.raises(SensitiveDataError) as refused:
        refuse_sensitive(scan, [], source="data/mine")
    message = str(refused.value)
    assert "email: 7 in 7 rows: r0, r1, r2, r3, r4 and 2 more" in message
    assert "password: 1 in 1 rows: s" in message
    assert "workbench dataset audit data/mine" in message
    assert "--set 'training.allow_findings=[email, password]'" in message
    assert "Copper1987" not in message
    refuse_sensitive(scan, ["email", "password"], source="data/mine")


def test_a_passage_of_many_rows_is_scanned_once_and_told_for_each() -> None:
    calls: list[str] = []

    def find(written: str) -> list[Finding]:
        calls.append(written)
        return find_sensitive(written)

    rows = [reader(str(n), f"Question {n}?", ["Mail ann@tarn.io."], "yes") for n in range(5)]
    scan = scan_rows(rows, find)
    assert calls.count("Mail ann@tarn.io.") == 1
    assert scan.rows_with("email") == ("0", "1", "2", "3", "4")
    assert {place.field for place in scan.places} == {"passages[0]"}
