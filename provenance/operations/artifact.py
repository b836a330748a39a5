# SPDX-License-Identifier: Apache-2.0
"""One file of any kind and its bundle, as every Sigstore client knows them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from provenance.artifacts.digest import is_sha256
from provenance.attestations.statement import StatementError, decode
from provenance.errors import InputError
from provenance.evidence.collect import evidence_of_digest
from provenance.evidence.evidence import Evidence
from provenance.evidence.rows import BundleEvidence
from provenance.gate.finding import Report
from provenance.gate.judge import judge
from provenance.gate.requirements import NOTHING
from provenance.gate.rules import Target
from provenance.operations import bundle_lines, named_files, sha384
from provenance.operations.verify_options import VerifyOptions
from provenance.signing.signers import ArtifactSigner, StatementSigner
from provenance.signing.trust import Trust

DIGEST_PREFIX: Final = "sha256:"


def verify_blob(blob: Path | str, bundle: Path, trust: Trust, options: VerifyOptions) -> Report:
    """Judge the bytes of a file, as `Verifier.blob` does.

    They are verified by a signature over them, or over an in-toto statement that has their digest
    among its subjects. Of a model `verify_model` judges more: its name, its external data, its row.
    """
    if options.require != NOTHING or options.state or options.resource_uri:
        raise InputError(
            "nothing but a signature can be required of a blob: it has no row and no release",
            help="If it is a model, verify it as one: provenance verify-model FILE",
        )
    sha256 = named_files.sha256_of(blob) if isinstance(blob, Path) else _digest(blob)

    def judged(document: BundleEvidence) -> tuple[Report, Evidence]:
        if isinstance(blob, Path):
            document = sha384.compared(document, blob, sha256)
        evidence = evidence_of_digest(str(blob), sha256, document)
        terms = options.terms(options.rooted(trust, evidence))
        return judge(evidence, None, terms, target=Target.BLOB), evidence

    return bundle_lines.judged(bundle, lambda: sha256, judged)[0]


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


def _digest(text: str) -> str:
    sha256 = text.removeprefix(DIGEST_PREFIX)
    if sha256 == text or not is_sha256(sha256):
        raise InputError(
            f"{text[:100]!r} is not a digest",
            help=f"A digest is {DIGEST_PREFIX} and 64 lower-case hexadecimal digits.",
        )
    return sha256
