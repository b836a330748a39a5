# SPDX-License-Identifier: Apache-2.0
"""The contents of certificates and timestamps, for people who inspect a bundle.

Nothing is verified here.
"""

from __future__ import annotations

import datetime
import hashlib

from provenance.frozen import dataclass
from provenance.signing import certificate as certificates
from provenance.signing import timestamp_token
from provenance.signing.algorithms import UnsupportedError
from provenance.signing.certificate import NAMES, CertificateError


@dataclass(frozen=True)
class Claim:
    """A certificate extension of Fulcio, with its name in Fulcio's documentation."""

    oid: str
    name: str
    value: str


@dataclass(frozen=True)
class CertificateDescription:
    """The contents of a certificate.

    Attributes:
        sha256: The SHA-256 of its DER encoding.
        names: The subject alternative names.
        authority: The issuer of the certificate.
        serial_number: The serial number, in hex.
        not_before, not_after: The ends of its validity.
        claims: The extensions of Fulcio.
        problem: The reason why it is not a valid signing certificate, or None.
    """

    sha256: str
    names: tuple[str, ...]
    authority: str
    serial_number: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    claims: tuple[Claim, ...]
    problem: str | None


@dataclass(frozen=True)
class TimestampDescription:
    """The contents of an RFC 3161 timestamp, or the reason why it cannot be read."""

    time: datetime.datetime | None = None
    policy: str = ""
    serial_number: str = ""
    problem: str | None = None


def of_certificate(der: bytes) -> CertificateDescription:
    """Describe a certificate, as far as it can be read.

    Raises:
        CertificateError: If it is not an X.509 v3 certificate.
    """
    from cryptography import x509

    certificate = certificates.load(der)
    problem = None
    try:
        certificates.read(der)
    except (CertificateError, UnsupportedError) as e:
        problem = str(e)
    names: tuple[str, ...] = ()
    claims: dict[str, str] = {}
    try:
        extensions = certificates.extensions_of(certificate)
        claims = certificates.claims(extensions)
        subjects = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(certificates.text_of(n) or str(getattr(n, "value", n)) for n in subjects)
    except (CertificateError, x509.ExtensionNotFound):
        pass  # already described by `problem`
    return CertificateDescription(
        sha256=hashlib.sha256(der).hexdigest(),
        names=names,
        authority=certificate.issuer.rfc4514_string(),
        serial_number=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        claims=tuple(Claim(oid, NAMES[oid], value) for oid, value in claims.items()),
        problem=problem,
    )


def of_timestamp(der: bytes) -> TimestampDescription:
    """Describe a timestamp."""
    from rfc3161_client import decode_timestamp_response

    try:
        info = decode_timestamp_response(timestamp_token.in_order(der)).tst_info
        return TimestampDescription(
            info.gen_time, info.policy.dotted_string, f"{info.serial_number:x}"
        )
    except ValueError as e:
        return TimestampDescription(problem=f"it cannot be read: {e}")
