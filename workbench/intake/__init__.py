"""The intake gate: what comes from outside is judged here before any library reads it. Nothing is executed, ever.

Three doors: a model's folder, an adapter's folder, a collection's archive. Each answers with what was admitted and its
SHA-256s, or with a typed refusal. Not a virus scanner, and no judge of who made a file: origin is a bundle's signature.
"""

from workbench.intake.admission import Admitted, AdmittedCollection, admit_adapter, admit_collection, admit_model
from workbench.intake.gguf import check_gguf
from workbench.intake.json_files import read_json
from workbench.intake.walking import STAMP_FILE, is_allowed, is_document

__all__ = [
    "STAMP_FILE",
    "Admitted",
    "AdmittedCollection",
    "admit_adapter",
    "admit_collection",
    "admit_model",
    "check_gguf",
    "is_allowed",
    "is_document",
    "read_json",
]
