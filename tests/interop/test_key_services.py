# SPDX-License-Identifier: Apache-2.0
"""Signatures with a key, timestamp and log entry of a real instance, verified by both sides."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.interop.clients import Cosign, CosignSigner
from tests.interop.instance.instance import Instance
from tests.interop.release import Release, make_unsigned, provenance, with_one_byte_changed

pytestmark = pytest.mark.interop

DATED = """\
not_before = 2020-01-01
not_after = 2100-01-01

[trust]
trusted_root = "root.json"
"""


@pytest.fixture
def unsigned(tmp_path: Path, instance: Instance, model_as_it_is: Path) -> Release:
    """A registry that trusts a key for a period, with the trusted root of the instance."""
    release = make_unsigned(tmp_path / "registry", model_as_it_is, more_trust=DATED)
    (release.root / "root.json").write_bytes(instance.trusted_root.read_bytes())
    assert provenance(release.root, "keygen", "release").returncode == 0
    return release


def sign(release: Release, *more: str | Path) -> None:
    done = provenance(release.root, "release", "--signer", "file:release.key", *more)
    assert done.returncode == 0, done.stdout + done.stderr


def material(bundle: Path) -> Any:
    return json.loads(bundle.read_bytes())["verificationMaterial"]


def test_logged_signature_verifies_here_and_with_cosign(
    unsigned: Release, instance: Instance, cosign: Cosign, tmp_path: Path
) -> None:
    sign(unsigned, "--trust-config", instance.trust_config)
    assert provenance(unsigned.root, "verify", "--offline").returncode == 0
    key, root = unsigned.public_key, instance.trusted_root
    assert len(unsigned.claims) >= 19
    for claim in unsigned.claims:
        assert len(material(claim.bundle)["tlogEntries"]) == 1
        assert cosign.verify_logged(key, claim.bundle, claim.file, root) is None, claim
    claim = unsigned.claims[0]
    changed = with_one_byte_changed(claim.file, tmp_path)
    assert cosign.verify_logged(key, claim.bundle, changed, root) is not None


def test_timestamped_signature_verifies_here_and_with_cosign(
    unsigned: Release, instance: Instance, cosign: Cosign
) -> None:
    plain = provenance(unsigned.root, "release", "--signer", "file:release.key")
    assert plain.returncode == 2
    assert "--timestamp-url" in plain.stderr
    sign(unsigned, "--timestamp-url", instance.timestamp_authority)
    assert provenance(unsigned.root, "verify", "--offline").returncode == 0
    for claim in unsigned.claims:
        assert "tlogEntries" in material(claim.bundle)
        assert cosign.verify_blob(unsigned.public_key, claim.bundle, claim.file) is None, claim
        refusal = cosign.verify_logged(
            unsigned.public_key, claim.bundle, claim.file, instance.trusted_root
        )
        assert "not enough verified log entries" in (refusal or "")


def test_logged_signature_of_cosign_verifies_and_another_log_entry_is_refused(
    unsigned: Release, instance: Instance, cosign: Cosign, tmp_path: Path
) -> None:
    folder = tmp_path / "cosign"
    folder.mkdir()
    signer = CosignSigner.of(cosign, folder, unsigned.root / "release.key", instance)
    file = unsigned.registry.parent / "quality_regressor_q_v1.onnx"
    bundles = [signer.sign_blob(file, folder / f"{n}.sigstore.json") for n in range(2)]
    statement = folder / "statement.json"
    statement.write_text(json.dumps(slsa(file)), "utf-8")
    bundles.append(signer.attest(statement, folder / "attested.sigstore.json"))
    arguments = ("verify-model", file, "--key", unsigned.public_key)
    by_root = ("--trusted-root", instance.trusted_root, "--bundle")
    for bundle in bundles:
        assert len(material(bundle)["tlogEntries"]) == 1
        done = provenance(folder, *arguments, *by_root, bundle)
        assert done.returncode == 0, done.stdout + done.stderr
    mixed = json.loads(bundles[0].read_bytes())
    mixed["verificationMaterial"]["tlogEntries"] = material(bundles[1])["tlogEntries"]
    bundles[0].write_text(json.dumps(mixed), "utf-8")
    done = provenance(folder, *arguments, *by_root, bundles[0])
    assert done.returncode == 1
    assert "its log entry is of another signature" in " ".join(done.stdout.split())


def slsa(file: Path) -> dict[str, Any]:
    """The build provenance of a file by another project."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": file.name, "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"buildDefinition": {}, "runDetails": {}},
    }
