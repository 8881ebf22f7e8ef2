"""The verbs on bundles, for machines without a network: each calls one function of `workbench/airgap/`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.app import Overrides
from workbench.errors import BundleError

if TYPE_CHECKING:
    from workbench.airgap.creating import Created

bundle_app = typer.Typer(
    help="Carry program, models and data to a machine without a network, signed.", no_args_is_help=True
)

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="the bundle: a folder or a .tar")]
Key = Annotated[Path | None, typer.Option("--key", help="the public key that must have signed it (PEM)")]
Unsigned = Annotated[bool, typer.Option("--unsigned", help="ask for no signature: anybody may have made it")]
Base = Annotated[Path | None, typer.Option("--base", help="folder of the bundle that an incremental one builds on")]


@bundle_app.command()
def create(
    config: Annotated[Path, typer.Option("--config", help="the experiment's YAML file")],
    out: Annotated[Path, typer.Option("--out", help="the bundle to make: a folder, or a file that ends with .tar")],
    *,
    run: Annotated[Path | None, typer.Option("--run", help="the run's folder; default: runs/NAME")] = None,
    collections: Annotated[
        list[Path] | None, typer.Option("--collection", help="a further collection's folder; repeatable")
    ] = None,
    corpus: Annotated[bool, typer.Option("--corpus", help="take the documents' own files along")] = False,
    python: Annotated[
        str, typer.Option("--python", help="the target's Python")
    ] = f"{sys.version_info[0]}.{sys.version_info[1]}",
    platform: Annotated[
        str | None,
        typer.Option("--platform", help="the target's platform tag; default: manylinux_2_28 of this processor"),
    ] = None,
    torch: Annotated[
        str,
        typer.Option("--torch", help="build of torch: cpu, cu128 or the like, or any: the index's own"),
    ] = "cpu",
    since: Annotated[
        Path | None, typer.Option("--since", help="an earlier bundle or its manifest.json: carry only what changed")
    ] = None,
    sign: Annotated[Path | None, typer.Option("--sign", help="private key to sign with")] = None,
    wheels: Annotated[
        Path | None, typer.Option("--wheels", help="take all wheels from this folder, ask no index")
    ] = None,
    data_licence: Annotated[
        str, typer.Option("--data-licence", help="of your questions, documents and adapters (SPDX)")
    ] = "not stated",
    overrides: Overrides = [],  # noqa: B006  (typer copies defaults)
) -> None:
    """Gather wheels, models, collections, adapters, config and questions into one bundle."""
    from workbench.config import load_config

    loaded = load_config(config, overrides=overrides)
    from workbench.airgap.creating import create_bundle
    from workbench.airgap.gathering import Wanted
    from workbench.airgap.manifest import Target
    from workbench.airgap.wheel_files import default_platform

    wanted = Wanted(
        config=loaded,
        run=run or Path("runs") / loaded.name,
        collections=tuple(collections or ()),
        with_corpus=corpus,
        data_licence=data_licence,
    )
    target = Target(python, platform or default_platform(), torch)
    created = create_bundle(
        wanted, out, target=target, torch=torch, since=since, key=sign, wheels=wheels, on_progress=_say
    )
    _show_created(created, sign)


def _show_created(created: Created, key: Path | None) -> None:
    manifest = created.manifest
    for note in created.notes:
        _say(f"note: {note}")
    for name in created.built:
        _say(f"note: {name} was built here from source, there is no wheel of it")
    for place in created.unlicensed:
        _say(f"NO LICENCE STATED: {place}")
    typer.echo(
        f"{created.out}: {manifest.name} {manifest.serial}, id {manifest.id}, {len(manifest.carried)} of "
        f"{len(manifest.files)} files, {created.n_bytes} bytes, for Python {manifest.target.python}, "
        f"{manifest.target.platform}, torch {manifest.target.torch or 'none'}"
    )
    typer.echo(f"install.pyz: SHA-256 {created.installer_sha256}")
    if key is None:
        _say("NOT SIGNED: whoever carries it can change it. Sign it: workbench bundle keygen FILE, then --sign FILE")
        return
    from workbench.airgap.ed25519 import name_key
    from workbench.airgap.keys import public_half

    typer.echo(f"signed by key {name_key(public_half(key))}")


@bundle_app.command()
def keygen(file: Annotated[Path, typer.Argument(help="where the private key goes; the public one beside it")]) -> None:
    """Make a pair of Ed25519 keys: FILE stays here, FILE.pub goes to the target by another way than bundles."""
    from workbench.airgap.ed25519 import name_key, read_public_key
    from workbench.airgap.keys import make_keys

    public = make_keys(file)
    typer.echo(f"{public}: key {name_key(read_public_key(public))}")
    typer.echo(public.read_text(encoding="ascii"), nl=False)


@bundle_app.command()
def verify(
    bundle: BundlePath,
    *,
    key: Key = None,
    unsigned: Unsigned = False,
    base: Base = None,
    installed: Annotated[
        Path | None, typer.Option("--installed", help="refuse a bundle older than what is installed there")
    ] = None,
) -> None:
    """Read every byte of a bundle and compare it with what was signed; nothing is unpacked."""
    from workbench.airgap import keys
    from workbench.airgap.bootstrap import describe_key
    from workbench.airgap.checking import check_bundle

    checked = check_bundle(
        bundle, key=_read_key(key, unsigned=unsigned), base=base, installed=installed, verify=keys.verify
    )
    manifest = checked.manifest
    typer.echo(
        f"{bundle}: {manifest.name} {manifest.serial}, id {manifest.id}, {len(manifest.files)} files, "
        f"{checked.n_bytes} bytes, {describe_key(checked.key)}"
    )


@bundle_app.command()
def install(
    bundle: BundlePath,
    into: Annotated[Path, typer.Option("--into", help="the folder to install in")],
    *,
    key: Key = None,
    unsigned: Unsigned = False,
    base: Base = None,
) -> None:
    """Verify a bundle, install it beside what is there, and switch to it; as `python3 install.pyz install` does."""
    from workbench.airgap import keys
    from workbench.airgap.bootstrap import describe_key
    from workbench.airgap.placing import CURRENT, install_bundle

    done = install_bundle(
        bundle, into, key=_read_key(key, unsigned=unsigned), base=base, verify=keys.verify, on_progress=_say
    )
    typer.echo(f"installed, {describe_key(done.key)}: cd {into / CURRENT} && ./workbench --help")


@bundle_app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="a bundle, or its manifest.json")],
    new: Annotated[Path, typer.Argument(help="a later one")],
) -> None:
    """Show what changed between two bundles, by their manifests; their files are not checked."""
    from workbench.airgap.comparing import compare_manifests, read_manifest

    found = compare_manifests(read_manifest(old), read_manifest(new))
    for line in found.settings:
        typer.echo(line)
    for mark, files in (("+", found.added), ("-", found.removed)):
        for file in files:
            typer.echo(f"{mark} {file.path} ({file.size} bytes, {file.licence})")
    for before, after in found.changed:
        typer.echo(f"~ {after.path} ({before.size} -> {after.size} bytes)")
    typer.echo(f"{found.n_same} files are the same")


def _read_key(key: Path | None, *, unsigned: bool) -> bytes | None:
    from workbench.airgap.ed25519 import read_public_key

    if (key is None) != unsigned:
        raise BundleError("say who must have signed the bundle: --key FILE.pub; or --unsigned, to ask for no signature")
    return None if key is None else read_public_key(key)


def _say(line: str) -> None:
    typer.echo(line, err=True)
