"""What is wrong with a training dataset: secrets and personal data, copies, contradictions, leaks, lengths, languages.

Pure functions over rows; nothing here reads a file, loads a model or connects. Composed by `workbench/auditing.py`.
"""

from workbench.audit.contradictions import Contradiction, find_contradictions
from workbench.audit.detectors import Finding, find_secrets
from workbench.audit.duplicates import Copies, NearPair, find_copies, near_duplicates
from workbench.audit.leakage import Leak, Straddling, find_leaks, find_straddling
from workbench.audit.lengths import Lengths, measure_lengths
from workbench.audit.masks import ShownRow, show_masks
from workbench.audit.mixture import Coverage, Mixture, describe_mixture, measure_coverage
from workbench.audit.personal import find_personal_data
from workbench.audit.scanning import Place, Scan, blocking_kinds, find_sensitive, refuse_sensitive, scan_rows
from workbench.audit.verdict import AuditReport, Issue, Severity, blocking_findings

__all__ = [
    "AuditReport",
    "Contradiction",
    "Copies",
    "Coverage",
    "Finding",
    "Issue",
    "Leak",
    "Lengths",
    "Mixture",
    "NearPair",
    "Place",
    "Scan",
    "Severity",
    "ShownRow",
    "Straddling",
    "blocking_findings",
    "blocking_kinds",
    "describe_mixture",
    "find_contradictions",
    "find_copies",
    "find_leaks",
    "find_personal_data",
    "find_secrets",
    "find_sensitive",
    "find_straddling",
    "measure_coverage",
    "measure_lengths",
    "near_duplicates",
    "refuse_sensitive",
    "scan_rows",
    "show_masks",
]
