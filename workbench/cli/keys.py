"""The verbs of a server's keys: `workbench keys ...`, and the check of its audit log."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.app import Overrides
from workbench.errors import ConfigError

keys_app = typer.Typer(help="Keys of a server: make, list, revoke; and its audit log.", no_args_is_help=True)

Server = Annotated[
    Path, typer.Argument(metavar="SERVER", help="the server's folder, or the experiment's YAML that it serves")
]
Out = Annotated[Path | None, typer.Option(help="the run's folder, where SERVER is a YAML file; default: runs/NAME")]


def find_server_folder(server: Path, out: Path | None, overrides: list[str]) -> Path:
    """Return the folder of the server that a folder or an experiment's YAML names.

    Raises:
        ConfigError: it is neither, or options of a YAML file were given with a folder.
    """
    if server.suffix.lower() in (".yaml", ".yml"):
        from workbench.config import load_config

        config = load_config(server, overrides=overrides)
        return config.serving.folder_beside(out or Path("runs") / config.name)
    if out is not None or overrides:
        raise ConfigError(f"{server} is a folder, so --out and --set say nothing; they go with an experiment's YAML")
    if server.exists() and not server.is_dir():
        raise ConfigError(f"{server} is no folder, and no YAML file of an experiment")
    return server


@keys_app.command("create")
def create(
    server: Server,
    name: Annotated[str, typer.Argument(help="what the key is called in lists and in the audit log")],
    *,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="COLLECTION=ROLE", help="read, write or admin, of one or of '*'; repeatable"),
    ] = None,
    principals: Annotated[
        list[str] | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="sees documents that name it as reader; repeatable; '*': all documents; none: those open to everybody",
        ),
    ] = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="when it ends, in UTC")
    ] = None,
    out: Out = None,
    overrides: Overrides = [],  # noqa: B006  (typer copies defaults)
) -> None:
    """Make a key and print it: this once, since only its SHA-256 is kept."""
    from workbench.access import KeyStore

    asked = set(principals or ())
    if "*" in asked and len(asked) > 1:
        raise ConfigError("--as '*' is all documents, so no other name may stand beside it")
    facts, secret = KeyStore(find_server_folder(server, out, overrides)).create(
        name,
        parse_roles(roles or []),
        principals=None if "*" in asked else asked,
        expires=None if expires is None else expires.replace(tzinfo=UTC),
    )
    typer.echo(secret)
    note = f"key {facts.id} ({name}) is shown this once; take it back: workbench keys revoke {server} {facts.id}"
    typer.echo(note, err=True)


@keys_app.command("list")
def show(server: Server, *, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006
    """List all keys, without their secrets: id, name, state, roles, whose documents they see."""
    from workbench.access import KeyStore

    store = KeyStore(find_server_folder(server, out, overrides))
    keys = store.list()
    for facts in keys:
        state = f"revoked {facts.revoked:%Y-%m-%d}" if facts.revoked else "good" if store.is_good(facts) else "ended"
        if facts.expires and state == "good":
            state = f"good until {facts.expires:%Y-%m-%d %H:%M}"
        roles = " ".join(f"{collection}={role}" for collection, role in sorted(facts.roles.items()))
        sees = "all documents" if facts.principals is None else f"as {', '.join(facts.principals) or 'nobody'}"
        typer.echo(f"{facts.id}  {facts.name}  {state}  {roles}  {sees}  made {facts.created:%Y-%m-%d}")
    if not keys:
        store.require_those_made()
        typer.echo(f"no keys in {store.folder}: the server answers this machine alone", err=True)


@keys_app.command("revoke")
def revoke(
    server: Server,
    id_: Annotated[str, typer.Argument(metavar="ID", help="the key's id, as `workbench keys list` shows it")],
    *,
    out: Out = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Take a key back: a running server refuses it from the next request on."""
    from workbench.access import KeyStore

    facts = KeyStore(find_server_folder(server, out, overrides)).revoke(id_)
    typer.echo(f"revoked {facts.id} ({facts.name})")


@keys_app.command("forget")
def forget(server: Server, *, out: Out = None, overrides: Overrides = []) -> None:  # noqa: B006
    """Remove all keys, lost or damaged ones too: once started anew, the server answers this machine without one."""
    from workbench.access import KeyStore

    store = KeyStore(find_server_folder(server, out, overrides))
    n_keys = store.forget()
    typer.echo(f"forgot {n_keys} keys of {store.folder}; the next `workbench serve` answers this machine without one")


@keys_app.command("audit")
def audit(
    server: Server,
    *,
    noted: Annotated[
        str | None, typer.Option(help="a hash that an earlier check printed: its line must still be there")
    ] = None,
    out: Out = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Check that no line of the audit log is missing, altered or put in; 1 if one is."""
    from workbench.access import verify_log

    folder = find_server_folder(server, out, overrides) / "audit"
    if not folder.is_dir():
        raise ConfigError(f"there is no audit log in {folder}; a server that has answered makes one")
    report = verify_log(folder, noted=noted)
    for fault in report.faults:
        typer.echo(fault)
    if report.faults:
        raise typer.Exit(1)
    typer.echo(f"whole: {report.n_lines} lines in {report.n_files} files, the last one's hash is {report.last_sha256}")


def parse_roles(written: list[str]) -> dict[str, str]:
    """Return collection → role of options such as `manuals=write`.

    Raises:
        ConfigError: one is no such pair, or a collection comes twice.
    """
    roles: dict[str, str] = {}
    for one in written:
        collection, equals, role = one.partition("=")
        if not equals or collection in roles:
            fault = f"names {collection!r} twice" if equals else "is no pair"
            raise ConfigError(f"--role {one} {fault}; write --role COLLECTION=ROLE, each collection once")
        roles[collection] = role
    return roles
