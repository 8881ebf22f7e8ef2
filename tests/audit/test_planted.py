"""Planted faults of every class are found, at least 99 in 100, and a clean set gives no alarm at all."""

import random
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from tests.audit.planting import plant
from tests.audit.rows import closed, reader, span, text
from workbench.audit import (
    AuditReport,
    Severity,
    describe_mixture,
    find_contradictions,
    find_copies,
    find_leaks,
    find_straddling,
    measure_coverage,
    measure_lengths,
    near_duplicates,
    scan_rows,
    show_masks,
)
from workbench.evaluation import normalise_answer
from workbench.rows import DatasetRow
from workbench.types import Float32, Question, Split, TrainingExample

THINGS = ("barometer", "balance", "spectrometer", "logger", "flow meter", "pump", "valve", "furnace", "lamp", "scale")
MAKERS = (
    "Oswin Kaldry",
    "Gudrun Fellowmere",
    "the northern workshop",
    "the calibration lab",
    "a clockmaker",
    "the archive",
)
PLACES = ("Orrinmouth", "Brissel", "Tarn", "the old harbour", "the second floor", "the annex", "Lower Wicken")
VERBS = ("repaired", "designed", "tested", "sold", "painted", "borrowed", "replaced", "packed", "weighed", "drew")


def clean_rows(n: int = 400) -> list[DatasetRow]:
    """Rows about different facts: no copy, no contradiction, nothing private, all English."""
    rng, rows, seen = random.Random(5), list[DatasetRow](), set[tuple[str, ...]]()
    while len(rows) < n:
        fact = (rng.choice(VERBS), rng.choice(THINGS), rng.choice(PLACES))
        if fact in seen:
            continue
        seen.add(fact)
        number, maker = len(rows), rng.choice(MAKERS)
        verb, thing, place = fact
        form = rng.choice(("Who {} the {} that stands in {}?", "By whom was it {}: the {} in {}, as the ledger says?"))
        group = f"{place}-{thing}.md"
        rows.append(
            closed(
                f"r{number}",
                form.format(verb, thing, place),
                f"{maker}, entry {number}",
                group=group,
                fact=f"f{number}",
            )
        )
    return rows


QUESTIONS = [
    Question(
        id=f"t{number}",
        text=f"Which {thing} of shelf {shelf} may visitors from {place} hold in their own hands?",
        split=Split.NEW,
        answers=("yes",),
        relevant=(span(f"new-{number}.md"),),
    )
    for number, (shelf, thing, place) in enumerate((s, t, p) for s in "ABCDEF" for t in THINGS for p in PLACES[:2])
]


def share(found: Iterable[str], planted: Iterable[str]) -> float:
    wanted = set(planted)
    return len(wanted & set(found)) / len(wanted)


def test_a_clean_set_gives_no_alarm() -> None:
    rows = clean_rows()
    report = AuditReport(
        "clean",
        describe_mixture(rows),
        scan_rows(rows),
        find_copies(rows),
        tuple(find_contradictions(rows)),
        tuple(find_straddling(rows)),
        leaks=tuple(find_leaks(rows, QUESTIONS, forbidden=[f"new-{n}.md" for n in range(120)], embed=embed_words)),
        lengths=measure_lengths([example(row.id, 40, 8) for row in rows], max_tokens=64),
    )
    assert [issue for issue in report.issues if issue.severity is not Severity.NOTE] == []
    assert not report.copies.exact and not report.copies.near


def test_exact_copies_are_found() -> None:
    rows = clean_rows()
    copies = [
        row.model_copy(update={"id": f"x-{row.id}", "question": row.question.upper() + " ", "generator": "other"})
        for row in rows[::2]
    ]
    groups = find_copies([*rows, *copies]).exact
    assert share((id_ for group in groups for id_ in group), (row.id for row in copies)) == 1.0
    assert {group for group in groups if len(group) != 2} == set()


def test_near_copies_are_found() -> None:
    rows = clean_rows()
    rng = random.Random(1)
    copies = []
    for row in rows[::2]:
        words = row.question.split()
        words.insert(rng.randrange(len(words)), rng.choice(("really", "please", "then")))
        copies.append(row.model_copy(update={"id": f"x-{row.id}", "question": " ".join(words)}))
    found = find_copies([*rows, *copies])
    assert share((second for _, second, _ in found.near), (row.id for row in copies)) >= 0.99
    assert {(a, b) for a, b, _ in found.near} <= {(row.id, f"x-{row.id}") for row in rows}


def test_no_near_pair_is_missed_and_none_is_made_up() -> None:
    rng = random.Random(2)
    words = [f"{a}{b}" for a in "bcdfghjk" for b in ("al", "en", "ir", "os")]
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 9))) for _ in range(200)]
    texts += [f"{texts[number]} {rng.choice(words)}" for number in range(60)]
    sets = [frozenset(normalise_answer(written).split()) for written in texts]
    for threshold in (0.5, 0.8, 1.0):
        wanted = {
            (i, j)
            for j in range(len(sets))
            for i in range(j)
            if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j]) - 1e-9
        }
        found = near_duplicates(texts, threshold=threshold)
        assert {(pair.first, pair.second) for pair in found} == wanted
        assert len(wanted) > 10


def test_two_codes_are_two_facts() -> None:
    asked = "What does code C-{} mean on the display of a Corvel flow meter of the second series?"
    assert near_duplicates([asked.format(123), asked.format(179)]) == []
    assert find_copies([reader("a", "Who?", ["One."], "Ann"), reader("b", "Who?", ["Two."], "Ann")]).exact == ()


def test_contradictions_are_found() -> None:
    rows = clean_rows()
    others = [row.model_copy(update={"id": f"x-{row.id}", "completion": "nobody at all"}) for row in rows[::2]]
    found = find_contradictions([*rows, *others])
    assert share((id_ for one in found for id_ in one.row_ids), (row.id for row in others)) == 1.0
    assert len(found) == len(others)
    passages = [reader("a", "Who?", ["One.", "Two."], "Ann"), reader("b", "Who?", ["Two.", "One."], "Bob")]
    assert find_contradictions(passages)[0].answers == (("Ann", ("a",)), ("Bob", ("b",)))
    assert find_contradictions([passages[0], reader("c", "Who?", ["Three."], "Bob")]) == []


def test_leaks_are_found_and_name_both_sides() -> None:
    exact = [closed(f"e{q.id}", q.text.upper(), "yes") for q in QUESTIONS[::3]]
    inside = [text(f"i{q.id}", f"As visitors ask: {q.text} They may.") for q in QUESTIONS[1::3]]
    near = [closed(f"n{q.id}", q.text.replace("may", "can"), "yes") for q in QUESTIONS[2::3]]
    documents = [closed(f"d{n}", f"Who wrote page {n}?", "Ann", sources=(span(f"new-{n}.md"),)) for n in range(40)]
    shown = [reader(f"p{n}", f"Who drew page {n}?", ["A page."], "Ann", group=f"new-{n}.md") for n in range(40)]
    forbidden = {f"new-{n}.md" for n in range(120)}
    leaks = find_leaks([*clean_rows(), *exact, *inside, *near, *documents, *shown], QUESTIONS, forbidden=forbidden)
    for rows, how in (
        (exact, "exact"),
        (inside, "exact"),
        (near, "near"),
        (documents, "document"),
        (shown, "document"),
    ):
        assert share((leak.row_id for leak in leaks if leak.how == how), (row.id for row in rows)) >= 0.99, how
    assert {(leak.row_id, leak.other) for leak in leaks if leak.how == "exact"} == {
        *((f"e{q.id}", q.id) for q in QUESTIONS[::3]),
        *((f"i{q.id}", q.id) for q in QUESTIONS[1::3]),
    }
    assert not [leak for leak in leaks if leak.row_id.startswith("r")]


def embed_words(texts: Sequence[str]) -> Float32:
    """A bag of words over a few synonyms: rewordings fall together, everything else stays apart."""
    same = {"could": "may", "guests": "visitors", "touch": "hold", "whichever": "which"}
    vectors = np.zeros((len(texts), 512), dtype=np.float32)
    for line, written in enumerate(texts):
        for word in normalise_answer(written).split():
            vectors[line, random.Random(same.get(word, word)).randrange(512)] += 1
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def test_reworded_questions_are_found_by_their_vectors() -> None:
    swaps = (("Which", "Whichever"), ("may", "could"), ("visitors", "guests"), ("hold", "touch"))
    rows = []
    for question in QUESTIONS:
        written = question.text
        for old, new in swaps:
            written = written.replace(old, new)
        rows.append(closed(f"w{question.id}", written, "yes"))
    leaks = find_leaks([*clean_rows(), *rows], QUESTIONS, embed=embed_words, closeness=0.97)
    assert share((leak.row_id for leak in leaks if leak.how == "embedding"), (row.id for row in rows)) >= 0.99
    assert all(leak.row_id == f"w{leak.other}" for leak in leaks)


def test_vectors_that_agree_are_no_leak_where_the_codes_differ() -> None:
    def embed(texts: Sequence[str]) -> Float32:
        return np.ones((len(texts), 1), dtype=np.float32)

    asked = Question(id="t", text="What is C-179?", split=Split.SEEN)
    assert find_leaks([closed("a", "And what is the meaning of C-123?", "x")], [asked], embed=embed) == []
    assert [leak.how for leak in find_leaks([closed("a", "Explain C-179!", "x")], [asked], embed=embed)] == [
        "embedding"
    ]


def test_groups_that_straddle_train_and_dev_are_found() -> None:
    rows = clean_rows()
    moved = [row.model_copy(update={"id": f"x-{row.id}", "split": Split.DEV}) for row in rows[:50]]
    found = find_straddling([*rows, *moved])
    assert {one.group for one in found} == {row.group for row in moved}
    assert share((id_ for one in found for id_ in one.dev_ids), (row.id for row in moved)) == 1.0


def test_planted_secrets_and_personal_data_stop_a_training() -> None:
    planted = [closed(f"p{n}", one.text, "yes") for n, one in enumerate(plant(9, seed=23))]
    scan = scan_rows([*clean_rows(), *planted])
    assert share((place.row_id for place in scan.places), (row.id for row in planted)) >= 0.99
    assert not [place for place in scan.places if place.row_id.startswith("r")]


def example(id_: str, n_prompt: int, n_learned: int) -> TrainingExample:
    return TrainingExample(id_, (1,) * (n_prompt + n_learned), (False,) * n_prompt + (True,) * n_learned, 0)


def test_rows_that_are_too_long_or_all_masked_are_found() -> None:
    fine = [example(f"f{n}", 20 + n % 30, 5) for n in range(300)]
    long = [example(f"l{n}", 60 + n, 10) for n in range(100)]
    masked = [example(f"m{n}", 30, 0) for n in range(50)]
    lengths = measure_lengths([*fine, *long, *masked], max_tokens=64)
    assert lengths.too_long == tuple(f"l{n}" for n in range(100))
    assert lengths.all_masked == tuple(f"m{n}" for n in range(50))
    assert (lengths.n_lost_loss_tokens, lengths.n_loss_tokens) == (1000, 300 * 5 + 1000)
    assert lengths.n_cut_answers == 100
    assert lengths.total.longest == 169
    assert sum(lengths.prompt_histogram) == sum(lengths.completion_histogram) == lengths.n_rows == 450
    assert lengths.prompt_bin * len(lengths.prompt_histogram) > 159
    assert lengths.completion_histogram[5 // lengths.completion_bin] == 300


FOREIGN = (
    ("fr", "Qui a réparé la balance qui se trouve à {} ?", "C'est l'atelier du nord qui a fait ce travail."),
    ("de", "Wer hat die Waage repariert, die in {} steht?", "Die Werkstatt im Norden hat diese Arbeit gemacht."),
    ("es", "¿Quién reparó la balanza que está en {}?", "El taller del norte hizo este trabajo el año pasado."),
    ("ru", "Кто отремонтировал весы, которые стоят в {}?", "Эту работу выполнила северная мастерская."),
)


def test_rows_in_another_language_are_found() -> None:
    planted = {
        f"{code}{n}": (code, closed(f"{code}{n}", asked.format(place), answer))
        for code, asked, answer in FOREIGN
        for n, place in enumerate(PLACES)
    }
    mixture = describe_mixture([*clean_rows(), *(row for _, row in planted.values())])
    assert share((row_id for row_id, _ in mixture.foreign), planted) >= 0.99
    assert dict(mixture.foreign) == {id_: code for id_, (code, _) in planted.items()}


def test_rows_that_teach_nothing_are_found() -> None:
    rows = [
        closed("e", "Who?", "..."),
        closed("g", "Is the lamp of Oswin Kaldry lit?", "Oswin Kaldry."),
        closed("y", "Is it, yes or no?", "no"),
    ]
    mixture = describe_mixture([*clean_rows(20), *rows])
    assert (mixture.empty, mixture.answer_in_question) == (("e",), ("g",))


def test_coverage_counts_overlapping_sources_once() -> None:
    rows = [
        closed("a", "Who?", "Ann", sources=(span("one.md", 0, 40), span("one.md", 20, 60))),
        closed("b", "Who?", "Bob", sources=(span("gone.md"),)),
    ]
    chunks = [span("one.md", 0, 50), span("one.md", 50, 100), span("two.md", 0, 100)]
    coverage = measure_coverage(rows, {"one.md": 100, "two.md": 100}, chunks)
    assert (coverage.n_touched_documents, coverage.n_touched_characters, coverage.n_touched_chunks) == (1, 60, 2)
    assert (coverage.untouched, coverage.unknown) == (("two.md",), ("gone.md",))


@pytest.mark.parametrize("whole", ["naïve café", "plain"])
def test_a_mask_shows_every_character_once_and_what_is_learned(whole: str) -> None:
    tokens = tuple(whole.encode())
    row = TrainingExample("r", (1, *tokens, 2), (False, *(False,) * (len(tokens) - 1), True, True), 0)

    def decode(ids: object) -> str:
        return bytes(i for i in ids if i > 2).decode(errors="replace")  # type: ignore[attr-defined]

    (shown,) = show_masks([row], decode)
    assert "".join(piece.text for piece in shown.pieces).replace("·", "") == f"⟨1⟩{whole}⟨2⟩"
    assert [piece.learned for piece in shown.pieces] == list(row.loss_mask)
    assert shown.n_learned == 2
