# SPDX-License-Identifier: Apache-2.0
"""Signing one file of any kind, or a statement, for any Sigstore client to verify."""

from __future__ import annotations

from pathlib import Path

from provenance.attestations.statement import StatementError, decode
from provenance.errors import InputError
from provenance.operations import named_files
from provenance.signing.signers import ArtifactSigner, StatementSigner


def sign_artifact(path: Path, signer: StatementSigner) -> bytes:
    """A bundle (JSON) with a signature over the bytes of a file. It binds them, and no name.

    Raises:
        InputError: The file cannot be read, or the signer signs statements only.
        UnavailableError: The signer, or a service that it needs, did not do its part.
    """
    if not isinstance(signer, ArtifactSigner):
        raise InputError(
            "this signer signs statements, and no bare files",
            help="Sign with an identity: --signer keyless.",
        )
    return signer.sign_digest(named_files.sha256_of(path))


def sign_statement(payload: bytes, signer: StatementSigner) -> bytes:
    """A bundle (JSON) with an in-toto statement v1 in a DSSE envelope, byte for byte as given.

    Raises:
        InputError: It is no statement that `verify_blob` would read.
        UnavailableError: The signer, or a service that it needs, did not do its part.
    """
    try:
        decode(payload)
    except StatementError as e:
        raise InputError(f"it cannot be signed: {e}") from e
    (bundle,) = signer.sign([payload], lambda: None)
    return bundle
