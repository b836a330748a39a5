# SPDX-License-Identifier: Apache-2.0
"""Signing with a key, with timestamps and a log entry where they are wanted.

Nothing is given back that does not verify.
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
    "which counts only for some time, and without a timestamp (--timestamp-url) nothing says when "
    "it signs"
)


@dataclass(frozen=True)
class KeySigner:
    """Signs statements with one key. `services` say when it signed; None where nobody is asked."""

    key: SigningKey
    services: Services | None = None
    timeout: float = waiting.TIMEOUT

    @property
    def own(self) -> Trust:
        """Trust in this key alone."""
        root = self.services.root if self.services else None
        return Trust(OF_THIS_RUN, (self.key.public,), root=root)

    def distrusted(self, declared: Trust) -> str | None:
        """As `StatementSigner`: why this key is not trusted, or not as it signs."""
        public = self.key.public
        entries = declared.entries_of(public)
        if not entries:
            return f"the key {public.path}"
        dated = self.services is not None and self.services.states_time
        if not dated and all(k.period is not None for k in entries):
            return f"the key {public.path}, {_NEVER_DATED}"
        return None

    def has_signed(self, bundle: Bundle, declared: Trust | None) -> bool:
        """Whether this very key made the signature in `bundle`, with all that is asked now."""
        asked = self.services
        if asked is not None and (
            len(bundle.timestamps) < len(asked.timestamp_urls)
            or (asked.log is not None and bundle.entry is None)
        ):
            return False
        trust = self.own
        if declared is not None:
            # A signature from outside of the key's time is made anew.
            keys = declared.entries_of(self.key.public)
            trust = replace(trust, keys=keys, root=declared.root or trust.root)
            if trust.needs_root and trust.root is None:
                return False
        return keyed.judge(bundle, trust, None).verdict is Verdict.VALID

    def sign(self, payloads: Sequence[bytes], signed: Callable[[], None]) -> list[bytes]:
        """As `StatementSigner`; what a service answers is verified. Raises UnavailableError."""
        # Services make wait, and may be asked all at once; the key itself says how much it bears.
        threads = waiting.THREADS if self.services else self.key.scheme.threads
        return uploads.in_parallel(
            self._bundle, payloads, signed, threads=threads, timeout=self.timeout
        )

    def _bundle(self, payload: bytes) -> bytes:
        from sigstore_models.bundle.v1 import Bundle as Model

        signature = self.key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        envelope = Envelope(payload, PAYLOAD_TYPE, signature)
        timestamps: tuple[bytes, ...] = ()
        entry, asked = None, self.services
        if asked is not None:
            timestamps = tuple(services.timestamp(u, signature) for u in asked.timestamp_urls)
            if asked.log is not None:
                entry = services.entry(asked.log, envelope, self.key.public.public_key)
        bundle = Bundle(MEDIA_TYPE, envelope, self.key.public.hint, None, entry, timestamps)
        data = Model.from_dict(bundle_json(bundle)).to_json().encode("utf-8")
        if asked is not None:
            self._hold(data)
        return data

    def _hold(self, data: bytes) -> None:
        """Raises UnavailableError where what the services answered does not hold by their root."""
        try:
            judgement = keyed.judge(bundles.decode(data), self.own, None)
        except bundles.BundleError as e:
            raise UnavailableError(
                f"what the services answered cannot be used: {e}", help=waiting.AGAIN
            ) from e
        if judgement.verdict is not Verdict.VALID:
            raise UnavailableError(
                f"what the services answered does not hold: {judgement.reason}",
                help="Nothing was written. The trusted root by which they are judged is that of "
                "--trust-config, of [trust], or of the public instance: does it know them?",
            )
