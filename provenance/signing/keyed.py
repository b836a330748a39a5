# SPDX-License-Identifier: Apache-2.0
"""Judging a bundle's signature against trusted keys.

With `cryptography` alone: it is what a consumer waits for, and there is one algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from provenance.attestations.bundle import Bundle, Envelope
from provenance.attestations.dsse import pre_authentication_encoding
from provenance.signing import log_body
from provenance.signing.judgement import Judgement, Moment, Signer, Verdict
from provenance.signing.trust import Trust, TrustedKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


def judge(bundle: Bundle, trust: Trust, artifact_sha256: str | None) -> Judgement:
    """Whether a trusted key made the signature in `bundle`, which no certificate made.

    Raises:
        UnavailableError: A key counts for some time only, and there is no trusted root to judge
            a timestamp by.
    """
    # A hint is a claim: it narrows the choice of key and proves nothing. Without one, each may be.
    candidates = trust.keys_for(bundle.hint) if bundle.hint else trust.keys
    if not candidates:
        return Judgement(
            Verdict.UNTRUSTED,
            reason=f"by a key that is not trusted (hint {(bundle.hint or '')[:64]!r})",
            help="If you know the signer, add the key to [[trust.key]] or give it with --key.",
        )
    made = [k for k in candidates if _is_valid(bundle, k.public_key, artifact_sha256)]
    if not made:
        return Judgement(Verdict.INVALID, reason="it was changed after it was signed")
    reason = log_body.contradicts(bundle, made[0].public_key, artifact_sha256)
    if reason is not None:
        return Judgement(Verdict.INVALID, reason=reason)
    return _in_time(bundle, made, trust)


def _in_time(bundle: Bundle, made: Sequence[TrustedKey], trust: Trust) -> Judgement:
    """One key may be trusted for several periods; each that holds the moment is an entry."""
    dated = any(k.period is not None for k in made)
    moments: tuple[Moment, ...] = ()
    # Without a period nobody asks when, and a consumer with a key needs no trusted root.
    if dated:
        from provenance.signing import timestamps

        try:
            moments = timestamps.judge(bundle, trust.root)
        except timestamps.TimestampError as e:
            return Judgement(Verdict.INVALID, reason=str(e))
    entries = tuple(
        k
        for k in made
        if k.period is None or (moments and all(k.period.contains(m.time) for m in moments))
    )
    if not entries:
        if not moments:
            reason = "the key counts only for some time, and no timestamp says when it signed"
        else:
            reason = (
                f"it was made at {moments[0].time.isoformat()}, and the key counts {made[0].period}"
            )
        return Judgement(
            Verdict.UNTRUSTED,
            reason=f"by {made[0].path}: {reason}",
            help="Sign with a timestamp while the key counts, or correct its period in the trust.",
        )
    key = entries[0]
    return Judgement(
        Verdict.VALID, Signer(key.path, None, f"key {key.fingerprint}", entries, moments)
    )


def _is_valid(bundle: Bundle, key: EllipticCurvePublicKey, artifact_sha256: str | None) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    content = bundle.content
    try:
        if isinstance(content, Envelope):
            data = pre_authentication_encoding(content.payload_type, content.payload)
            key.verify(content.signature, data, ec.ECDSA(hashes.SHA256()))
        elif artifact_sha256 is None:
            return False
        else:
            prehashed = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
            key.verify(content.signature, bytes.fromhex(artifact_sha256), prehashed)
    except InvalidSignature:
        return False
    return True
