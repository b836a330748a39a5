# SPDX-License-Identifier: Apache-2.0
"""Whose signatures count.

Trust is always somebody's decision, and `source` says whose: the configuration of the tree, or
what the person who verifies has given. It is shown in every result.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from provenance.signing import pem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


@dataclass(frozen=True)
class TrustedKey:
    """A public key whose signatures count. `path` is where it was read, for messages."""

    path: str
    public_key: EllipticCurvePublicKey

    @classmethod
    def of_pem(cls, data: bytes, path: str) -> TrustedKey:
        """Raises InputError where `data` is not an ECDSA P-256 public key."""
        return cls(path, pem.load_public_key(data, path))

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of its DER SubjectPublicKeyInfo, lower-case hex."""
        return pem.fingerprint(self.public_key)

    @cached_property
    def hint(self) -> str:
        """How a bundle names it."""
        return pem.hint(self.public_key)


@dataclass(frozen=True)
class Trust:
    """The trusted signers, and where that trust comes from."""

    source: str
    keys: tuple[TrustedKey, ...]

    def key_for(self, hint: str) -> TrustedKey | None:
        """The trusted key that a bundle's hint names."""
        return next((k for k in self.keys if k.hint == hint), None)
