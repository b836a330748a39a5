# SPDX-License-Identifier: Apache-2.0
"""One file of any kind and its bundle, as every Sigstore client knows them.

`verify_artifact` reads what others wrote, `sign_artifact` and `sign_statement` write what others
read. Releases of models bind more: `provenance.operations.sign`, `provenance.operations.verify`.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from pathlib import Path
from typing import Final

from provenance.artifacts import digest
from provenance.artifacts.digest import is_sha256
from provenance.artifacts.paths import FileError, open_named_file
from provenance.attestations.statement import StatementError, decode
from provenance.errors import InputError
from provenance.evidence.collect import evidence_of_digest, read_bundle
from provenance.evidence.rows import BundleEvidence
from provenance.gate import foreign
from provenance.gate.finding import Report
from provenance.gate.judge_artifact import judge_artifact
from provenance.operations import bundle_lines, sha384
from provenance.operations.load_evidence import today_utc
from provenance.operations.verify import read_bundle_file, rooted, with_countersignatures
from provenance.signing.roots import Instance
from provenance.signing.signer import ArtifactSigner, StatementSigner
from provenance.signing.trust import Trust

DIGEST_PREFIX: Final = "sha256:"


def verify_artifact(
    artifact: Path | str,
    trust: Trust,
    *,
    bundle: Path,
    predicate_types: Collection[str] | None = foreign.EXPECTED,
    today: datetime.date | None = None,
    instance: Instance = Instance.PRODUCTION,
    offline: bool = False,
) -> Report:
    """Judge the bytes of one file by a bundle that any client made.

    They are verified by a signature over them, or over an in-toto statement that has their digest
    among its subjects. Of a model `verify_file` judges more: its name, its external data, its row.

    Args:
        artifact: The file; or its digest, as `sha256:` and 64 lower-case hexadecimal digits.
        trust: Whose signatures count.
        bundle: The Sigstore bundle, or a file with several, one a line: one that verifies is
            enough.
        predicate_types: The types of statements that count. With None each does: what it claims is
            then for the caller to look at, who has learnt only who claims it of these bytes.
        today: The date of the judgement; by default today's, in UTC.
        instance: The public instance whose trusted root is used where `trust` names none.
        offline: Whether that root is taken as it is cached, and not refreshed.

    Raises:
        InputError: The file or its bundle does not exist, or cannot be read.
        UnavailableError: No trusted root can be had.
    """
    path = str(artifact)
    sha256, data = _sha256_of(artifact), read_bundle_file(bundle)

    def judged(document: BundleEvidence) -> Report:
        if isinstance(artifact, Path):
            document = sha384.compared(document, artifact, sha256)
        evidence = evidence_of_digest(path, sha256, document)
        by = rooted(trust, evidence, instance, offline)
        return judge_artifact(evidence, by, path, today or today_utc(), predicate_types)

    lines = bundle_lines.of(data)
    if not lines:
        return judged(with_countersignatures(bundle, data))
    each = bundle_lines.about(bundle, lines, sha256)
    return bundle_lines.best(judged(read_bundle(name, line, foreign=True)) for name, line in each)


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
    return signer.sign_digest(_sha256_of(path))


def sign_statement(payload: bytes, signer: StatementSigner) -> bytes:
    """A bundle (JSON) with an in-toto statement v1 in a DSSE envelope, byte for byte as given.

    Raises:
        InputError: It is no statement that `verify_artifact` would read.
        UnavailableError: The signer, or a service that it needs, did not do its part.
    """
    try:
        decode(payload)
    except StatementError as e:
        raise InputError(f"it cannot be signed: {e}") from e
    (bundle,) = signer.sign([payload], lambda: None)
    return bundle


def _sha256_of(artifact: Path | str) -> str:
    if isinstance(artifact, str):
        sha256 = artifact.removeprefix(DIGEST_PREFIX)
        if sha256 == artifact or not is_sha256(sha256):
            raise InputError(
                f"{artifact[:100]!r} is no digest",
                help=f"A digest is {DIGEST_PREFIX} and 64 lower-case hexadecimal digits.",
            )
        return sha256
    try:
        with open_named_file(artifact) as stream:
            return digest.of_stream(stream).sha256
    except FileError as e:
        raise InputError(f"{artifact}: {e.message}", help=e.help) from e
    except OSError as e:
        raise InputError(f"{artifact}: {e.strerror or e}") from e
