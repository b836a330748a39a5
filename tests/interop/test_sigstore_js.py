# SPDX-License-Identifier: Apache-2.0
"""sigstore-js accepts every bundle, and refuses changed files.

It does not check the subjects of a DSSE bundle. `node/verify.cjs` does, as every user of the
library must: changed files are refused by that script, and everything else by the library.
"""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path

import pytest

from tests.interop.clients import CosignSigner, SigstoreJs
from tests.interop.release import (
    REGISTRY_ROW,
    Claim,
    Release,
    der_of,
    with_one_byte_changed,
    with_one_payload_byte_changed,
)

pytestmark = pytest.mark.interop


def test_every_file_of_every_bundle_is_accepted(sigstore_js: SigstoreJs, release: Release) -> None:
    results = sigstore_js.verify(release.claims, release.keys)
    assert results == [None] * len(release.claims)
    assert len(results) >= 19


def test_a_file_with_one_byte_changed_is_refused(
    sigstore_js: SigstoreJs, production: Release, tmp_path: Path
) -> None:
    changed = [
        dataclasses.replace(c, file=with_one_byte_changed(c.file, tmp_path))
        for c in production.claims
    ]
    for claim, reason in zip(changed, sigstore_js.verify(changed, production.keys), strict=True):
        assert "no subject has the digest" in str(reason), str(claim)


def test_a_payload_with_one_byte_changed_is_refused(
    sigstore_js: SigstoreJs, production: Release, tmp_path: Path
) -> None:
    changed = [
        dataclasses.replace(c, bundle=with_one_payload_byte_changed(c.bundle, tmp_path))
        for c in production.claims
    ]
    for claim, reason in zip(changed, sigstore_js.verify(changed, production.keys), strict=True):
        assert "SIGNATURE_ERROR" in str(reason), str(claim)


def test_another_key_under_the_same_hint_is_refused(
    sigstore_js: SigstoreJs, production: Release, other_key: Path
) -> None:
    der = base64.b64encode(der_of(other_key)).decode()
    keys = dict.fromkeys(production.keys, der)
    for reason in sigstore_js.verify(production.claims, keys):
        assert "SIGNATURE_ERROR" in str(reason)


def test_a_hint_that_names_no_known_key_is_refused(
    sigstore_js: SigstoreJs, production: Release
) -> None:
    keys = {"another key": next(iter(production.keys.values()))}
    for reason in sigstore_js.verify(production.claims, keys):
        assert "PUBLIC_KEY_ERROR" in str(reason)


def test_bundle_of_cosign_has_our_key_hint(
    sigstore_js: SigstoreJs, cosign_signer: CosignSigner, reference: Release, tmp_path: Path
) -> None:
    """Our hint is the same as that of cosign, so one key map works for both."""
    file = reference.registry.parent / reference.rows[0]["onnx"]
    bundle = cosign_signer.sign_blob(file, tmp_path / "cosign.sigstore.json")
    changed = with_one_byte_changed(file, tmp_path)
    claims = [Claim(bundle, file, REGISTRY_ROW), Claim(bundle, changed, REGISTRY_ROW)]
    accepted, refused = sigstore_js.verify(claims, reference.keys)
    assert accepted is None
    assert "SIGNATURE_ERROR" in str(refused)
