"""`sbom.cdx.json`: every distribution, model and data set of a bundle as CycloneDX 1.6, with licence and SHA-256.

Nothing random and no clock in it: the serial number comes from what is listed.
Source: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from workbench.airgap.wheel_files import Wheel
from workbench.models.folders import UNKNOWN_LICENCE
from workbench.runs import fingerprint


@dataclass(frozen=True, slots=True)
class Asset:
    """Something of a bundle that is no package: a model, an adapter, a collection, questions, documents."""

    name: str
    kind: Literal["model", "data"]
    sha256: str  # hex; of several files, over their names and hashes
    licence: str
    description: str


def write_sbom(name: str, version: str, wheels: Sequence[Wheel], assets: Sequence[Asset]) -> bytes:
    """Return the SBOM's text.

    Args:
        name: of the bundle.
        version: of this program.
    """
    bom = Bom()
    bom.metadata.timestamp = None  # type: ignore[assignment]  # optional in the format, written only where it is set
    components = [*map(_package, wheels), *map(_asset, assets)]
    root = Component(name=name, version=version, type=ComponentType.APPLICATION, bom_ref="bundle")
    bom.metadata.component = root
    bom.components.update(components)
    bom.register_dependency(root, components)
    here = {wheel.name: component for wheel, component in zip(wheels, components, strict=False)}
    for wheel, component in zip(wheels, components, strict=False):
        bom.register_dependency(component, _needs(wheel, here))
    listed = [[wheel.path.name, wheel.sha256] for wheel in wheels], [[one.name, one.sha256] for one in assets]
    bom.serial_number = uuid5(NAMESPACE_URL, fingerprint(name, version, listed))
    return f"{JsonV1Dot6(bom).output_as_string(indent=1)}\n".encode()


def _package(wheel: Wheel) -> Component:
    return Component(
        name=wheel.name,
        version=str(wheel.version),
        type=ComponentType.LIBRARY,
        bom_ref=f"wheel:{wheel.name}",
        purl=PackageURL("pypi", None, wheel.name, str(wheel.version)),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.sha256)],
        licenses=_licences(wheel.licence),
        properties=[Property(name="workbench:file", value=f"wheels/{wheel.path.name}")],
    )


def _asset(asset: Asset) -> Component:
    return Component(
        name=asset.name,
        type=ComponentType.MACHINE_LEARNING_MODEL if asset.kind == "model" else ComponentType.DATA,
        bom_ref=f"{asset.kind}:{asset.name}",
        description=asset.description,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=asset.sha256)],
        licenses=_licences(asset.licence),
    )


def _licences(text: str) -> list[LicenseExpression | DisjunctiveLicense] | None:
    """An SPDX id or expression where it is one, else its name; None where nothing is stated: the SBOM then has none."""
    return None if text == UNKNOWN_LICENCE else [LicenseFactory().make_from_string(text)]


def _needs(wheel: Wheel, here: dict[str, Component]) -> Iterable[Component]:
    """The packages of the bundle that a wheel names, extras' too: more than one install needs, never less."""
    from packaging.utils import canonicalize_name

    names = {str(canonicalize_name(need.name)) for need in wheel.requires}
    return [here[name] for name in sorted(names & here.keys() - {wheel.name})]
