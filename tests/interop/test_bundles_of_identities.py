# SPDX-License-Identifier: Apache-2.0
"""Bundles of each client, signed with an identity: verified as any file, and inspected."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.interop import conformance
from tests.interop.clients import Draft
from tests.interop.credentials import Identity
from tests.interop.instance.issuer import CLAIMS
from tests.interop.matrix import Clients
from tests.interop.release import provenance, sha256_of, with_one_byte_changed

pytestmark = pytest.mark.interop

PROVENANCE = "https://slsa.dev/provenance/v1"
SIGNERS = ("cosign", "sigstore-python", "sigstore-js", "provenance")
ENTRIES = {("sigstore-js", True): "dsse 0.0.2"}
"""What the log keeps, where that is another kind than `hashedrekord 0.0.2`."""
PREDICATE = json.dumps(
    {
        "buildDefinition": {
            "buildType": "https://example.org/build",
            "externalParameters": {},
            "internalParameters": {},
            "resolvedDependencies": [],
        },
        "runDetails": {"builder": {"id": "https://example.org/builder"}},
    }
)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is not a model."""
    file = tmp_path_factory.mktemp("artifact") / "corpus.parquet"
    file.write_bytes(b"not a model, which does not matter" * 100)
    return file


@pytest.fixture(scope="module")
def statement(artifact: Path) -> Path:
    """A statement with the build provenance of the file."""
    file = artifact.parent / "statement.json"
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": artifact.name, "digest": {"sha256": sha256_of(artifact)}}],
        "predicateType": PROVENANCE,
        "predicate": json.loads(PREDICATE),
    }
    file.write_text(json.dumps(value), "utf-8")
    return file


@pytest.fixture(scope="module", params=SIGNERS)
def signer(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=[False, True], ids=["message", "statement"])
def bundle(
    request: pytest.FixtureRequest,
    signer: str,
    clients: Clients,
    identity: Identity,
    artifact: Path,
    statement: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    about: bool = request.param
    folder = tmp_path_factory.mktemp("bundle")
    made = folder / "bundle.sigstore.json"
    draft = Draft(statement if about else artifact, made, statement=about)
    match signer:
        case "cosign":
            clients.cosign.sign([draft], identity)
        case "sigstore-js":
            clients.js.sign([draft], identity)
        case "sigstore-python" if about:
            predicate = folder / "predicate.json"
            predicate.write_text(PREDICATE, "utf-8")
            clients.python.attest(artifact, made, identity, predicate, PROVENANCE)
        case "sigstore-python":
            clients.python.sign(artifact, made, identity)
        case _:
            conformance.sign(draft.file, made, identity, *(["--in-toto"] if about else []))
    return made


def test_bundle_is_verified_and_other_bytes_are_refused(
    bundle: Path, artifact: Path, identity: Identity, tmp_path: Path
) -> None:
    copy = tmp_path / artifact.name
    shutil.copy(artifact, copy)

    def verify(target: str | Path) -> int:
        options = ("--bundle", bundle, *identity.verifying)
        return provenance(tmp_path, "verify-blob", target, *options).returncode

    assert verify(copy) == 0
    assert verify(f"sha256:{sha256_of(copy)}") == 0
    assert conformance.verify(copy, bundle, identity) is None
    with_one_byte_changed(copy, tmp_path)
    assert verify(copy) == 1
    assert conformance.verify(copy, bundle, identity) is not None


def test_inspect_shows_signer_time_and_content(
    bundle: Path, signer: str, identity: Identity, artifact: Path, tmp_path: Path
) -> None:
    done = provenance(tmp_path, "inspect", bundle, "--format", "json")
    found: dict[str, Any] = json.loads(done.stdout)
    about = found["statement"] is not None
    certificate, (stamp,), entry = found["certificate"], found["timestamps"], found["logEntry"]
    assert certificate["subjectAlternativeNames"] == [identity.subject]
    assert certificate["problem"] is None
    claims = {c["name"]: c["value"] for c in certificate["extensions"]}
    assert claims["issuer"] == identity.issuer
    assert claims["source repository identifier"] == CLAIMS["repository_id"]
    assert f"{entry['kind']} {entry['version']}" == ENTRIES.get(
        (signer, about), "hashedrekord 0.0.2"
    )
    assert stamp["time"]
    if about:
        (subject,) = found["statement"]["subject"]
        assert subject == {"name": artifact.name, "digest": {"sha256": sha256_of(artifact)}}
    else:
        assert found["messageSha256"] == sha256_of(artifact)
    words = provenance(tmp_path, "inspect", bundle).stdout
    assert f"certificate: for {identity.subject}" in words
    assert "log entry: " in words
    assert "timestamp: " in words
    assert sha256_of(artifact) in words
    if about:
        assert "statement: how a file was built (SLSA provenance)" in words
        assert "builder: https://example.org/builder" in words


def test_another_identity_is_refused(
    clients: Clients, identity: Identity, artifact: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.sigstore.json"
    clients.js.sign([Draft(artifact, bundle)], identity)
    shutil.copy(artifact, tmp_path)
    subject = identity.subject.replace("v1.0.0", "v1.0.1")
    trust = ("--identity", subject, "--issuer", identity.issuer)
    root = ("--trusted-root", identity.instance.trusted_root)
    done = provenance(tmp_path, "verify-blob", artifact.name, "--bundle", bundle, *trust, *root)
    assert done.returncode == 1
    assert "SIG604" in done.stdout
