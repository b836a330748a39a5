# SPDX-License-Identifier: Apache-2.0
"""What certificates and timestamps say, for people who look at a bundle. Nothing is judged."""

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
    """An extension that Fulcio wrote, by its name in Fulcio's documentation."""

    oid: str
    name: str
    value: str


@dataclass(frozen=True)
class CertificateDescription:
    """A certificate in words. `sha256` is of its DER encoding, `authority` who issued it.

    `problem` is why no signature may rest on it, None where one may.
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
    """An RFC 3161 timestamp: when, by which policy and number; or why it cannot be read."""

    time: datetime.datetime | None = None
    policy: str = ""
    serial_number: str = ""
    problem: str | None = None


def of_certificate(der: bytes) -> CertificateDescription:
    """Return what a certificate says, as far as it can be read. Raises CertificateError."""
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
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(certificates.text_of(n) or str(getattr(n, "value", n)) for n in found)
    except (CertificateError, x509.ExtensionNotFound):
        pass  # `problem` says it
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
    """What a timestamp says."""
    from rfc3161_client import decode_timestamp_response

    try:
        info = decode_timestamp_response(timestamp_token.in_order(der)).tst_info
        return TimestampDescription(
            info.gen_time, info.policy.dotted_string, f"{info.serial_number:x}"
        )
    except ValueError as e:
        return TimestampDescription(problem=f"it cannot be read: {e}")
