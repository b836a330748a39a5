# SPDX-License-Identifier: Apache-2.0
"""Signing certificates: what Fulcio states about the signer, and whether it is unambiguous.

`keyless` verifies that a trusted authority issued the certificate. The extensions are defined in
https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from provenance.frozen import dataclass
from provenance.signing import algorithms

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
    from cryptography.x509 import Certificate, Extension, Extensions, ExtensionType, GeneralName
    from cryptography.x509.certificate_transparency import SignedCertificateTimestamp

_Kind = TypeVar("_Kind", bound="ExtensionType")

ARC: Final = "1.3.6.1.4.1.57264.1"
ISSUER_V1: Final = f"{ARC}.1"
OTHER_NAME: Final = f"{ARC}.7"
ISSUER: Final = f"{ARC}.8"
BUILD_SIGNER_URI: Final = f"{ARC}.9"
RUNNER_ENVIRONMENT: Final = f"{ARC}.11"
SOURCE_REPOSITORY_URI: Final = f"{ARC}.12"
SOURCE_REPOSITORY_REF: Final = f"{ARC}.14"
SOURCE_REPOSITORY_ID: Final = f"{ARC}.15"
SOURCE_REPOSITORY_OWNER_ID: Final = f"{ARC}.17"
BUILD_CONFIG_URI: Final = f"{ARC}.18"
BUILD_TRIGGER: Final = f"{ARC}.20"
DEPLOYMENT_ENVIRONMENT: Final = f"{ARC}.23"

NAMES: Final[Mapping[str, str]] = {
    ISSUER_V1: "issuer (v1)",
    f"{ARC}.2": "GitHub workflow trigger",
    f"{ARC}.3": "GitHub workflow SHA",
    f"{ARC}.4": "GitHub workflow name",
    f"{ARC}.5": "GitHub workflow repository",
    f"{ARC}.6": "GitHub workflow ref",
    ISSUER: "issuer",
    BUILD_SIGNER_URI: "build signer URI",
    f"{ARC}.10": "build signer digest",
    RUNNER_ENVIRONMENT: "runner environment",
    SOURCE_REPOSITORY_URI: "source repository URI",
    f"{ARC}.13": "source repository digest",
    SOURCE_REPOSITORY_REF: "source repository ref",
    SOURCE_REPOSITORY_ID: "source repository identifier",
    f"{ARC}.16": "source repository owner URI",
    SOURCE_REPOSITORY_OWNER_ID: "source repository owner identifier",
    BUILD_CONFIG_URI: "build config URI",
    f"{ARC}.19": "build config digest",
    BUILD_TRIGGER: "build trigger",
    f"{ARC}.21": "run invocation URI",
    f"{ARC}.22": "source repository visibility at signing",
    DEPLOYMENT_ENVIRONMENT: "deployment environment",
}
"""The extensions, with their names in Fulcio's documentation."""

_RAW_STRINGS: Final = frozenset(f"{ARC}.{n}" for n in range(1, 7))
"""The older extensions, which contain a raw string. The others contain a DER UTF8String."""

_TWICE: Final = (
    (ISSUER_V1, ISSUER),
    (f"{ARC}.2", BUILD_TRIGGER),
    (f"{ARC}.3", f"{ARC}.13"),
    (f"{ARC}.6", SOURCE_REPOSITORY_REF),
)
"""Pairs of an older and a newer extension with the same meaning."""

# The extensions that a signing certificate may mark as critical. This module or `sigstore` checks
# each of them.
_CRITICAL: Final = ("2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37")


class CertificateError(ValueError):
    """A certificate that is not a valid signing certificate. The message gives the reason."""


@dataclass(frozen=True)
class Identity:
    """The identity that a certificate was issued to.

    Attributes:
        issuer: The OIDC issuer that vouched for the subject.
        subject: The only subject alternative name: a URI, an e-mail address, or a user name.
        extensions: The values of Fulcio's extensions, by OID.
        not_before, not_after: The ends of the validity of the certificate, both inclusive.
    """

    issuer: str
    subject: str
    extensions: Mapping[str, str]
    not_before: datetime.datetime
    not_after: datetime.datetime


def load(der: bytes) -> Certificate:
    """Parse a certificate.

    Raises:
        CertificateError: If it is not an X.509 v3 certificate.
    """
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
        # These are parsed on access, so that an invalid name or time is found now.
        version, _, _ = certificate.version, certificate.issuer, certificate.subject
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, x509.InvalidVersion) as e:
        raise CertificateError("it is not an X.509 certificate") from e
    if version is not x509.Version.v3:
        raise CertificateError("it is not an X.509 v3 certificate")
    if certificate.serial_number <= 0:
        raise CertificateError("its serial number is not positive (RFC 5280)")
    return certificate


def read(der: bytes) -> Identity:
    """Return the identity in a signing certificate.

    Raises:
        CertificateError: If the certificate is not for code signing, does not name exactly one
            subject, contradicts itself, or has an unknown critical extension.
        UnsupportedError: If the kind of its key is not supported.
    """
    certificate = load(der)
    extensions = extensions_of(certificate)
    for extension in extensions:
        oid = extension.oid.dotted_string
        if extension.critical and oid not in _CRITICAL:
            raise CertificateError(f"its critical extension {oid} is unknown")
    _for_signing_code(extensions)
    public_key(certificate)
    values = claims(extensions)
    for older, newer in _TWICE:
        if older in values and newer in values and values[older] != values[newer]:
            raise CertificateError(
                f"its {NAMES[newer]} is {values[newer][:120]!r} in one extension "
                f"and {values[older][:120]!r} in the other"
            )
    issuer = values.get(ISSUER, values.get(ISSUER_V1, ""))
    if not issuer:
        raise CertificateError("it names no OIDC issuer")
    return Identity(
        issuer=issuer,
        subject=_subject(extensions),
        extensions=values,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def public_key(certificate: Certificate) -> CertificatePublicKeyTypes:
    """Return the public key of a certificate.

    Raises:
        CertificateError: If the key cannot be read.
        UnsupportedError: If the kind of the key is not supported.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as e:
        raise CertificateError("its key cannot be read") from e
    algorithms.of_key(key)
    return key


def promised_by(certificate: Certificate) -> tuple[bytes, datetime.datetime]:
    """Return the id of the certificate transparency log, and the time of its promise.

    Raises:
        CertificateError: Unless there is exactly one such log, with a time in range.
    """
    promise = promise_of(certificate)
    try:
        return promise.log_id, promise.timestamp.replace(tzinfo=datetime.UTC)
    except (ValueError, OverflowError) as e:  # 64 bits of milliseconds go far beyond the year 9999
        raise CertificateError(
            "the time of its certificate transparency log is out of range"
        ) from e


def promise_of(certificate: Certificate) -> SignedCertificateTimestamp:
    """Return the only timestamp of a certificate transparency log in a certificate.

    Raises:
        CertificateError: Unless there is exactly one.
    """
    from cryptography import x509

    extension = _find(extensions_of(certificate), x509.PrecertificateSignedCertificateTimestamps)
    promises: list[SignedCertificateTimestamp] = list(extension.value) if extension else []
    if len(promises) != 1:
        raise CertificateError(
            f"it has {len(promises)} timestamps of certificate transparency logs, expected 1"
        )
    return promises[0]


def claims(extensions: Extensions) -> dict[str, str]:
    """Return the values of Fulcio's extensions, by OID.

    Raises:
        CertificateError: If a value cannot be read.
    """
    from cryptography import x509
    from cryptography.hazmat import asn1

    values: dict[str, str] = {}
    for extension in extensions:
        oid = extension.oid.dotted_string
        if oid not in NAMES or not isinstance(extension.value, x509.UnrecognizedExtension):
            continue
        raw = extension.value.value
        try:
            values[oid] = raw.decode() if oid in _RAW_STRINGS else asn1.decode_der(str, raw)
        except ValueError as e:
            raise CertificateError(f"its extension {NAMES[oid]} cannot be read") from e
    return values


def extension(certificate: Certificate, kind: type[_Kind]) -> Extension[_Kind] | None:
    """Return one extension, or None if it is missing or the extensions cannot be read."""
    try:
        return _find(extensions_of(certificate), kind)
    except CertificateError:
        return None


def _find(extensions: Extensions, kind: type[_Kind]) -> Extension[_Kind] | None:
    from cryptography import x509

    try:
        return extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def extensions_of(certificate: Certificate) -> Extensions:
    """Return the extensions of a certificate.

    Raises:
        CertificateError: If they cannot be read.
    """
    from cryptography import x509

    try:
        return certificate.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as e:
        raise CertificateError("its extensions cannot be read") from e


def _for_signing_code(extensions: Extensions) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = _find(extensions, x509.KeyUsage)
    extended = _find(extensions, x509.ExtendedKeyUsage)
    if usage is None or extended is None:
        raise CertificateError("it does not state that it is for code signing")
    if not usage.value.digital_signature or ExtendedKeyUsageOID.CODE_SIGNING not in extended.value:
        raise CertificateError("it is not for code signing")
    constraints = _find(extensions, x509.BasicConstraints)
    if constraints is not None and (constraints.value.ca or usage.value.key_cert_sign):
        raise CertificateError("it is the certificate of an authority")


def _subject(extensions: Extensions) -> str:
    """Return the only subject. With several, a verifier could choose which one counts.

    Raises:
        CertificateError: Unless there is exactly one readable subject.
    """
    from cryptography import x509

    alternatives = _find(extensions, x509.SubjectAlternativeName)
    if alternatives is None:
        raise CertificateError("it names no subject")
    names = list(alternatives.value)
    if len(names) != 1:
        raise CertificateError(f"it names {len(names)} subjects, expected 1")
    subject = text_of(names[0])
    if not subject:
        raise CertificateError("its subject is not a URI, an e-mail address or a user name")
    return subject


def text_of(name: GeneralName) -> str | None:
    """Return a subject alternative name as text, or None if its kind cannot name a signer.

    Raises:
        CertificateError: If it cannot be read.
    """
    from cryptography import x509
    from cryptography.hazmat import asn1

    if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
        return name.value
    if isinstance(name, x509.OtherName) and name.type_id.dotted_string == OTHER_NAME:
        try:
            return asn1.decode_der(str, name.value)
        except ValueError as e:
            raise CertificateError("its subject cannot be read") from e
    return None
