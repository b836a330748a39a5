# SPDX-License-Identifier: Apache-2.0
"""What signs: a key (`key_signer`), or an identity for whom a certificate is issued (`keyless`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from provenance.attestations.bundle import Bundle
from provenance.signing.trust import Trust


class StatementSigner(Protocol):
    """Signs in-toto statements."""

    @property
    def own(self) -> Trust:
        """Trust in this signer alone: what its signatures are judged by if no trust is configured.

        An identity is known only once it has signed.
        """

    def distrusted(self, declared: Trust) -> str | None:
        """Why `declared` does not trust this signer, None where it does, or who it is is not known.

        The answer names the signer: "the key release.key", "release@example.org".
        """

    def has_signed(self, bundle: Bundle, declared: Trust | None) -> bool:
        """Whether this signer made the valid signature in `bundle`, so that it need not sign again.

        An identity has a new key with each run. What one that `declared` trusts has signed counts
        as its own.
        """

    def sign(self, payloads: Sequence[bytes], signed: Callable[[], None]) -> list[bytes]:
        """A v0.3 bundle (JSON) for each of `payloads`, in-toto statements, in a DSSE envelope.

        `signed` is called after each. All or none: nothing is given back where one failed.

        Raises:
            UnavailableError: The signer, or a service that it needs, did not do its part.
        """


@runtime_checkable
class ArtifactSigner(Protocol):
    """Signs bare files too."""

    def sign_digest(self, sha256: str) -> bytes:
        """A v0.3 bundle (JSON) with a signature over the bytes that have this digest.

        Raises:
            UnavailableError: The signer, or a service that it needs, did not do its part.
        """
