"""Ed25519 signatures, verified with the standard library alone: on the target nothing else is installed yet.

Not for signing, which `keys.py` leaves to `cryptography`: this code takes its time by its input, which for public
keys, messages and signatures gives nothing away.
Source: RFC 8032, section 5.1.7 (https://www.rfc-editor.org/rfc/rfc8032); points in extended coordinates, 5.1.4.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path

from workbench.errors import BundleError

P = 2**255 - 19  # the field
L = 2**252 + 27742317777372353535851937790883648493  # the group's order
D = -121665 * pow(121666, -1, P) % P
SQUARE_ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
DER_PREFIX = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of an Ed25519 key, RFC 8410
MAX_KEY_FILE_BYTES = 2**14

Point = tuple[int, int, int, int]  # X, Y, Z, T: x = X / Z, y = Y / Z, x * y = T / Z
IDENTITY: Point = (0, 1, 1, 0)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` was made with the private half of `public_key` (32 bytes).

    Stricter than the RFC in one point, as libraries are: a public key or R of small order is refused.
    """
    if len(public_key) != 32 or len(signature) != 64:
        return False
    a, r = _decompress(public_key), _decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or _has_small_order(a) or _has_small_order(r):
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    h = int.from_bytes(digest, "little") % L
    return _equal(_multiply(s, BASE), _add(r, _multiply(h, a)))


def read_public_key(path: Path) -> bytes:
    """Return the 32 bytes of a public key in PEM, as `workbench bundle keygen` and OpenSSL write it.

    Raises:
        BundleError: it is another kind of file; a private key is named as such.
    """
    with path.open("rb") as stream:
        text = stream.read(MAX_KEY_FILE_BYTES).decode("ascii", "replace")
    if "PRIVATE KEY" in text:
        raise BundleError(f"{path} is a private key, which stays where bundles are made; name the .pub file beside it")
    match = re.search(r"-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----", text)
    try:
        der = base64.b64decode("".join(match[1].split()), validate=True) if match else b""
    except binascii.Error:
        der = b""
    if len(der) != 44 or not der.startswith(DER_PREFIX):
        raise BundleError(f"{path} holds no Ed25519 public key in PEM; make a pair: workbench bundle keygen FILE")
    return der[12:]


def name_key(public_key: bytes) -> str:
    """Return a short name of a public key to be compared by eye: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def _decompress(data: bytes) -> Point | None:
    """Return the point that 32 bytes stand for (5.1.3); None: there is none, or it is not written in the one way."""
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= P:
        return None
    x = _recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _recover_x(y: int, sign: int) -> int | None:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQUARE_ROOT_OF_MINUS_1 % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if (x & 1) != sign else x


def _add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _multiply(times: int, point: Point) -> Point:
    total = IDENTITY
    while times:
        if times & 1:
            total = _add(total, point)
        point = _add(point, point)
        times >>= 1
    return total


def _equal(one: Point, other: Point) -> bool:
    return not ((one[0] * other[2] - other[0] * one[2]) % P or (one[1] * other[2] - other[1] * one[2]) % P)


def _has_small_order(point: Point) -> bool:
    return _equal(_multiply(8, point), IDENTITY)


_BASE_Y = 4 * pow(5, -1, P) % P
_BASE_X = _recover_x(_BASE_Y, 0)
assert _BASE_X is not None
BASE: Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P)
