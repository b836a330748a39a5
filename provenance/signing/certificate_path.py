# SPDX-License-Identifier: Apache-2.0
"""The order of the certificates that a trusted root lists for one authority."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from provenance.frozen import dataclass
from provenance.signing import certificate as certificates

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True)
class Listed:
    """The certificates of an authority: leaves, which issue none, and issuers, lowest first."""

    leaves: tuple[Certificate, ...]
    issuers: tuple[Certificate, ...]

    @classmethod
    def of(cls, certificates: Sequence[Certificate]) -> Listed:
        """Sort certificates, which can be in any order."""
        leaves = tuple(c for c in certificates if not may_issue(c))
        return cls(leaves, _upwards([c for c in certificates if may_issue(c)]))

    @property
    def path(self) -> tuple[Certificate, ...]:
        """All certificates, from the leaf up to the root."""
        return (*self.leaves, *self.issuers)

    @property
    def is_whole(self) -> bool:
        """Whether the certificates are one complete path, from a leaf to a self-signed root."""
        path = self.path
        return (
            len(self.leaves) == 1
            and len(path) > 1
            and all(issued(c, above) for c, above in itertools.pairwise(path))
            and issued(path[-1], path[-1])
        )


def _upwards(certificates: Sequence[Certificate]) -> tuple[Certificate, ...]:
    ordered: list[Certificate] = []
    left = list(certificates)
    while left:
        lowest = next(
            (c for c in left if not any(o is not c and issued(o, c) for o in left)), left[0]
        )
        left = [c for c in left if c is not lowest]
        ordered.append(lowest)
    return tuple(ordered)


def issued(certificate: Certificate, issuer: Certificate) -> bool:
    """Return whether `issuer` issued the certificate, with a secure hash function."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes

    try:
        if isinstance(certificate.signature_hash_algorithm, hashes.SHA1 | hashes.MD5):
            return False
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


def may_issue(certificate: Certificate) -> bool:
    """Return whether the certificate may issue other certificates."""
    from cryptography import x509

    constraints = certificates.extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.value.ca
