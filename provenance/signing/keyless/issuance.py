# SPDX-License-Identifier: Apache-2.0
"""Verifying certificates and signatures with algorithms that `sigstore` does not support.

`sigstore` verifies only signatures of ECDSA P-256 keys. For other algorithms, this module makes the
same checks: the path to an authority of the trusted root, the promise of the transparency log, and
the signature.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.certificate_transparency import LogEntryType
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
)

from provenance.attestations.bundle import Bundle, Envelope
from provenance.attestations.statement import pre_authentication_encoding
from provenance.signing import algorithms
from provenance.signing import certificate as certificates
from provenance.signing.judgement import Moment, RefusedError
from provenance.signing.trusted_root import Authority, Log


def judge(
    bundle: Bundle,
    certificate: x509.Certificate,
    moment: Moment,
    authorities: Sequence[Authority],
    ct_log: Log,
    artifact_sha256: str | None,
) -> None:
    """Verify the certificate at the time `moment`, and that its key signed `bundle`.

    Raises:
        RefusedError: If the certificate or the signature is not valid.
        UnsupportedError: If the kind of the signature is not supported.
    """
    issuer = _issuer(certificate, moment, authorities)
    if not _is_promised(certificate, issuer, ct_log):
        raise RefusedError(
            f"the promise of the certificate's transparency log {ct_log.url} is not valid"
        )
    key, content = certificates.public_key(certificate), bundle.content
    if isinstance(content, Envelope):
        data = pre_authentication_encoding(content.payload_type, content.payload)
        signed = algorithms.is_valid(key, content.signature, data)
    else:
        digests = content.digests(artifact_sha256)
        signed = algorithms.is_valid_over_digest(key, content.signature, digests)
    if not signed:
        raise RefusedError("the signature was not made by the key of its certificate")


def _issuer(
    certificate: x509.Certificate, moment: Moment, authorities: Sequence[Authority]
) -> x509.Certificate:
    """Return the issuer of a certificate, whose whole path is in the trusted root.

    Raises:
        RefusedError: If there is no such path.
    """
    anchors = [c for a in authorities for c in a.chain]
    above, below = ExtensionPolicy.webpki_defaults_ca(), ExtensionPolicy.webpki_defaults_ee()
    usage = x509.ExtendedKeyUsage, Criticality.NON_CRITICAL, None  # checked in `certificate`
    verifier = (
        PolicyBuilder()
        .store(Store(anchors))
        .time(moment.time)
        .extension_policies(
            ca_policy=above.may_be_present(*usage), ee_policy=below.may_be_present(*usage)
        )
        .build_client_verifier()
    )
    try:
        issuer: x509.Certificate = verifier.verify(certificate, []).chain[1]
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        usages = certificates.extension(issuer, x509.ExtendedKeyUsage)
    except Exception as e:  # hostile data may raise anything; only a path is a success
        text = " ".join(str(e).split())[:200]
        raise RefusedError(
            f"its certificate was not issued by an authority that was trusted then: {text}"
        ) from e
    purposes = usages.value if usages else ()
    if not constraints.ca or ExtendedKeyUsageOID.CERTIFICATE_TRANSPARENCY in purposes:
        raise RefusedError("its certificate was not issued by a certificate authority")
    return issuer


def _is_promised(certificate: x509.Certificate, issuer: x509.Certificate, log: Log) -> bool:
    """Return whether the log promised to include the certificate (RFC 6962, section 3.2)."""
    promise = certificates.promise_of(certificate)
    precertificate = promise.entry_type is LogEntryType.PRE_CERTIFICATE
    if not precertificate or not isinstance(promise.signature_hash_algorithm, hashes.SHA256):
        return False
    _, time = certificates.promised_by(certificate)
    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    tbs, extensions = certificate.tbs_precertificate_bytes, promise.extension_bytes
    stamp = int(time.timestamp()) * 1000 + time.microsecond // 1000
    signed = (
        struct.pack("!BBQH", promise.version.value, 0, stamp, 1)
        + hashlib.sha256(key).digest()
        + len(tbs).to_bytes(3, "big")
        + tbs
        + struct.pack("!H", len(extensions))
        + extensions
    )
    return algorithms.is_valid_by(log.key_details, log.public_key, promise.signature, signed)
