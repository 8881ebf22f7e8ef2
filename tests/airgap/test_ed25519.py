"""The verifier of the bootstrap against RFC 8032's vectors and against `cryptography`, whatever is wrong."""

import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workbench.airgap import keys
from workbench.airgap.ed25519 import IDENTITY, L, P, _multiply, _recover_x, read_public_key, verify
from workbench.errors import BundleError

# RFC 8032, 7.1: public key, message, signature
VECTORS = {
    "1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
        "55141438e7a100b",
    ),
    "2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
        "00d291612bb0c00",
    ),
    "3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
        "027beceea1ec40a",
    ),
    "SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2"
        "a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad"
        "9bef1177331a704",
    ),
}


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS.keys())
def test_the_rfcs_vectors_verify_and_no_changed_one_does(vector: tuple[str, str, str]) -> None:
    key, message, signature = (bytes.fromhex(text) for text in vector)
    assert verify(key, message, signature)
    assert not verify(key, message + b"\0", signature)
    for place in (0, 31, 32, 62):
        changed = bytearray(signature)
        changed[place] ^= 1
        assert not verify(key, message, bytes(changed))
    assert not verify(bytes([key[0] ^ 1]) + key[1:], message, signature)


def test_it_agrees_with_the_library_on_random_keys_and_random_damage() -> None:
    draw = random.Random(7)
    verdicts = []
    for _ in range(60):
        key = Ed25519PrivateKey.from_private_bytes(draw.randbytes(32))
        public, message = key.public_key().public_bytes_raw(), draw.randbytes(draw.randrange(200))
        parts = [bytearray(public), bytearray(message), bytearray(key.sign(message))]
        damaged = draw.choice([None, *range(3)])
        if damaged is not None and parts[damaged]:
            parts[damaged][draw.randrange(len(parts[damaged]))] ^= 1 << draw.randrange(8)
        arguments = (bytes(parts[0]), bytes(parts[1]), bytes(parts[2]))
        verdicts.append((verify(*arguments), keys.verify(*arguments)))
    assert all(ours == theirs for ours, theirs in verdicts)
    assert {ours for ours, _ in verdicts} == {True, False}


def test_a_second_signature_made_by_adding_the_order_is_refused() -> None:
    key, message, signature = (bytes.fromhex(text) for text in VECTORS["2"])
    s = int.from_bytes(signature[32:], "little") + L
    assert not verify(key, message, signature[:32] + s.to_bytes(32, "little"))


def test_a_key_of_small_order_which_would_sign_anything_is_refused() -> None:
    one = (1).to_bytes(32, "little")  # y = 1: the identity
    zero_s = one + bytes(32)
    assert _multiply(L, IDENTITY)[0] == 0
    assert not verify(one, b"anything", zero_s)
    assert not verify((P - 1).to_bytes(32, "little"), b"anything", zero_s)  # order 2


def test_bytes_that_are_no_point_or_not_written_in_the_one_way_are_refused() -> None:
    assert _recover_x(2, 0) is None
    key, message, signature = (bytes.fromhex(text) for text in VECTORS["1"])
    assert not verify((2).to_bytes(32, "little"), message, signature)
    assert not verify((P + 1).to_bytes(32, "little"), message, signature)
    assert not verify(key, message, signature[:-1])
    assert not verify(key[:-1], message, signature)


def test_keys_are_made_once_kept_private_and_read_by_the_bootstrap(tmp_path: Path) -> None:
    private = tmp_path / "key"
    public = keys.make_keys(private)
    assert private.stat().st_mode & 0o777 == 0o600
    assert read_public_key(public) == keys.public_half(private)
    assert verify(read_public_key(public), b"text", keys.sign(b"text", private))
    with pytest.raises(FileExistsError, match="never replaced"):
        keys.make_keys(private)
    with pytest.raises(BundleError, match="is a private key"):
        read_public_key(private)
    with pytest.raises(BundleError, match="holds no private key"):
        keys.sign(b"text", public)
    (tmp_path / "other").write_text("ssh-ed25519 AAAA")
    with pytest.raises(BundleError, match="holds no Ed25519 public key"):
        read_public_key(tmp_path / "other")
