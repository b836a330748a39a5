# SPDX-License-Identifier: Apache-2.0
"""Real clients accept the instance on loopback as a Sigstore instance."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.clients import Cosign
from tests.interop.command import run
from tests.interop.instance.instance import Instance
from tests.interop.instance.issuer import REF, REPOSITORY, WORKFLOW

pytestmark = pytest.mark.interop

IDENTITY = f"https://github.com/{REPOSITORY}/{WORKFLOW}@{REF}"
Client = Callable[[Instance, Path, Path], str | None]
"""Given instance, file and bundle: None, or why it refused."""


@pytest.fixture
def cosign_signs(cosign: Cosign, tmp_path: Path) -> Client:
    def sign(instance: Instance, file: Path, bundle: Path) -> str | None:
        token = tmp_path / "token"
        token.write_text(instance.token(), "utf-8")
        status, error = cosign.run(
            *("sign-blob", "--yes", "--identity-token", token),
            *("--signing-config", instance.signing_config),
            *("--trusted-root", instance.trusted_root, "--bundle", bundle, file),
        )
        return None if status == 0 else error

    return sign


@pytest.fixture
def cosign_verifies(cosign: Cosign) -> Client:
    def verify(instance: Instance, file: Path, bundle: Path) -> str | None:
        status, error = cosign.run(
            *("verify-blob", "--bundle", bundle, "--trusted-root", instance.trusted_root),
            *("--certificate-identity", IDENTITY),
            *("--certificate-oidc-issuer", instance.issuer_url, file),
        )
        return None if status == 0 else error

    return verify


def sigstore_python_signs(instance: Instance, file: Path, bundle: Path) -> str | None:
    return _sigstore(instance, "sign", "--bundle", bundle, file, token=instance.token())


def sigstore_python_verifies(instance: Instance, file: Path, bundle: Path) -> str | None:
    return _sigstore(
        instance,
        *("verify", "identity", "--bundle", bundle, "--cert-identity", IDENTITY),
        *("--cert-oidc-issuer", instance.issuer_url, file),
    )


def _sigstore(instance: Instance, *arguments: str | Path, token: str | None = None) -> str | None:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "sigstore",
        "--trust-config",
        instance.trust_config,
    ]
    identity = {} if token is None else {"SIGSTORE_IDENTITY_TOKEN": token}
    return run([*command, *arguments], identity)


@pytest.fixture(params=["cosign_signs", sigstore_python_signs], ids=["cosign", "python"])
def signs(request: pytest.FixtureRequest) -> Client:
    chosen = request.param
    client: Client = request.getfixturevalue(chosen) if isinstance(chosen, str) else chosen
    return client


@pytest.fixture(params=["cosign_verifies", sigstore_python_verifies], ids=["cosign", "python"])
def verifies(request: pytest.FixtureRequest) -> Client:
    chosen = request.param
    client: Client = request.getfixturevalue(chosen) if isinstance(chosen, str) else chosen
    return client


def test_what_one_client_signs_the_other_verifies_and_changed_bytes_nobody(
    instance: Instance, signs: Client, verifies: Client, tmp_path: Path
) -> None:
    file, bundle = tmp_path / "m.onnx", tmp_path / "m.onnx.sigstore.json"
    file.write_bytes(b"not a model, which does not matter")
    assert signs(instance, file, bundle) is None
    assert verifies(instance, file, bundle) is None
    file.write_bytes(b"other bytes")
    assert verifies(instance, file, bundle) is not None
