# SPDX-License-Identifier: Apache-2.0
"""The client for sigstore-conformance, on bundles of a simulated instance.

`tests/signing/test_keyless_attacks.py` has the attacks on each part of a bundle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.signing.workshop import CONTENT, SHA256, entry, flipped, instance, stranger
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.keys import KeyPair
from tests.support.sigstore.ca import email
from tests.support.sigstore.instance import ISSUER, SUBJECT, Bundle
from tests.support.sigstore.release import write

CLIENT: Final = Path(__file__).parents[1] / "interop" / "conformance-client"
IDENTITY: Final = ["--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER]


@pytest.fixture(scope="module")
def client() -> ModuleType:
    loader = SourceFileLoader("conformance_client", str(CLIENT))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = writes
    return module


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A file, with the trusted root of the instance beside it."""
    instance().write_root(tmp_path / "root.json")
    file = tmp_path / "a.txt"
    file.write_bytes(CONTENT)
    return file


def statement(**changes: Any) -> bytes:
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a.txt", "digest": {"sha256": SHA256}}],
        "predicateType": "https://example.org/any",
        "predicate": {},
    }
    return json.dumps(value | changes).encode()


def message(**how: Any) -> Bundle:
    return instance().sign_bytes(CONTENT, **how)


def dsse(payload: bytes | None = None, **how: Any) -> Bundle:
    return instance().attest(payload or statement(), **how)


def verify(
    client: ModuleType,
    artifact: Path,
    bundle: Bundle,
    target: str = "",
    *,
    options: list[str] | None = None,
) -> int:
    """Verify the artifact, or another target, and return the exit code."""
    made, root = artifact.with_name("bundle.json"), str(artifact.with_name("root.json"))
    write(made, bundle)
    trust = [*IDENTITY, "--trusted-root", root] if options is None else options
    arguments = ["verify-bundle", "--bundle", str(made), *trust, target or str(artifact)]
    code: int = client.main(arguments)
    return code


@pytest.mark.parametrize(
    "make",
    [
        message,
        lambda: message(log="v1", version="0.1"),
        lambda: message(log="v1", version="0.2"),
        lambda: dsse(log="v1"),
        lambda: dsse(log="v2 dsse"),
        lambda: dsse(log="intoto 0.0.1"),
        lambda: dsse(log="intoto 0.0.2", version="0.2", timestamps=1),
        lambda: dsse(key=ec.generate_private_key(ec.SECP384R1())),
        lambda: dsse(statement(_type="https://in-toto.io/Statement/v0.1")),
    ],
)
def test_a_valid_bundle_is_verified(
    client: ModuleType, artifact: Path, make: Callable[[], Bundle]
) -> None:
    assert verify(client, artifact, make()) == 0
    assert verify(client, artifact, make(), f"sha256:{SHA256}") == 0


def with_another_signature() -> Bundle:
    bundle = message()
    signature = bundle["messageSignature"]
    signature["signature"] = flipped(signature["signature"])
    return bundle


def without_an_inclusion_proof() -> Bundle:
    bundle = message()
    del entry(bundle)["inclusionProof"]
    return bundle


@pytest.mark.parametrize(
    "make",
    [
        with_another_signature,
        without_an_inclusion_proof,
        lambda: instance().sign_bytes(b"other"),
        lambda: dsse(statement(_type="https://in-toto.io/Statement/v9")),
        lambda: dsse(statement(subject=[{"name": "a.txt", "digest": {"sha256": "0" * 64}}])),
        lambda: message(timestamps=0),
        lambda: message(request=email("mallory@example.org", ISSUER)),
        lambda: stranger().sign_bytes(CONTENT),
        dict,
    ],
)
def test_an_invalid_bundle_is_refused(
    client: ModuleType, artifact: Path, make: Callable[[], Bundle]
) -> None:
    assert verify(client, artifact, make()) == 1


def test_the_authority_is_found_by_its_signature_and_not_by_its_name(
    client: ModuleType, artifact: Path
) -> None:
    root = instance().trusted_root()
    decoy = stranger().trusted_root()["certificateAuthorities"]
    root["certificateAuthorities"] = [*decoy, *root["certificateAuthorities"]]
    artifact.with_name("root.json").write_text(json.dumps(root), "utf-8")
    assert verify(client, artifact, message()) == 0
    assert verify(client, artifact, stranger().sign_bytes(CONTENT)) == 1


@pytest.mark.parametrize("target", ["sha256:", "sha256:" + "0" * 63, "sha512:" + SHA256, "b.txt"])
def test_a_target_that_is_neither_a_digest_nor_a_file_is_an_error(
    client: ModuleType, artifact: Path, target: str
) -> None:
    assert verify(client, artifact, message(), target) == 2


def test_a_file_that_is_named_like_a_digest_is_that_file(
    client: ModuleType, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(artifact.parent)
    Path(f"sha256:{SHA256}").write_bytes(b"other")
    assert verify(client, artifact, message(), f"sha256:{SHA256}") == 1


@pytest.mark.parametrize("statements", [False, True])
def test_a_bundle_by_a_key_is_verified_by_that_key_only(
    client: ModuleType, artifact: Path, key: KeyPair, other_key: KeyPair, statements: bool
) -> None:
    bundle = dsse_bundle(statement(), key) if statements else message_bundle(CONTENT, key)
    root = ["--trusted-root", str(artifact.with_name("root.json"))]
    mine, other = ["--key", str(key.public)], ["--key", str(other_key.public)]
    assert verify(client, artifact, bundle, options=mine) == 0
    assert verify(client, artifact, bundle, options=[*mine, *root]) == 0
    assert verify(client, artifact, bundle, options=other) == 1


@pytest.mark.parametrize("options", [[], IDENTITY[:2], IDENTITY[2:], ["--key", "k", *IDENTITY]])
def test_the_signer_must_be_named_in_one_way(
    client: ModuleType, artifact: Path, options: list[str]
) -> None:
    assert verify(client, artifact, message(), options=options) == 2


def test_signing_needs_both_halves_of_an_instance(
    client: ModuleType, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", "restored afterwards")
    options = ["sign-bundle", "--identity-token", "t", "--bundle", "b.json"]
    root = str(artifact.with_name("root.json"))
    assert client.main([*options, "--trusted-root", root, str(artifact)]) == 2
    assert not Path("b.json").exists()


def test_the_executable_needs_only_the_installed_package(artifact: Path) -> None:
    write(artifact.with_name("bundle.json"), message())
    trust = [*IDENTITY, "--trusted-root", "root.json"]
    done = subprocess.run(
        [CLIENT, "verify-bundle", "--bundle", "bundle.json", *trust, artifact],
        cwd=artifact.parent,
        env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
