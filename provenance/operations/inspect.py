# SPDX-License-Identifier: Apache-2.0
"""`inspect`: show what a bundle says, without judging its signature."""

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
    """A bundle as it was read.

    Attributes:
        path: The path of the bundle.
        bundle: The bundle.
        statement: The statement in it, or None if it signs the bytes of a file.
        certificate: The signing certificate, or None if a key signed.
        timestamps: Its timestamps.
    """

    path: str
    bundle: Bundle
    statement: Statement | None
    certificate: CertificateDescription | None = None
    timestamps: tuple[TimestampDescription, ...] = ()


def inspect(path: Path) -> Inspection:
    """Read the bundle at `path`.

    Raises:
        InputError: If the file cannot be read or is not a bundle.
    """
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
    """Describe the certificate and the timestamps of a bundle.

    Raises:
        BundleError: If the certificate is not valid X.509.
    """
    if bundle.certificate is None and not bundle.timestamps:
        return None, ()  # a bundle signed with a key needs no X.509 code
    from provenance.signing import description
    from provenance.signing.certificate import CertificateError

    try:
        certificate = bundle.certificate and description.of_certificate(bundle.certificate)
    except CertificateError as e:
        raise bundles.BundleError(f"its certificate: {e}") from e
    timestamps = tuple(description.of_timestamp(t) for t in bundle.timestamps)
    return certificate or None, timestamps
