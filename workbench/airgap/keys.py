"""Make a pair of keys and sign with it, by `cryptography`: on the machine where bundles are made.

Not for the target, where `ed25519.py` verifies before anything is installed; where `cryptography` is, it verifies too.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from workbench.errors import BundleError


def make_keys(path: Path) -> Path:
    """Write a new private key (PEM, readable by its owner alone) to `path`, the public one beside it; return that path.

    Raises:
        FileExistsError: one of the files is there; a key is never replaced.
    """
    public_path = path.with_name(f"{path.name}.pub")
    for one in (path, public_path):
        if one.exists():
            raise FileExistsError(f"{one} exists, and a key is never replaced; name another file")
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(secret)
    public_path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return public_path


def sign(message: bytes, key_path: Path) -> bytes:
    """Return the Ed25519 signature (64 bytes) over `message` by the private key in a PEM file.

    Raises:
        BundleError: the file holds none, or one with a password.
    """
    return _read_private(key_path).sign(message)


def public_half(key_path: Path) -> bytes:
    """Return the public key (32 bytes) of the private key in a file. Raises as `sign`."""
    return _read_private(key_path).public_key().public_bytes_raw()


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` is by `public_key` (32 bytes): as `ed25519.verify`, at a library's speed."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it has a password
        raise BundleError(f"{path} holds no private key that can be read: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(
            f"{path} holds a {type(key).__name__}, needed is an Ed25519 key: workbench bundle keygen FILE"
        )
    return key
