"""What is wrong with a training dataset: secrets and personal data, copies, contradictions, leaks, lengths, languages.

Pure functions over rows; nothing here reads a file, loads a model or connects. Composed by `workbench/auditing.py`.
"""

from workbench.audit.detectors import Finding, find_secrets
from workbench.audit.personal import find_personal_data
from workbench.audit.scanning import Place, Scan, blocking_kinds, find_sensitive, refuse_sensitive, scan_rows

__all__ = [
    "Finding",
    "Place",
    "Scan",
    "blocking_kinds",
    "find_personal_data",
    "find_secrets",
    "find_sensitive",
    "refuse_sensitive",
    "scan_rows",
]
