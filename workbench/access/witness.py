"""A file beside the keys that says there once were some: losing `keys.json` must close a server, not open it.

Without it a server whose keys were lost while it was down could not be told from one that never had any, and that one
answers this machine without a key. Whoever can delete both files can read all that the server holds anyway.
"""

from __future__ import annotations

from pathlib import Path

from workbench.runs import write_atomically

WITNESS = "keys.made"


def keys_were_made(folder: Path) -> bool:
    """Say whether a server's folder ever had keys that nobody told it to forget."""
    return (folder / WITNESS).exists()


def note_keys_made(folder: Path) -> None:
    """Write down that there are keys; once."""
    if not keys_were_made(folder):
        words = (
            "This server has had keys: without keys.json it lets nobody in and does not start.\n"
            f"To let it answer this machine without keys again: workbench keys forget {folder}\n"
        )
        write_atomically(folder / WITNESS, words, mode=0o600)


def forget_keys_made(folder: Path) -> None:
    """Let the folder count as one that never had keys."""
    (folder / WITNESS).unlink(missing_ok=True)
