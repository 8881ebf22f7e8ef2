"""`python3 install.pyz verify|install …`: what the target runs before anything is installed there.

Besides Python it needs nothing: `install.pyz` is a ZIP of this file and the few it imports, as they stand in the
project (`python3 -m zipfile -l install.pyz`). Compare its SHA-256 with the one `workbench bundle create` printed,
carried by another way than the bundle: a program that came with a bundle cannot vouch for it.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Sequence
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from workbench.airgap.checking import check_bundle
from workbench.airgap.ed25519 import read_public_key
from workbench.airgap.placing import CURRENT, install_bundle
from workbench.errors import WorkbenchError

NAME = "install.pyz"
SOURCES = (
    "__init__.py",
    "airgap/__init__.py",
    "airgap/bootstrap.py",
    "airgap/checking.py",
    "airgap/container.py",
    "airgap/ed25519.py",
    "airgap/manifest.py",
    "airgap/placing.py",
    "errors.py",
    "locking.py",
    "offline.py",
)
MAIN = """import sys

if sys.version_info < (3, 11):
    sys.exit("install: this is Python %s.%s, needed is 3.11 or newer" % sys.version_info[:2])

from workbench.airgap.bootstrap import main

sys.exit(main())
"""
TIME = (1980, 1, 1, 0, 0, 0)  # the first that a ZIP knows: the clock leaves no trace


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb that the command line names; return the exit code: 0 done, 1 refused, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        key = None if options.unsigned else read_public_key(options.key)
        if options.verb == "verify":
            checked = check_bundle(options.bundle, key=key, base=options.base, installed=options.installed)
            _say(
                f"{options.bundle}: {checked.manifest.name}, id {checked.manifest.id}, {len(checked.manifest.files)} "
                f"files, {checked.n_bytes} bytes, {describe_key(checked.key)}"
            )
        else:
            done = install_bundle(options.bundle, options.into, key=key, base=options.base, on_progress=_say)
            _say(f"installed, {describe_key(done.key)}: cd {options.into / CURRENT} && ./workbench --help")
    except (WorkbenchError, OSError) as error:
        sys.stderr.write(f"install: {error}\n")
        return 1
    return 0


def describe_key(key: str | None) -> str:
    """Return in words who vouches for a bundle."""
    return f"signed by key {key}" if key else "SIGNATURE NOT CHECKED: whole, but anybody may have made it"


def pack_bootstrap() -> bytes:
    """Return the bytes of `install.pyz`: equal sources, equal bytes; stored, not packed, so that they can be read."""
    stream, package = BytesIO(), files("workbench")
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        members = {"__main__.py": MAIN.encode()}
        members |= {f"workbench/{name}": package.joinpath(name).read_bytes() for name in SOURCES}
        for name, content in members.items():
            info = zipfile.ZipInfo(name, TIME)
            info.create_system, info.external_attr = 3, 0o644 << 16  # Unix, whatever this machine is
            archive.writestr(info, content)
    return stream.getvalue()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=NAME, description="Check a workbench bundle and install it, offline.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, help_ in (("verify", "read every byte and compare it"), ("install", "verify, install, switch to it")):
        one = verbs.add_parser(verb, help=help_)
        one.add_argument("bundle", type=Path, help="the bundle: a folder or a tar")
        believed = one.add_mutually_exclusive_group(required=True)
        believed.add_argument("--key", type=Path, help="public key that must have signed it (PEM)")
        believed.add_argument("--unsigned", action="store_true", help="ask for no signature")
        one.add_argument("--base", type=Path, help="folder of the bundle that an incremental one builds on")
        if verb == "install":
            one.add_argument("--into", type=Path, required=True, help="folder to install in")
        else:
            one.add_argument("--installed", type=Path, help="refuse a bundle older than what is installed there")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
