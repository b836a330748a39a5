# SPDX-License-Identifier: Apache-2.0
"""RFC 3161 timestamps over signatures, verified with the authorities of a trusted root.

A root can list the whole chain of a timestamp authority, a part of it, or only the certificate that
issued the authority's own; the timestamp response then contains the rest. All these forms are
accepted, with the certificates in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provenance.signing import certificate as certificates
from provenance.signing.certificate import CertificateError
from provenance.signing.certificate_path import Listed, issued, may_issue
from provenance.signing.judgement import Clock, Moment
from provenance.signing.timestamp_token import TimestampError, Token
from provenance.signing.trusted_root import Authority, TrustedRoot

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

NO_ROOT_HELP = (
    "Give the trusted root of the instance: --trusted-root FILE, or trusted_root in [trust]."
)


def stamp(token: Token, signature: bytes, root: TrustedRoot) -> Moment:
    """Verify a timestamp over a signature, and return its time.

    Raises:
        TimestampError: If no authority that was trusted at that time made it over the signature.
        UnsupportedError: If its kind is not supported.
    """
    trusted = [a for a in root.timestamp_authorities if a.in_service(token.time)]
    if not trusted:
        raise TimestampError(
            "its timestamp cannot be verified: no timestamp authority was trusted at "
            f"{token.time.isoformat()}"
        )
    for authority in trusted:
        is_made_by = _made_by_path if authority.is_whole else _made_in_part
        if is_made_by(token, signature, authority):
            return Moment(token.time, Clock.TIMESTAMP)
    raise TimestampError(
        f"its timestamp of {token.time.isoformat()} was not made by an authority that was trusted "
        "then"
    )


def is_in_part(token: Token, signature: bytes, root: TrustedRoot) -> bool:
    """Return whether the token was made by an authority whose chain is incomplete in the root.

    Raises:
        UnsupportedError: If the kind of the token is not supported.
    """
    listed = (a for a in root.timestamp_authorities if not a.is_whole)
    return any(a.in_service(token.time) and _made_in_part(token, signature, a) for a in listed)


def _made_by_path(token: Token, signature: bytes, authority: Authority) -> bool:
    from rfc3161_client import VerifierBuilder

    leaf, *between, root = authority.chain
    verifier = VerifierBuilder(tsa_certificate=leaf, intermediates=between, roots=[root]).build()
    # The response may be hostile, and `rfc3161_client` passes on the exceptions of `cryptography`.
    # Only a call that returns without an exception is a success.
    try:
        return verifier.verify_message(token.response, signature)
    except Exception:
        return False


def _made_in_part(token: Token, signature: bytes, authority: Authority) -> bool:
    listed = Listed.of(authority.chain)
    signer = token.signer(list(listed.leaves))
    if signer is None:  # the root lists only the issuer; the response has the authority's own
        signer = _issued_signer(token, listed)
    if signer is None or not _may_stamp(signer, token):
        return False
    return token.is_signed_by(signer, signature)


def _issued_signer(token: Token, listed: Listed) -> Certificate | None:
    """Return the signer's certificate in a response, if it has a path to an authority, or None."""
    try:
        carried = [certificates.load(c) for c in token.certificates]
    except CertificateError:
        return None
    signer = token.signer(carried)
    if signer is None or may_issue(signer):
        return None
    below, between = signer, [c for c in carried if may_issue(c)]
    for _ in range(len(carried)):
        if any(issued(below, issuer) for issuer in listed.issuers):
            return signer
        above = [c for c in between if issued(below, c)]
        if not above or not _was_valid(above[0], token):
            return None
        below = above[0]
        between.remove(below)
    return None


def _may_stamp(certificate: Certificate, token: Token) -> bool:
    """Return whether the certificate was valid then, and is only for timestamps (RFC 3161, 2.3)."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = certificates.extension(certificate, x509.ExtendedKeyUsage)
    if usage is None:
        return False
    only = list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
    return usage.critical and only and _was_valid(certificate, token)


def _was_valid(certificate: Certificate, token: Token) -> bool:
    return certificate.not_valid_before_utc <= token.time <= certificate.not_valid_after_utc
