"""Words against fifteen lines of BM25 and against bm25s; segments, masks and merges against one index of the rest."""

from __future__ import annotations

import errno
import gc
import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.knowledge import postings, words
from workbench.knowledge.analysis import find_words, hash_words
from workbench.knowledge.words import WordSegment, merge_words, search_words, write_words
from workbench.types import Bool

TEXTS = [
    "The price of the brass lamp is ninety euro",
    "Brass lamps, brass lenses and brass tubes: all brass",
    "A lens is priced by its diameter",
    "Error E-104 means the lamp is not connected",
    "Running the lamp for more than ten hours voids the warranty of the lamp",
    "Opening hours are from nine to five",
    "Prices of lenses and lamps change on the first day of each year, prices of tubes do not",
    "",
]
QUESTIONS = ["brass lamp", "What is the price of a lens?", "E-104", "lamp lamp brass", "opening hours of the warranty"]

texts_ = st.lists(st.lists(st.sampled_from(["oak", "elm", "ash", "yew", "fir", "the"]), max_size=8).map(" ".join))
questions_ = st.lists(st.sampled_from(["oak", "elm", "ash", "yew", "bog"]), max_size=5).map(" ".join)
Parts = list[tuple[WordSegment, Bool | None]]
Found = list[tuple[int, int, float]]


def make_segment(folder: Path, texts: Sequence[str]) -> WordSegment:
    write_words(folder, texts)
    return WordSegment(folder)


@pytest.fixture(scope="module")
def lamps(tmp_path_factory: pytest.TempPathFactory) -> WordSegment:
    return make_segment(tmp_path_factory.mktemp("lamps"), TEXTS)


def zipf_texts(n: int, *, seed: int) -> list[str]:
    """Few rare and many common words, often repeated, so that common ones can outweigh a rare one."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(3, 403)
    lengths = rng.integers(1, 9, n)
    return [
        " ".join(f"w{word} " * times for word, times in zip(words, rng.geometric(0.2, len(words)), strict=True))
        for words in (rng.choice(400, size, p=shares / shares.sum()) for size in lengths)
    ]


def brute_force(texts: Sequence[str], question: str, k1: float = 1.2, b: float = 0.75) -> dict[int, float]:
    """Lucene's BM25 from the textbook: {position: score} of the texts that share a word with the question."""
    counts = [Counter(find_words(text)) for text in texts]
    mean = sum(count.total() for count in counts) / max(len(counts), 1)
    scores: defaultdict[int, float] = defaultdict(float)
    for word in find_words(question):
        n_with = sum(word in count for count in counts)
        idf = math.log(1 + (len(texts) - n_with + 0.5) / (n_with + 0.5))
        for position, count in enumerate(counts):
            if word in count:
                scores[position] += idf * count[word] / (count[word] + k1 * (1 - b + b * count.total() / mean))
    return dict(scores)


def hash_files(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@st.composite
def cut_and_masked(draw: st.DrawFn) -> tuple[list[str], list[int], list[bool]]:
    texts = draw(texts_)
    cuts = sorted(draw(st.lists(st.integers(0, len(texts)), max_size=3)))
    return texts, [0, *cuts, len(texts)], draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))


def make_parts(folder: Path, texts: list[str], cuts: list[int], allowed: list[bool]) -> Parts:
    return [
        (make_segment(folder / str(number), texts[start:stop]), np.array(allowed[start:stop], np.bool_))
        for number, (start, stop) in enumerate(pairwise(cuts))
    ]


@settings(max_examples=40, deadline=None)
@given(case=cut_and_masked(), question=questions_, k=st.integers(1, 6))
def test_any_segments_under_any_mask_score_like_a_private_index(
    case: tuple[list[str], list[int], list[bool]], question: str, k: int
) -> None:
    texts, cuts, allowed = case
    own = [text for text, mine in zip(texts, allowed, strict=True) if mine]
    own_positions = np.flatnonzero(allowed).tolist()
    with TemporaryDirectory() as folder:
        parts = make_parts(Path(folder), texts, cuts, allowed)
        found = [(cuts[number] + position, score) for number, position, score in search_words(parts, question, k=k)]
        private = make_segment(Path(folder) / "private", own)
        everything = search_words([(private, None)], question, k=len(texts) + 1)
    assert {position: score for _, position, score in everything} == pytest.approx(brute_force(own, question), rel=1e-6)
    bar = everything[min(k, len(everything)) - 1][2] if everything else 0.0
    assert found == [(own_positions[position], score) for _, position, score in everything if score >= bar]


@settings(max_examples=40, deadline=None)
@given(case=cut_and_masked(), block=st.integers(1, 30))
def test_a_merge_has_the_bytes_of_one_write(case: tuple[list[str], list[int], list[bool]], block: int) -> None:
    texts, cuts, kept = case
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        write_words(folder / "written", [text for text, keep in zip(texts, kept, strict=True) if keep])
        patch.setattr(postings, "BLOCK", block)
        merge_words(folder / "merged", make_parts(folder, texts, cuts, kept))
        assert hash_files(folder / "merged") == hash_files(folder / "written")


@pytest.mark.parametrize("cost", [0, words.LOOKUP_COST])  # 0: no common word is read that need not be
def test_reading_the_rare_words_first_finds_the_same_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cost: int
) -> None:
    monkeypatch.setattr(words, "LOOKUP_COST", cost)
    texts = zipf_texts(1000, seed=5)
    cuts = [0, 700, 950, 1000]
    parts: Parts = [(make_segment(tmp_path / str(start), texts[start:stop]), None) for start, stop in pairwise(cuts)]
    for question in zipf_texts(15, seed=6):
        named = brute_force(texts, question)
        best = sorted(named.values(), reverse=True)
        for k in (1, 3, 20):
            found = search_words(parts, question, k=k)
            assert len(found) >= min(k, len(best))
            assert [score for *_, score in found[:k]] == pytest.approx(best[:k], rel=1e-6)
            assert all(score == pytest.approx(named[cuts[part] + place], rel=1e-6) for part, place, score in found)


def test_a_chunk_without_the_rare_word_may_be_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "LOOKUP_COST", 0)
    winners = []
    for n_fillers in range(0, 200, 4):  # the longer its chunk, the less the rare word gives
        texts = [f"rare {'filler ' * n_fillers}", "common " * 60, *["common filler"] * 3, *["filler " * 60] * 6]
        segment = make_segment(tmp_path / str(n_fillers), texts)
        reference = brute_force(texts, "rare common")
        [(_, position, _)] = search_words([(segment, None)], "rare common", k=1)
        assert position == max(reference, key=lambda one: reference[one])
        winners.append(position)
    assert set(winners) == {0, 1}


def test_scores_are_those_of_bm25s(tmp_path: Path) -> None:
    texts = [*TEXTS, *zipf_texts(200, seed=1)]
    segment = make_segment(tmp_path, texts)
    reference = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    reference.index([find_words(text) for text in texts], show_progress=False)
    for question in [*QUESTIONS, *zipf_texts(20, seed=2)]:
        expected = reference.get_scores([word for word in find_words(question) if word in reference.vocab_dict])
        scores = np.zeros(len(texts))
        for _, position, score in search_words([(segment, None)], question, k=len(texts)):
            scores[position] = score
        assert scores == pytest.approx(expected, abs=1e-4)


def test_all_that_tie_with_the_kth_are_returned(tmp_path: Path) -> None:
    segment = make_segment(tmp_path, ["oak elm", "elm oak", "oak oak", "oak elm", "ash"])
    found = search_words([(segment, None), (segment, None)], "oak", k=3)
    assert [hit[:2] for hit in found] == [(0, 2), (1, 2), (0, 0), (0, 1), (0, 3), (1, 0), (1, 1), (1, 3)]
    assert len({score for *_, score in found}) == 2


@settings(max_examples=40, deadline=None)
@given(question=st.one_of(st.text(), st.sampled_from(['AND OR ("', "the of and", "text:lamp^9 +x -y [a TO b]~", "\0"])))
def test_no_question_is_a_syntax_error(lamps: WordSegment, question: str) -> None:
    found = search_words([(lamps, None)], question, k=lamps.n)
    shared = {position for position, text in enumerate(TEXTS) if {*hash_words(text)} & {*hash_words(question)}}
    assert {position for _, position, _ in found} == shared


def test_nothing_is_found_in_nothing(tmp_path: Path, lamps: WordSegment) -> None:
    empty = make_segment(tmp_path / "empty", [])
    blank = make_segment(tmp_path / "blank", ["", "the"])
    assert (empty.n, blank.n, lamps.n) == (0, 2, len(TEXTS))
    nobody = np.zeros(lamps.n, np.bool_)
    for parts in ([], [(empty, None)], [(blank, None)], [(lamps, nobody)], [(blank, None), (lamps, nobody)]):
        assert search_words(parts, "lamp", k=3) == []
    assert search_words([(lamps, None)], "nowhere", k=3) == search_words([(lamps, None)], "the of", k=3) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Prices of E-104 were running; café", ["price", "e", "104", "were", "run", "café"]),
        ("Die Häuser der Straße", ["die", "häuser", "der", "straße"]),
        ("l'été à l'école, niño", ["l", "été", "à", "l", "école", "niño"]),
        ("Дома и деревья", ["дома", "и", "деревья"]),
        ("cafe\u0301 ﬁle ＡＢＣ", ["café", "file", "abc"]),
        ("我买iPhones手机2台", ["iphon", "2", "我买", "手机", "台"]),
        ("東京タワー、ｶﾅ", ["東京", "京タ", "タワ", "ワー", "カナ"]),
        ("น้ำ 25 บาท", ["25", "น้", "้ํ", "ํา", "บา", "าท"]),
        ("한국어를", ["한국", "국어", "어를"]),
        (f"{'x' * 254} {'y' * 255}", ["x" * 254]),
    ],
)
def test_text_becomes_words(text: str, expected: list[str]) -> None:
    assert find_words(text) == expected


def test_two_words_of_unspaced_text_find_their_chunk(tmp_path: Path) -> None:
    segment = make_segment(tmp_path, ["我们在东京买了手机", "今天天气很好", "ฉันซื้อโทรศัพท์"])
    assert [hit[1] for hit in search_words([(segment, None)], "手机", k=1)] == [0]
    assert [hit[1] for hit in search_words([(segment, None)], "โทรศัพท์", k=1)] == [2]


def test_no_text_lies_in_the_files(tmp_path: Path) -> None:
    write_words(tmp_path, ["canaryword zebra canaryword"])
    for path in tmp_path.iterdir():
        held = path.read_bytes()
        assert not [b for b in ("canary", "zebra") if b.encode() in held or b.encode("utf-16-le") in held]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".npy"] * 5  # no spill left either


def test_a_search_outlives_its_folder_and_may_run_in_threads(tmp_path: Path) -> None:
    segment = make_segment(tmp_path / "s", TEXTS)
    for path in (tmp_path / "s").iterdir():
        path.unlink()

    def search(question: str) -> Found:
        return search_words([(segment, None)], question, k=3)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(search, QUESTIONS * 50)) == [search(question) for question in QUESTIONS] * 50


def test_a_mask_is_counted_once_only_when_it_cannot_change(tmp_path: Path) -> None:
    segment = make_segment(tmp_path, TEXTS)
    mask = np.zeros(segment.n, np.bool_)
    assert segment.count(mask) == (0, 0)
    mask[2] = True
    assert segment.count(mask) == (1, 4)
    mask.flags.writeable = False
    assert segment.count(mask) == segment.count(mask) == (1, 4)
    assert len(segment._known) == 1
    del mask
    gc.collect()
    assert not segment._known


def test_wrong_calls_are_refused(tmp_path: Path, lamps: WordSegment) -> None:
    for n in (lamps.n - 1, lamps.n + 1):
        with pytest.raises(ValueError, match=f"mask of shape \\({n},\\) cannot say which of {lamps.n}"):
            search_words([(lamps, np.ones(n, np.bool_))], "lamp", k=3)
        with pytest.raises(ValueError, match="mask of shape"):
            merge_words(tmp_path / "m", [(lamps, np.ones(n, np.bool_))])
    with pytest.raises(ValueError, match="k is 0"):
        search_words([(lamps, None)], "lamp", k=0)
    with pytest.raises(ValueError, match="65,536 times in one text"):
        write_words(tmp_path / "w", ["lamp " * 2**16])


@pytest.mark.parametrize("name", postings.COLUMNS)
def test_a_full_disk_is_told(tmp_path: Path, lamps: WordSegment, name: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / f"{name}.npy").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        merge_words(tmp_path / "m", [(lamps, None)])
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("name", postings.COLUMNS)
def test_missing_cut_and_foreign_files_are_refused(tmp_path: Path, name: str) -> None:
    write_words(tmp_path / "s", TEXTS)
    write_words(tmp_path / "other", TEXTS[:2])
    path = tmp_path / "s" / f"{name}.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError):
        WordSegment(tmp_path / "s")
    np.save(path, np.zeros(3))
    with pytest.raises(ValueError, match=f"{name}.npy holds float64 in 1 dimensions"):
        WordSegment(tmp_path / "s")
    if name != "word_lengths":
        path.write_bytes((tmp_path / "other" / f"{name}.npy").read_bytes())
        with pytest.raises(ValueError, match="do not belong together"):
            WordSegment(tmp_path / "s")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        WordSegment(tmp_path / "s")
