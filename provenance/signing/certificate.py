# SPDX-License-Identifier: Apache-2.0
"""Signing certificates: what Fulcio says of the signer, and whether it says it in one way only.

Whether the certificate was issued by a trusted authority is judged in `keyless`. The extensions are
those of https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md.
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
"""The extensions by the names that Fulcio's documentation gives them."""

_RAW_STRINGS: Final = frozenset(f"{ARC}.{n}" for n in range(1, 7))
"""The older extensions hold a bare string; the others a DER UTF8String."""

_TWICE: Final = (
    (ISSUER_V1, ISSUER),
    (f"{ARC}.2", BUILD_TRIGGER),
    (f"{ARC}.3", f"{ARC}.13"),
    (f"{ARC}.6", SOURCE_REPOSITORY_REF),
)
"""What an older and a newer extension both say."""

# What a signing certificate may mark as critical: each is looked at here or by `sigstore`.
_CRITICAL: Final = ("2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37")


class CertificateError(ValueError):
    """A certificate that no signature may rest on. The message says why."""


@dataclass(frozen=True)
class Identity:
    """Who a certificate was issued to.

    Attributes:
        issuer: The OIDC issuer that vouched for the subject.
        subject: The one subject alternative name: a URI, an e-mail address, or a user name.
        extensions: What Fulcio wrote about the identity, by OID.
        not_before, not_after: When the certificate is valid; both ends count.
    """

    issuer: str
    subject: str
    extensions: Mapping[str, str]
    not_before: datetime.datetime
    not_after: datetime.datetime


def load(der: bytes) -> Certificate:
    """The certificate. Raises CertificateError."""
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
        # Read lazily, so an invalid name or time is found here.
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
    """Who the certificate names, where it is one that a release may rest on.

    Raises:
        CertificateError: It is not for signing code, names nobody or several, says two things of
            one, or demands what is not understood here.
        UnsupportedError: Its key is of a kind that is not supported.
    """
    certificate = load(der)
    extensions = extensions_of(certificate)
    for extension in extensions:
        oid = extension.oid.dotted_string
        if extension.critical and oid not in _CRITICAL:
            raise CertificateError(f"its critical extension {oid} is not known")
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
    """Return its key. Raises CertificateError, or UnsupportedError for other kinds of keys."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as e:
        raise CertificateError("its key cannot be read") from e
    algorithms.of_key(key)
    return key


def promised_by(certificate: Certificate) -> tuple[bytes, datetime.datetime]:
    """Return the id of the one log that has seen it, and when it did. Raises CertificateError."""
    promise = promise_of(certificate)
    try:
        return promise.log_id, promise.timestamp.replace(tzinfo=datetime.UTC)
    except (ValueError, OverflowError) as e:  # milliseconds in 64 bits go far beyond the year 9999
        raise CertificateError(
            "the time of its certificate transparency log is out of range"
        ) from e


def promise_of(certificate: Certificate) -> SignedCertificateTimestamp:
    """The one timestamp of a certificate transparency log in it. Raises CertificateError."""
    from cryptography import x509

    found = _find(extensions_of(certificate), x509.PrecertificateSignedCertificateTimestamps)
    promises: list[SignedCertificateTimestamp] = list(found.value) if found else []
    if len(promises) != 1:
        raise CertificateError(
            f"it holds {len(promises)} timestamps of certificate transparency logs, expected 1"
        )
    return promises[0]


def claims(extensions: Extensions) -> dict[str, str]:
    """What Fulcio wrote into a certificate, by OID. Raises CertificateError."""
    from cryptography import x509
    from cryptography.hazmat import asn1

    found: dict[str, str] = {}
    for extension in extensions:
        oid = extension.oid.dotted_string
        if oid not in NAMES or not isinstance(extension.value, x509.UnrecognizedExtension):
            continue
        raw = extension.value.value
        try:
            found[oid] = raw.decode() if oid in _RAW_STRINGS else asn1.decode_der(str, raw)
        except ValueError as e:
            raise CertificateError(f"its extension {NAMES[oid]} cannot be read") from e
    return found


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
    """Its extensions. Raises CertificateError where they cannot be read."""
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
        raise CertificateError("it does not say that it is for signing code")
    if not usage.value.digital_signature or ExtendedKeyUsageOID.CODE_SIGNING not in extended.value:
        raise CertificateError("it is not for signing code")
    constraints = _find(extensions, x509.BasicConstraints)
    if constraints is not None and (constraints.value.ca or usage.value.key_cert_sign):
        raise CertificateError("it is the certificate of an authority")


def _subject(extensions: Extensions) -> str:
    """The one name. With several, which one counted would be the choice of whoever asks."""
    from cryptography import x509

    alternatives = _find(extensions, x509.SubjectAlternativeName)
    if alternatives is None:
        raise CertificateError("it names no subject")
    names = list(alternatives.value)
    if len(names) != 1:
        raise CertificateError(f"it names {len(names)} subjects, expected 1")
    found = text_of(names[0])
    if not found:
        raise CertificateError("its subject is neither a URI, an e-mail address nor a user name")
    return found


def text_of(name: GeneralName) -> str | None:
    """Return a subject alternative name that names a signer, or None. Raises CertificateError."""
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
