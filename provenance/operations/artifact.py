# SPDX-License-Identifier: Apache-2.0
"""Sign a single file of any kind, or a statement, so that any Sigstore client can verify it."""

from __future__ import annotations

from pathlib import Path

from provenance.attestations.statement import StatementError, decode
from provenance.errors import InputError
from provenance.operations import named_files
from provenance.signing.signers import ArtifactSigner, StatementSigner


def sign_artifact(path: Path, signer: StatementSigner) -> bytes:
    """Return a bundle (JSON) with a signature over the bytes of a file, but not over its name.

    Raises:
        InputError: If the file cannot be read, or the signer can only sign statements.
        UnavailableError: If the signer, or a service it depends on, fails.
    """
    if not isinstance(signer, ArtifactSigner):
        raise InputError(
            "this signer can only sign statements, not the bytes of a file",
            help="Sign with an identity: --signer keyless.",
        )
    return signer.sign_digest(named_files.sha256_of(path))


def sign_statement(payload: bytes, signer: StatementSigner) -> bytes:
    """Return a bundle (JSON) with an in-toto statement v1 in a DSSE envelope.

    The payload is signed byte for byte as given.

    Raises:
        InputError: If the payload is not a statement that `verify_blob` accepts.
        UnavailableError: If the signer, or a service it depends on, fails.
    """
    try:
        decode(payload)
    except StatementError as e:
        raise InputError(f"the statement cannot be signed: {e}") from e
    (bundle,) = signer.sign([payload], lambda: None)
    return bundle
