"""Training datasets made from documents with no teacher model: facts, their forms, sources, filters, formats."""

from workbench.dataset.building import Built, build_rows
from workbench.dataset.facts import Fact, coverage
from workbench.dataset.filters import Criteria, Drop
from workbench.dataset.sections import read_vocabulary
from workbench.dataset.store import GeneratorCount, Manifest, StoredRows, read_dataset, read_manifest, write_dataset
from workbench.dataset.workshop import Material, Passages, Workshop, read_material

__all__ = [
    "Built",
    "Criteria",
    "Drop",
    "Fact",
    "GeneratorCount",
    "Manifest",
    "Material",
    "Passages",
    "StoredRows",
    "Workshop",
    "build_rows",
    "coverage",
    "read_dataset",
    "read_manifest",
    "read_material",
    "read_vocabulary",
    "write_dataset",
]
