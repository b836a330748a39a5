# SPDX-License-Identifier: Apache-2.0
"""cosign accepts every bundle for every signed file, and refuses changed files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop.clients import Cosign
from tests.interop.matrix import COSIGN_TYPES
from tests.interop.peers import COSIGN_VERSION
from tests.interop.release import (
    REGISTRY_ROW,
    SLSA_PROVENANCE,
    SLSA_SUMMARY,
    Release,
    with_one_byte_changed,
    with_one_payload_byte_changed,
)

pytestmark = pytest.mark.interop

WRONG_DIGEST = "provided artifact digests do not match digests in statement"
WRONG_SIGNATURE = "accepted signatures do not match threshold"
WRONG_TYPE = "invalid predicate type"


def test_the_client_is_the_pinned_version(cosign: Cosign) -> None:
    status, _ = cosign.run("version", "--json")
    assert status == 0
    assert COSIGN_VERSION.encode() in cosign.binary.read_bytes()


def test_the_release_has_every_kind_of_bundle(production: Release) -> None:
    kinds = [claim.predicate_type for claim in production.claims]
    assert (SLSA_SUMMARY, production.registry) in [
        (c.predicate_type, c.file) for c in production.claims
    ]
    assert kinds.count(REGISTRY_ROW) == 9, "five seeds, two with a second file"
    assert kinds.count(SLSA_PROVENANCE) == 5
    assert kinds.count(SLSA_SUMMARY) >= 10, "the registry and every model file"
    assert {claim.bundle for claim in production.claims} == set(production.bundles)


def test_verify_blob_accepts_every_file_of_every_bundle(cosign: Cosign, release: Release) -> None:
    key = release.public_key
    refused = {str(c): cosign.verify_blob(key, c.bundle, c.file) for c in release.claims}
    assert refused == dict.fromkeys(refused)
    assert len(refused) >= 19


def test_verify_blob_attestation_accepts_every_predicate_type(
    cosign: Cosign, release: Release
) -> None:
    key = release.public_key
    refused = {
        str(c): cosign.verify_attestation(
            key, c.bundle, c.file, COSIGN_TYPES.get(c.predicate_type, c.predicate_type)
        )
        for c in release.claims
    }
    assert refused == dict.fromkeys(refused)
    assert len(refused) >= 19


def test_the_provenance_type_is_accepted_as_a_uri_too(cosign: Cosign, production: Release) -> None:
    seeds = [c for c in production.claims if c.predicate_type == SLSA_PROVENANCE]
    assert len(seeds) == 5
    for claim in seeds:
        key = production.public_key
        assert cosign.verify_attestation(key, claim.bundle, claim.file, SLSA_PROVENANCE) is None


def test_the_command_of_the_c_consumer_accepts_every_row(cosign: Cosign, release: Release) -> None:
    """It scans the registry as text for `onnx` and then `sigstore_bundle`, and runs cosign.

    Its identity options need a certificate; with a key, --key stands in their place.
    """
    text = release.registry.read_text("utf-8")
    rows = re.findall(r'"onnx":\s*"([^"]+)".*?"sigstore_bundle":\s*"([^"]+)"', text, re.DOTALL)
    assert [onnx for onnx, _ in rows] == [row["onnx"] for row in release.rows]
    folder = release.registry.parent
    for onnx, bundle in rows:
        status, error = cosign.run(
            "verify-blob",
            f"--bundle={folder}/{bundle}",
            f"--key={release.public_key}",
            "--insecure-ignore-tlog",
            f"{folder}/{onnx}",
        )
        assert status == 0, error


def test_a_file_with_one_byte_changed_is_refused(
    cosign: Cosign, production: Release, tmp_path: Path
) -> None:
    key = production.public_key
    for claim in production.claims:
        changed, kind = with_one_byte_changed(claim.file, tmp_path), claim.predicate_type
        for reason in (
            cosign.verify_blob(key, claim.bundle, changed),
            cosign.verify_attestation(key, claim.bundle, changed, kind),
        ):
            assert WRONG_DIGEST in str(reason), str(claim)


def test_a_payload_with_one_byte_changed_is_refused(
    cosign: Cosign, production: Release, tmp_path: Path
) -> None:
    for claim in production.claims:
        changed = with_one_payload_byte_changed(claim.bundle, tmp_path)
        reason = cosign.verify_blob(production.public_key, changed, claim.file)
        assert WRONG_SIGNATURE in str(reason), str(claim)


def test_another_key_is_refused(cosign: Cosign, production: Release, other_key: Path) -> None:
    for claim in production.claims:
        reason = cosign.verify_blob(other_key, claim.bundle, claim.file)
        assert WRONG_SIGNATURE in str(reason), str(claim)


def test_another_predicate_type_is_refused(cosign: Cosign, production: Release) -> None:
    others = {
        REGISTRY_ROW: SLSA_PROVENANCE,
        SLSA_PROVENANCE: SLSA_SUMMARY,
        SLSA_SUMMARY: REGISTRY_ROW,
    }
    for claim in production.claims:
        other = others[claim.predicate_type]
        reason = cosign.verify_attestation(production.public_key, claim.bundle, claim.file, other)
        assert WRONG_TYPE in str(reason), str(claim)


def test_the_bundle_of_another_row_is_refused(cosign: Cosign, reference: Release) -> None:
    claims = [c for c in reference.claims if c.predicate_type == REGISTRY_ROW]
    for claim, other in zip(claims, claims[1:] + claims[:1], strict=True):
        if claim.bundle != other.bundle:
            reason = cosign.verify_blob(reference.public_key, other.bundle, claim.file)
            assert WRONG_DIGEST in str(reason), f"{claim} by {other.bundle.name}"
