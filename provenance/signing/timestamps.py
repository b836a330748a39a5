# SPDX-License-Identifier: Apache-2.0
"""RFC 3161 timestamps over signatures, judged by the timestamp authorities of a trusted root.

A trusted root lists an authority in one of several forms: its certificate and everything above it
up to a self-signed root, which is what Sigstore's clients write; only a part of that, since any
certificate may be the trust anchor; only its own certificate; or only the authority above it, where
responses carry the rest. All are read, in any order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provenance.attestations.bundle import Bundle
from provenance.signing import certificate as certificates
from provenance.signing import timestamp_token
from provenance.signing.certificate import CertificateError
from provenance.signing.judgement import Clock, Moment
from provenance.signing.timestamp_token import TimestampError, Token
from provenance.signing.trusted_root import Authority, TrustedRoot

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

NO_ROOT_HELP = (
    "Give the trusted root of the instance: --trusted-root FILE, or trusted_root in [trust]."
)


@dataclass(frozen=True)
class Stamp:
    """A timestamp that holds, and the authority that made it.

    Attributes:
        moment: When the signature was made.
        authority: The authority, its own certificate first and its root last; None if it is listed
            in the trusted root in a form that other readers do not know.
    """

    moment: Moment
    authority: Authority | None


def judge(bundle: Bundle, root: TrustedRoot) -> tuple[Moment, ...]:
    """When the signature in `bundle` was made. Each timestamp has to be a trusted authority's.

    Raises:
        TimestampError: One is not.
        UnsupportedError: One is of a kind that is not supported.
    """
    signature = bundle.content.signature
    return tuple(stamp(timestamp_token.read(t), signature, root).moment for t in bundle.timestamps)


def stamp(token: Token, signature: bytes, root: TrustedRoot) -> Stamp:
    """What a timestamp says of a signature.

    Raises:
        TimestampError: No authority that was trusted at its time made it over the signature.
        UnsupportedError: It is of a kind that is not supported.
    """
    trusted = [a for a in root.timestamp_authorities if a.in_service(token.time)]
    if not trusted:
        raise TimestampError(
            "its timestamp is by no authority: no timestamp authority was trusted at "
            f"{token.time.isoformat()}"
        )
    for authority in trusted:
        chain = _Chain.of(authority)
        if chain.made(token, signature):
            form = chain.ordered() if chain.is_whole else None
            return Stamp(Moment(token.time, Clock.TIMESTAMP), form)
    raise TimestampError(
        f"its timestamp of {token.time.isoformat()} is by no authority that was trusted then"
    )


@dataclass(frozen=True)
class _Chain:
    """The certificates of an authority: those that may only sign, and those that may issue."""

    authority: Authority
    leaves: tuple[Certificate, ...]
    issuers: tuple[Certificate, ...]

    @classmethod
    def of(cls, authority: Authority) -> _Chain:
        from cryptography import x509

        found = [x509.load_der_x509_certificate(c) for c in authority.certificates]
        leaves = tuple(c for c in found if not _may_issue(c))
        return cls(authority, leaves, _upwards([c for c in found if _may_issue(c)]))

    @property
    def is_whole(self) -> bool:
        """Whether it is one certificate with everything above it up to a self-signed root."""
        path = (*self.leaves, *self.issuers)
        return (
            len(self.leaves) == 1
            and len(path) > 1
            and all(_issued(c, above) for c, above in itertools.pairwise(path))
            and _issued(path[-1], path[-1])
        )

    def ordered(self) -> Authority:
        """The authority with its own certificate first, and its root last."""
        from cryptography.hazmat.primitives.serialization import Encoding

        path = (c.public_bytes(Encoding.DER) for c in (*self.leaves, *self.issuers))
        return Authority(tuple(path), self.authority.period)

    def made(self, token: Token, signature: bytes) -> bool:
        """Whether it made the timestamp over a signature. Raises UnsupportedError."""
        if self.is_whole:
            return self._made_by_path(token, signature)
        signer = token.signer(list(self.leaves))
        if signer is None:  # the root lists who issues its certificates: the response has its own
            signer = self._issued_signer(token)
        if signer is None or not _may_stamp(signer, token):
            return False
        return token.is_signed_by(signer, signature)

    def _made_by_path(self, token: Token, signature: bytes) -> bool:
        from rfc3161_client import VerifierBuilder

        leaf, *between, root = (*self.leaves, *self.issuers)
        verifier = VerifierBuilder(
            tsa_certificate=leaf, intermediates=between, roots=[root]
        ).build()
        # What is in the response may be hostile, and `rfc3161_client` raises what `cryptography`
        # does: only a return without an exception is a yes.
        try:
            return verifier.verify_message(token.response, signature)
        except Exception:
            return False

    def _issued_signer(self, token: Token) -> Certificate | None:
        """The signer's certificate in a response, if a path leads from it to this authority."""
        try:
            carried = [certificates.load(c) for c in token.certificates]
        except CertificateError:
            return None
        signer = token.signer(carried)
        if signer is None or _may_issue(signer):
            return None
        below, between = signer, [c for c in carried if _may_issue(c)]
        for _ in range(len(carried)):
            if any(_issued(below, issuer) for issuer in self.issuers):
                return signer
            above = [c for c in between if c is not below and _issued(below, c)]
            if not above or not _was_valid(above[0], token):
                return None
            below = above[0]
            between.remove(below)
        return None


def _upwards(certificates: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """Certificates of authorities, each before the one that issued it."""
    found: list[Certificate] = []
    left = list(certificates)
    while left:
        lowest = next(
            (c for c in left if not any(o is not c and _issued(o, c) for o in left)), left[0]
        )
        left = [c for c in left if c is not lowest]
        found.append(lowest)
    return tuple(found)


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether `issuer` issued the certificate, with a hash function that counts."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes

    try:
        if isinstance(certificate.signature_hash_algorithm, hashes.SHA1 | hashes.MD5):
            return False
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


def _may_issue(certificate: Certificate) -> bool:
    from cryptography import x509

    constraints = certificates.extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.value.ca


def _may_stamp(certificate: Certificate, token: Token) -> bool:
    """Whether it was valid then, and is for timestamps and nothing else (RFC 3161, section 2.3)."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = certificates.extension(certificate, x509.ExtendedKeyUsage)
    if usage is None:
        return False
    only = list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
    return usage.critical and only and _was_valid(certificate, token)


def _was_valid(certificate: Certificate, token: Token) -> bool:
    return certificate.not_valid_before_utc <= token.time <= certificate.not_valid_after_utc
