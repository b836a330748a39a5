# SPDX-License-Identifier: Apache-2.0
"""`inspect`: what a bundle says, without judging who says it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provenance.artifacts import limits
from provenance.artifacts.paths import FileError, read_named_file
from provenance.attestations import bundle as bundles
from provenance.attestations.bundle import Bundle
from provenance.attestations.statement import Statement, StatementError, decode
from provenance.errors import InputError
from provenance.frozen import dataclass

if TYPE_CHECKING:
    from provenance.signing.description import CertificateDescription, TimestampDescription


@dataclass(frozen=True)
class Inspection:
    """A bundle, the statement in it where it holds one, and what says who signed it and when."""

    path: str
    bundle: Bundle
    statement: Statement | None
    certificate: CertificateDescription | None = None
    timestamps: tuple[TimestampDescription, ...] = ()


def inspect(path: Path) -> Inspection:
    """Read the bundle at `path`. Raises InputError if it cannot be read, or is not a bundle."""
    try:
        bundle = bundles.decode(read_named_file(path, limits.BUNDLE))
        statement = None
        if isinstance(bundle.content, bundles.Envelope):
            statement = decode(bundle.content.payload, foreign=True)
        certificate, timestamps = _signer(bundle)
    except FileError as e:
        raise InputError(f"bundle {path}: {e.message}") from e
    except (bundles.BundleError, StatementError) as e:
        raise InputError(
            f"{path}: {e}", help="`inspect` reads Sigstore bundles v0.1 to v0.3."
        ) from e
    return Inspection(str(path), bundle, statement, certificate, timestamps)


def _signer(
    bundle: Bundle,
) -> tuple[CertificateDescription | None, tuple[TimestampDescription, ...]]:
    """Raises BundleError if the certificate is not valid X.509."""
    if bundle.certificate is None and not bundle.timestamps:
        return None, ()  # what a key has signed is shown without reading X.509
    from provenance.signing import description
    from provenance.signing.certificate import CertificateError

    try:
        certificate = bundle.certificate and description.of_certificate(bundle.certificate)
    except CertificateError as e:
        raise bundles.BundleError(f"its certificate: {e}") from e
    timestamps = tuple(description.of_timestamp(t) for t in bundle.timestamps)
    return certificate or None, timestamps
