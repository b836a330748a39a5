# SPDX-License-Identifier: Apache-2.0
"""Signing with a key, optionally with timestamps and a log entry.

Only bundles that verify are returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from provenance.attestations import bundle as bundles
from provenance.attestations.bundle import MEDIA_TYPE, Bundle, Envelope
from provenance.attestations.statement import PAYLOAD_TYPE, pre_authentication_encoding
from provenance.errors import UnavailableError
from provenance.frozen import dataclass
from provenance.signing import keyed, services, uploads, waiting
from provenance.signing.judgement import Verdict
from provenance.signing.key_uris import SigningKey
from provenance.signing.services import Services
from provenance.signing.sigstore_json import bundle_json
from provenance.signing.trust import OF_THIS_RUN, Trust

_NEVER_DATED: Final = (
    "which is trusted only for a period, so its signatures need a timestamp (--timestamp-url)"
)


@dataclass(frozen=True)
class KeySigner:
    """Signs statements with one key.

    Attributes:
        key: The private key.
        services: The timestamp authorities and the log for its signatures, or None.
        timeout: The time limit for signing one document, in seconds.
    """

    key: SigningKey
    services: Services | None = None
    timeout: float = waiting.TIMEOUT

    @property
    def own(self) -> Trust:
        """Trust in this key alone."""
        root = self.services.root if self.services else None
        return Trust(OF_THIS_RUN, (self.key.public,), root=root)

    def distrusted(self, declared: Trust) -> str | None:
        """As `StatementSigner`. A key that is trusted only for a period needs timestamps."""
        public = self.key.public
        entries = declared.entries_of(public)
        if not entries:
            return f"the key {public.path}"
        dated = self.services is not None and self.services.states_time
        if not dated and all(k.period is not None for k in entries):
            return f"the key {public.path}, {_NEVER_DATED}"
        return None

    def has_signed(self, bundle: Bundle, declared: Trust | None) -> bool:
        """Return whether this key made the signature in `bundle`, with the same evidence as now."""
        services = self.services
        if services is not None and (
            len(bundle.timestamps) < len(services.timestamp_urls)
            or (services.log is not None and bundle.entry is None)
        ):
            return False
        trust = self.own
        if declared is not None:
            # A signature from outside the period of the key is replaced.
            keys = declared.entries_of(self.key.public)
            trust = replace(trust, keys=keys, root=declared.root or trust.root)
            if trust.needs_root and trust.root is None:
                return False
        return keyed.judge(bundle, trust, None).verdict is Verdict.VALID

    def sign(self, payloads: Sequence[bytes], signed: Callable[[], None]) -> list[bytes]:
        """As `StatementSigner`. The answers of the services are verified.

        Raises:
            UnavailableError: If the key does not sign, or a service fails.
        """
        # Requests to services mostly wait, so many can run at once. A key limits its own threads.
        threads = waiting.THREADS if self.services else self.key.scheme.threads
        return uploads.in_parallel(
            self._bundle, payloads, signed, threads=threads, timeout=self.timeout
        )

    def _bundle(self, payload: bytes) -> bytes:
        from sigstore_models.bundle.v1 import Bundle as Model

        signature = self.key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        envelope = Envelope(payload, PAYLOAD_TYPE, signature)
        timestamps: tuple[bytes, ...] = ()
        entry, used = None, self.services
        if used is not None:
            timestamps = tuple(services.timestamp(u, signature) for u in used.timestamp_urls)
            if used.log is not None:
                entry = services.entry(used.log, envelope, self.key.public.public_key)
        bundle = Bundle(MEDIA_TYPE, envelope, self.key.public.hint, None, entry, timestamps)
        data = Model.from_dict(bundle_json(bundle)).to_json().encode("utf-8")
        if used is not None:
            self._check_evidence(data)
        return data

    def _check_evidence(self, data: bytes) -> None:
        """Verify the answers of the services with their trusted root.

        Raises:
            UnavailableError: If they are not valid.
        """
        try:
            judgement = keyed.judge(bundles.decode(data), self.own, None)
        except bundles.BundleError as e:
            raise UnavailableError(
                f"the signing services returned an unusable answer: {e}", help=waiting.AGAIN
            ) from e
        if judgement.verdict is not Verdict.VALID:
            raise UnavailableError(
                f"the signing services returned an invalid answer: {judgement.reason}",
                help="Nothing was written. Check that these services are in the trusted root: that "
                "of --trust-config, of [trust], or of the public instance.",
            )
