# SPDX-License-Identifier: Apache-2.0
"""Describe who claims to have signed a file, for a consumer who trusts no signer yet.

Nothing is verified: the description helps to decide whom to trust, and is never a verdict.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from provenance.errors import ProvenanceError
from provenance.operations import named_files
from provenance.operations.inspect import inspect
from provenance.signing import certificate as certificates
from provenance.signing.trust import GITHUB_SERVER


def claimed_signers(file: Path, bundle: Path | None = None) -> str | None:
    """Return who claims to have signed a file, with options that would trust them, or None."""
    try:
        path = bundle or named_files.bundle_of(file, lambda: named_files.sha256_of(file))
        found = inspect(path)
    except ProvenanceError:
        return None  # without a bundle, there is nothing to say; the run with a trust reports why
    says = f"{path} claims to be signed"
    if found.certificate is None:
        known = found.bundle.key_sha256
        key = f" with a key (sha256 {known})" if known is not None else " with a key"
        return f"{says}{key}. If that is the publisher's key, trust it: --key FILE"
    claims = {claim.oid: claim.value for claim in found.certificate.claims}
    subject = next(iter(found.certificate.names), "an unnamed identity")
    home = claims.get(certificates.SOURCE_REPOSITORY_URI, "")
    repo = home.removeprefix(f"{GITHUB_SERVER}/")
    if repo != home:
        ref = claims.get(certificates.SOURCE_REPOSITORY_REF, "")
        trust = f"--repo {shlex.quote(repo)}"
        return f"{says} by {subject} (ref {ref}). If that is the publisher, trust it: {trust}"
    issuer = claims.get(certificates.ISSUER) or claims.get(certificates.ISSUER_V1, "")
    trust = f"--identity {shlex.quote(subject)} --issuer {shlex.quote(issuer)}"
    return (
        f"{says} by {subject}, vouched for by {issuer}. If that is the publisher, trust it: {trust}"
    )
