# SPDX-License-Identifier: Apache-2.0
"""A release signed by a key in a PKCS#11 token: all clients verify it, and no PIN leaks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.clients import Cosign, SigstoreJs
from tests.interop.instance.instance import Instance
from tests.interop.peers import Peers
from tests.interop.release import Release, make_unsigned, provenance, with_one_byte_changed
from tests.interop.softhsm import LABEL, PIN, Token

pytestmark = pytest.mark.interop

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def token(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> Token:
    return Token.make(peers.softhsm, tmp_path_factory.mktemp("softhsm"))


@pytest.fixture(scope="session")
def public_key(token: Token, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public key of the key with id 2, the default of `hsm:`."""
    return token.generate(2, tmp_path_factory.mktemp("token") / "release.pub")


@pytest.fixture
def unsigned(tmp_path: Path, public_key: Path, model_as_it_is: Path) -> Release:
    release = make_unsigned(tmp_path, model_as_it_is)
    release.public_key.write_bytes(public_key.read_bytes())
    return release


@pytest.fixture
def sign(unsigned: Release, token: Token) -> Run:
    def run(
        uri: str | None = None, *more: str | Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        arguments = ("--signer", uri or token.uri(2), "--public-key", "release.pub", *more)
        given = token.environment | {"PROVENANCE_KEY_PIN": PIN} | environment
        return provenance(unsigned.root, "release", *arguments, more=given)

    return run


def test_all_clients_verify_a_release_signed_by_a_token(
    unsigned: Release, sign: Run, cosign: Cosign, sigstore_js: SigstoreJs, tmp_path: Path
) -> None:
    done = sign()
    assert done.returncode == 0, done.stderr
    assert provenance(unsigned.root, "verify").returncode == 0
    assert len(unsigned.claims) >= 19
    key = unsigned.public_key
    refused = {str(c): cosign.verify_blob(key, c.bundle, c.file) for c in unsigned.claims}
    assert refused == dict.fromkeys(refused)
    assert set(sigstore_js.verify(unsigned.claims, unsigned.keys)) == {None}
    claim = unsigned.claims[0]
    changed = with_one_byte_changed(claim.file, tmp_path)
    assert cosign.verify_blob(key, claim.bundle, changed) is not None


def test_a_token_is_stamped_and_logged_like_any_key(
    unsigned: Release, sign: Run, cosign: Cosign, instance: Instance
) -> None:
    done = sign(None, "--trust-config", instance.trust_config)
    assert done.returncode == 0, done.stderr
    root = instance.trusted_root
    assert provenance(unsigned.root, "verify", "--trusted-root", root).returncode == 0
    for claim in unsigned.claims:
        assert cosign.verify_logged(unsigned.public_key, claim.bundle, claim.file, root) is None


def test_wrong_pin_is_tried_once_and_the_right_one_still_works(
    unsigned: Release, sign: Run
) -> None:
    for _ in range(2):  # SoftHSM locks nothing, other tokens do after three
        done = sign(PROVENANCE_KEY_PIN="000000")
        assert done.returncode == 4
        assert "the signer hsm: does not sign: PinIncorrect" in done.stderr
        assert "PROVENANCE_KEY_PIN" in done.stderr
    assert unsigned.bundles == []
    assert sign().returncode == 0


def test_missing_pin_is_an_error(unsigned: Release, sign: Run) -> None:
    done = sign(PROVENANCE_KEY_PIN="")
    assert done.returncode == 4
    assert "needs a PIN" in done.stderr
    assert unsigned.bundles == []


@pytest.mark.parametrize(
    ("uri", "environment", "reason"),
    [
        ("hsm:2?label=lost", {}, "No PKCS#11 token found for label lost"),
        (f"hsm:9?label={LABEL}", {}, "could not find ECDSA private key on the PKCS#11 token"),
        (None, {"PYKCS11LIB": "/nowhere/module.so"}, "/nowhere/module.so"),
        (None, {"PYKCS11LIB": ""}, "PYKCS11LIB environment variable must be set"),
    ],
)
def test_missing_token_changes_no_bundle(
    unsigned: Release, sign: Run, uri: str | None, environment: dict[str, str], reason: str
) -> None:
    done = sign(uri, **environment)
    assert done.returncode == 4
    assert reason in done.stderr
    assert "  next: Check that the token is connected" in done.stderr
    assert unsigned.bundles == []


def test_another_key_of_the_same_token_is_refused(
    unsigned: Release, sign: Run, token: Token, tmp_path: Path
) -> None:
    token.generate(3, tmp_path / "third.pub")
    done = sign(token.uri(3))
    assert done.returncode == 4
    assert "the signer hsm: release.pub is not the public key of this signer" in done.stderr
    assert unsigned.bundles == []


def test_key_on_another_curve_is_refused(unsigned: Release, sign: Run, token: Token) -> None:
    token.generate(4, unsigned.public_key, "secp384r1")
    done = sign(token.uri(4))
    assert done.returncode == 2
    assert "expected an ECDSA P-256 key in PEM, found an ECDSA key on secp384r1" in done.stderr
    assert unsigned.bundles == []


def test_pin_is_in_no_file_and_no_output(unsigned: Release, sign: Run) -> None:
    done = sign(None, "-v")
    assert done.returncode == 0
    written = b"".join(p.read_bytes() for p in unsigned.root.rglob("*") if p.is_file())
    assert PIN.encode() not in written + done.stdout.encode() + done.stderr.encode()
