"""Twenty tenants in one collection: a scoped search finds no foreign chunk, and scores as a private index would.

Each scope, a random filter for a random set of principals, is compared with a collection of its own that holds the
allowed documents and nothing else. Which documents are allowed is decided here by plain Python built beside the filter.
Ids and scores are compared exactly, without a tolerance.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.knowledge.fakes import IDENTITY, HashEmbedder, cut_paragraphs, embed_text, make_document
from tests.knowledge.proofs.proof import Proof, run_script, small_steps, workspace
from workbench.filters import parse_filter
from workbench.knowledge import Change, Collection
from workbench.types import Chunk, Document, Fact, Float32, Scope

N_TENANTS = 20
N_DOCUMENTS = 400
LANGUAGES = ("de", "en", "fr", "it")
WORDS = [
    f"{stem}{ending}" for stem in ("lamp", "lens", "tube", "wick", "oil", "tin") for ending in ("", "er", "ford", "ia")
]
MOST_WANTED = 20
Allows = Callable[[Document], bool]
Written = dict[str, object]


@dataclass(frozen=True, slots=True)
class Question:
    """A text to search for, and its vector."""

    text: str
    vector: Float32


def prove(full: bool) -> Iterator[Proof]:
    """Yield the one proof."""
    n_scopes, n_questions = (500, 100) if full else (5, 20)  # each question is asked of vectors and of words
    proof = Proof("tenants", f"{2 * n_scopes * n_questions} queries in {n_scopes} scopes of {N_TENANTS} tenants")
    draw = random.Random(0)
    n_hits = n_empty = 0
    with small_steps(), workspace() as folder:
        documents = [write_document(draw, number) for number in range(N_DOCUMENTS)]
        with fill_with_history(folder / "all", documents, draw) as shared:
            questions = [make_question(draw) for _ in range(4 * n_questions)]
            for number in range(n_scopes):
                scope, allows, text = draw_scope(draw)
                allowed = [document for document in documents if allows(document)]
                n_empty += not allowed
                alone = folder / f"private-{number}"
                with fill_plainly(alone, allowed) as private:
                    faults, found = compare(shared, private, scope, draw.sample(questions, n_questions), draw)
                shutil.rmtree(alone)
                proof.faults += [f"{text}: {fault}" for fault in faults]
                n_hits += found
            n_segments = len(shared.describe_index())
    proof.result = (
        f"{n_hits} hits, 0 foreign, ids and scores equal bit for bit; {n_empty} scopes empty, {n_segments} segments"
    )
    if proof.faults:
        proof.result = f"{n_hits} hits, {n_segments} segments"
    yield proof


def compare(
    shared: Collection, private: Collection, scope: Scope, questions: Sequence[Question], draw: random.Random
) -> tuple[list[str], int]:
    """Return where a scope differs from its private collection, and how many hits were compared."""
    faults: list[str] = []
    own = {chunk.id for chunk in private.all_chunks()}
    if shared.count(scope) != private.n_chunks:
        faults.append(f"{shared.count(scope)} chunks in scope, {private.n_chunks} allowed")
    n_hits = 0
    for question in questions:
        k = draw.randint(1, MOST_WANTED)
        for kind, found, wanted in (
            (
                "dense",
                shared.search_vectors(question.vector, k=k, scope=scope),
                private.search_vectors(question.vector, k=k),
            ),
            ("words", shared.search_words(question.text, k=k, scope=scope), private.search_words(question.text, k=k)),
        ):
            n_hits += len(found)
            if foreign := {id_ for id_, _ in found} - own:
                faults.append(f"{kind} search found foreign chunks: {sorted(foreign)[:3]}")
            elif found != wanted:
                faults.append(f"{kind} search for {question.text!r}, k {k}: {found[:3]} instead of {wanted[:3]}")
    return faults, n_hits


def write_document(draw: random.Random, number: int) -> Document:
    """Return a document of one tenant, of several, or of all, with facts of every type; some facts are missing."""
    text = "\n".join(" ".join(draw.choices(WORDS, k=draw.randint(2, 7))) for _ in range(draw.randint(1, 4)))
    facts: dict[str, Fact] = {
        "year": draw.randint(2000, 2009),
        "weight": draw.randint(0, 40) / 8,
        "language": draw.choice(LANGUAGES),
        "public": draw.random() < 0.5,
        "tags": tuple(draw.sample("abcdef", draw.randint(0, 3))),
        "date": f"2024-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}",
    }
    kept = {key: value for key, value in facts.items() if draw.random() < 0.9}
    share = draw.random()
    readers = None if share < 0.1 else tuple(draw.sample(list_tenants(), 1 if share < 0.8 else draw.randint(0, 3)))
    return replace(make_document(f"d{number:04}", text), title="", metadata=kept, readers=readers)


def list_tenants() -> list[str]:
    """Return the principals; one name is the beginning of another, one has a space."""
    return [f"tenant {number}" for number in range(N_TENANTS)]


def make_question(draw: random.Random) -> Question:
    """Return a question of one to five words, one of which may be in no document."""
    text = " ".join(draw.choices([*WORDS, "nowhere"], k=draw.randint(1, 5)))
    return Question(text, embed_text(text))


def draw_scope(draw: random.Random) -> tuple[Scope, Allows, str]:
    """Return a scope, which documents it allows, and how it reads."""
    written, passes = draw_filter(draw, depth=draw.randint(0, 2)) if draw.random() < 0.85 else ({}, lambda _: True)
    asking = None if draw.random() < 0.1 else frozenset(draw.sample(list_tenants(), draw.randint(0, 3)))

    def allows(document: Document) -> bool:
        return passes(document) and (
            asking is None or document.readers is None or any(reader in asking for reader in document.readers)
        )

    scope = Scope(parse_filter(written) if written else None, asking)
    return scope, allows, f"{written} for {'the owner' if asking is None else sorted(asking)}"


def draw_filter(draw: random.Random, depth: int) -> tuple[Written, Allows]:
    """Return a filter as people write it, and the same as a function."""
    if depth == 0:
        return draw_comparison(draw)
    parts = [draw_filter(draw, depth - 1) for _ in range(draw.randint(1, 3))]
    match draw.choice(("and", "or", "not")):
        case "and":
            return {"and": [one for one, _ in parts]}, lambda document: all(passes(document) for _, passes in parts)
        case "or":
            return {"or": [one for one, _ in parts]}, lambda document: any(passes(document) for _, passes in parts)
        case _:
            written, passes = parts[0]
            return {"not": written}, lambda document: not passes(document)


def draw_comparison(draw: random.Random) -> tuple[Written, Allows]:
    """Return a comparison of one key: equality, membership, a range or a tag."""
    year, weight, language = draw.randint(1999, 2010), draw.randint(0, 40) / 8, draw.choice(LANGUAGES)
    some, tag, date, public = draw.sample(LANGUAGES, 2), draw.choice("abcdefg"), "2024-06-15", draw.random() < 0.5
    choices: list[tuple[Written, Allows]] = [
        ({"year": year}, lambda one: one.metadata.get("year") == year),
        ({"public": public}, lambda one: one.metadata.get("public") is public),
        ({"language": {"in": some}}, lambda one: one.metadata.get("language") in some),
        ({"language": {"ne": language}}, lambda one: one.metadata.get("language") != language),
        ({"tags": tag}, lambda one: tag in read_tags(one)),
        ({"tags": {"in": ["a", tag]}}, lambda one: bool({"a", tag} & set(read_tags(one)))),
        ({"date": {"lt": date}}, lambda one: "date" in one.metadata and str(one.metadata["date"]) < date),
        ({"id": {"gte": "d0200"}}, lambda one: one.id >= "d0200"),
        ({"year": {"gte": year - 4, "lt": year}}, lambda one: year - 4 <= read_number(one, "year", -1) < year),
        ({"weight": {"gt": weight}}, lambda one: read_number(one, "weight", -1) > weight),
        (
            {"year": year, "language": language},
            lambda one: (one.metadata.get("year"), one.metadata.get("language")) == (year, language),
        ),
        ({"nothing": 1}, lambda _: False),
    ]
    return draw.choice(choices)


def read_tags(document: Document) -> tuple[str, ...]:
    """Return a document's tags."""
    tags = document.metadata.get("tags", ())
    return tags if isinstance(tags, tuple) else ()


def read_number(document: Document, key: str, missing: float) -> float:
    """Return one of a document's numbers."""
    value = document.metadata.get(key, missing)
    return value if isinstance(value, int | float) else missing


def cut(documents: Sequence[Document]) -> list[Chunk]:
    """Cut at line ends, without headings."""
    return [replace(chunk, headings=()) for chunk in cut_paragraphs(documents)]


def fill_plainly(folder: Path, documents: Sequence[Document]) -> Collection:
    """Return a collection made in one go."""
    collection = Collection.create(folder, IDENTITY)
    collection.update(documents, cut, HashEmbedder().embed_documents)
    return collection


def fill_with_history(folder: Path, documents: Sequence[Document], draw: random.Random) -> Collection:
    """Return a collection of the same, after additions, changes of text and of readers, and deletions."""
    collection = Collection.create(folder, IDENTITY)
    embed = HashEmbedder().embed_documents
    for start in range(0, len(documents), 80):
        part = documents[start : start + 80]
        old = [replace(one, text=f"{one.text}\nold tin", readers=("tenant 1",)) for one in part if draw.random() < 0.3]
        gone = [write_document(draw, 9000 + start + number) for number in range(10)]
        collection.apply([Change(one) for one in (*old, *gone)], cut, embed)
        collection.delete([one.id for one in gone])
        collection.apply([Change(one) for one in part], cut, embed)
    return collection


if __name__ == "__main__":
    run_script(prove)
