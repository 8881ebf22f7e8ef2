"""tokenizer.json at the gate: which parts pass, what the trial adds, and that it is held once for a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tests.intake.hostile_tokenizers import CAUGHT_BY_TRIAL, HONEST, HONEST_PIECES
from workbench.errors import ModelIntegrityError
from workbench.intake import admit_model, verdicts, vetting
from workbench.intake.tokenizer_file import check_tokenizer
from workbench.intake.tokenizer_parts import KNOWN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"vocab_size": 10}')
    (model / "tokenizer.json").write_text(json.dumps(HONEST))
    return model


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The forms of the trials that were held, in a process that has seen none."""
    held: list[str] = []

    def run_trial(script: str, asked: dict[str, Any], content: bytes, **limits: int) -> str:
        held.append(asked["form"])
        return ""

    monkeypatch.setattr(vetting, "run_trial", run_trial)
    monkeypatch.setattr(verdicts, "_passed", set())
    return held


def full_tokenizer() -> Tokenizer:
    """A tokenizer with every kind of part that the library makes, as it serialises them now."""
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")], unk_token="a"))
    quotes = [normalizers.Replace("``", '"'), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(normalizers.BertNormalizer(), normalizers.Strip(), normalizers.Prepend("▁"), normalizers.Nmt(), *quotes),
            *(normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD(), normalizers.Lowercase()),
            *(normalizers.StripAccents(), normalizers.ByteLevel()),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.BertPreTokenizer(), pre_tokenizers.ByteLevel(), pre_tokenizers.CharDelimiterSplit("x")),
            *(pre_tokenizers.Digits(), pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()),
            *(pre_tokenizers.Split(Regex("a+"), "isolated"), pre_tokenizers.UnicodeScripts()),
            *(pre_tokenizers.Whitespace(), pre_tokenizers.WhitespaceSplit(), pre_tokenizers.FixedLength(5)),
        ]
    )
    tokenizer.post_processor = processors.Sequence(
        [
            *(processors.ByteLevel(), processors.BertProcessing(("b", 1), ("a", 0))),
            processors.RobertaProcessing(("b", 1), ("a", 0)),
            processors.TemplateProcessing(single="a $A", pair="a $A b $B", special_tokens=[("a", 0), ("b", 1)]),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            *(decoders.BPEDecoder(), decoders.ByteFallback(), decoders.ByteLevel(), decoders.CTC(), decoders.Fuse()),
            *(decoders.Metaspace(), decoders.Replace("▁", " "), decoders.Strip(" ", 1, 0), decoders.WordPiece()),
        ]
    )
    tokenizer.add_special_tokens([AddedToken("<x>", special=True)])
    tokenizer.enable_padding(length=8, pad_to_multiple_of=4)
    tokenizer.enable_truncation(16, stride=2)
    return tokenizer


def test_every_part_that_the_library_makes_is_known() -> None:
    value = json.loads(full_tokenizer().to_str())
    to_try = check_tokenizer(value, 4)
    assert to_try.patterns == (" {2,}", "a+")
    assert {"``", "▁", "<x>"} <= set(to_try.units)
    found = {
        (section, part["type"])
        for section, key in zip(KNOWN, ("normalizers", "pretokenizers", "processors", "decoders"), strict=True)
        for part in value[section][key]
    }
    known = {(section, kind) for section, kinds in KNOWN.items() for kind in kinds if kind != "Sequence"}
    assert known - found == {("normalizer", "Precompiled")}  # which the library makes of bytes alone


@pytest.mark.parametrize(
    "model",
    [
        models.WordPiece({"a": 0, "[UNK]": 1}, unk_token="[UNK]"),
        models.WordLevel({"a": 0}, unk_token="a"),
        models.Unigram([("a", 0.0), ("b", -1.5)], 0, byte_fallback=True),
        models.BPE(vocab={"a": 0}, merges=[], dropout=0.0, fuse_unk=True, ignore_merges=True, byte_fallback=True),
    ],
    ids=lambda model: type(model).__name__,
)
def test_every_model_that_the_library_makes_passes(folder: Path, model: Any) -> None:
    Tokenizer(model).save(str(folder / "tokenizer.json"))
    assert "tokenizer.json" in admit_model(folder).files


def test_a_file_of_before_types_and_pairs_passes(folder: Path) -> None:
    old = {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"], "unk_token": "a"}
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": old}))
    assert "tokenizer.json" in admit_model(folder).files


@pytest.mark.parametrize("name", CAUGHT_BY_TRIAL)
def test_only_the_trial_can_tell(folder: Path, trials: list[str], name: str) -> None:
    CAUGHT_BY_TRIAL[name](folder, folder / "canary")
    assert "tokenizer.json" in admit_model(folder).files
    assert trials == ["tokenizer.json"]


def test_a_trial_is_held_once_for_a_file_and_again_when_it_or_its_model_changes(
    folder: Path, tmp_path: Path, trials: list[str]
) -> None:
    def admit(*, in_a_new_process: bool = True) -> int:
        if in_a_new_process:
            verdicts._passed.clear()
        admit_model(folder, cache_path=tmp_path / "hashes.json")
        return len(trials)

    assert [admit(), admit(), admit(in_a_new_process=False)] == [1, 1, 1]
    shutil.copytree(folder, tmp_path / "copy")
    admit_model(tmp_path / "copy", cache_path=tmp_path / "hashes.json")
    assert len(trials) == 1
    (folder / "config.json").write_text('{"vocab_size": 11}')
    assert admit() == 2
    (folder / "tokenizer.json").write_text(json.dumps(HONEST, indent=1))
    assert admit() == 3
    for damage in ("", "{}", "[1]"):
        (tmp_path / "vetted.json").write_text(damage)
        n_before = len(trials)
        assert admit() == n_before + 1
    assert admit() == len(trials)


def test_a_refusal_is_not_remembered(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": {"type": "Neural"}}')
    for _ in range(2):
        with pytest.raises(ModelIntegrityError, match=r"tokenizer\.json: model is of the unknown type 'Neural'"):
            admit_model(folder, cache_path=tmp_path / "hashes.json")


@pytest.mark.parametrize(
    ("config", "n_ids"),
    [
        ({"vocab_size": 7}, 7),
        ({"text_config": {"vocab_size": 7}}, 7),
        ({"vocab_size": "7"}, None),
        ({"vocab_size": True}, None),
        ({"vocab_size": 2**40}, None),
        ({"text_config": []}, None),
        ([], None),
    ],
)
def test_the_number_of_ids_is_what_the_config_says(tmp_path: Path, config: object, n_ids: int | None) -> None:
    assert vetting.count_ids(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert vetting.count_ids(tmp_path) == n_ids


def test_pieces_are_let_in_unread_where_nothing_reads_them(
    folder: Path, trials: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(HONEST_PIECES)
    for is_installed in (False, True):
        monkeypatch.setattr(vetting, "find_spec", lambda _, found=is_installed: object() if found else None)
        verdicts._passed.clear()
        assert "spiece.model" in admit_model(folder).files
    assert trials == ["sentencepiece"]
