"""What the fake server holds: documents with emoji, two runs with a real summary and an invented verdict, keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.report.decisions import decision
from tests.report.sample import sample

EMBEDDER = "bge-small-en-v1.5"
PAYLOAD = "<img src=x onerror='window.owned=1'><script>window.owned=1</script>"
NAME_PAYLOAD = "<img src=x onerror=window.owned=1>"  # no slash: it stands in paths
PUMP = """🔧🔧 Pump P-7, field notes 🧰

👩🏽‍🔧 Checked by Ilse on a wet Tuesday. 🌧️

The seal of the P-7 is changed every 900 hours. Use the blue gasket 🟦, never the grey one: it swells in glycol 🧪.

The torque of the four cover bolts is 24 Nm, crosswise. Ünïcödé and 漢字 are nothing to be afraid of.

If the pump hums and does not turn, the condenser is dead. Replace it; do not turn the shaft by hand.
"""
SEAL = PUMP.split("\n\n")[2]
BOLTS = PUMP.split("\n\n")[3]
FILLER = "The gauge is read at eye level, in daylight, after the needle has come to rest. "


@dataclass
class FakeDocument:
    """One document; passages are spans of its text in code points."""

    id: str
    title: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        n_chunks = max(1, len(self.text) // 300)
        return {
            "id": self.id,
            "title": self.title,
            "characters": len(self.text),
            "chunks": n_chunks,
            "metadata": self.metadata,
        }


@dataclass
class FakeCollection:
    """One collection, its documents in the order of their ids."""

    name: str
    origin: str = "server"
    role: str = "admin"
    documents: dict[str, FakeDocument] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "documents": len(self.documents),
            "chunks": sum(document.row()["chunks"] for document in self.documents.values()),
            "embedder": EMBEDDER,
            "generation": 3,
            "role": self.role,
            "origin": self.origin,
        }

    def search(self, query: str, depth: int) -> list[dict[str, Any]]:
        """Paragraphs by how many of the query's words they hold; the API's sources, offsets in code points."""
        words = {word.strip("?.,!").lower() for word in query.split()}
        found = []
        for document in self.documents.values():
            start = 0
            for paragraph in document.text.split("\n\n"):
                score = len(words & {word.strip("?.,!:;").lower() for word in paragraph.split()}) / (len(words) or 1)
                if score:
                    found.append((score, document, start, start + len(paragraph)))
                start += len(paragraph) + 2
        found.sort(key=lambda one: (-one[0], one[1].id, one[2]))
        return [
            self.source(document, start, end, number=number, score=score)
            for number, (score, document, start, end) in enumerate(found[:depth], start=1)
        ]

    def source(
        self, document: FakeDocument, start: int, end: int, *, number: int = 1, score: float = 0.71
    ) -> dict[str, Any]:
        return {
            "number": number,
            "collection": self.name,
            "document_id": document.id,
            "start": start,
            "end": end,
            "page": None,
            "headings": ["Field notes", "Seals"],
            "score": score,
            "cited": True,
            "text": document.text[start:end],
        }


def make_collections() -> dict[str, FakeCollection]:
    notes = FakeCollection("field-notes")
    notes.documents = {
        "notes/pump-p7.md": FakeDocument(
            "notes/pump-p7.md", "Pump P-7, field notes 🧰", PUMP, {"year": 2024, "tags": ["pump", "seal"]}
        ),
        "notes/gauge.md": FakeDocument("notes/gauge.md", "Reading gauges", FILLER * 40, {"year": 2021}),
    }
    archive = FakeCollection("archive", role="write")
    archive.documents = {
        f"scans/{number:03}.txt": FakeDocument(f"scans/{number:03}.txt", f"Scan {number}", FILLER * (1 + number % 7))
        for number in range(120)
    }
    run = FakeCollection("quickstart", origin="run", role="read")
    run.documents = {
        "doc-2": FakeDocument("doc-2", "Flute 2", "The 2nd flute of the Aurelia line is voiced in Bergen.")
    }
    return {one.name: one for one in (notes, archive, run)}


def make_models() -> list[dict[str, Any]]:
    def model(id_: str, kind: str, **more: Any) -> dict[str, Any]:
        defaults = {"strategy": "closed_book", "adapter": None, "ready": True, "collection": None}
        return {"id": id_, "object": "model", "created": 0, "owned_by": "workbench", "kind": kind} | defaults | more

    return [
        model("smollm2-135m-instruct", "base"),
        model("closed_book", "adapter", adapter="closed_book"),
        model("reader", "adapter", adapter="reader", ready=False),
        model("base", "arm"),
        model("rag", "arm", strategy="rag", collection="quickstart"),
        model("lora", "arm", adapter="closed_book"),
        model("rag_reader", "arm", strategy="rag", adapter="reader", collection="quickstart", ready=False),
        model("routed", "arm", strategy="routed", collection="quickstart"),
    ]


def make_run() -> dict[str, Any]:
    """A finished run: the summary is computed from the sample's records, the verdict is the tests' own."""
    data = sample()
    verdict = decision().model_dump(mode="json")
    return {"name": "quickstart", "summary": data.summary, "decision": verdict, "training": data.curves}


def make_questions() -> list[dict[str, Any]]:
    data = sample()
    rows: dict[str, dict[str, Any]] = {}
    for record in data.records:
        question = data.questions[record.question_id]
        row = rows.setdefault(
            question.id,
            {
                "id": question.id,
                "text": question.text,
                "kind": question.kind,
                "answers": list(question.answers),
                "arms": {},
            },
        )
        row["arms"][record.arm] = {
            "answer": record.answer,
            "f1": record.scores.get("f1"),
            "seconds": record.costs.seconds if record.costs else None,
            "passages": [
                {
                    "document_id": hit.document_id,
                    "start": hit.start,
                    "end": hit.end,
                    "text": data.passages.get((hit.document_id, hit.start, hit.end), ""),
                }
                for hit in record.hits
                if hit.in_prompt
            ],
        }
    return list(rows.values())
