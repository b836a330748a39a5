# SPDX-License-Identifier: Apache-2.0
"""Verifying the signature of a bundle with trusted keys.

This module uses only `cryptography`, which is fast to import, and supports one algorithm.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from provenance.attestations.bundle import Bundle, Envelope, MessageSignature
from provenance.attestations.statement import pre_authentication_encoding
from provenance.errors import UnavailableError
from provenance.signing import inclusion, log_body, timestamp_token, timestamps
from provenance.signing.algorithms import UnsupportedError
from provenance.signing.judgement import (
    Clock,
    Judgement,
    Moment,
    RefusedError,
    Signer,
    Verdict,
)
from provenance.signing.timestamp_token import TimestampError
from provenance.signing.timestamps import NO_ROOT_HELP
from provenance.signing.trust import Trust, TrustedKey
from provenance.signing.trusted_root import TrustedRoot

_OVER_DATA: Final = ECDSA(SHA256())
_OVER_DIGEST: Final = ECDSA(Prehashed(SHA256()))
_TRUST_THE_KEY: Final = (
    "If you know the signer, add the key to [[trust.key]] or give it with --key."
)


def judge(bundle: Bundle, trust: Trust, artifact_sha256: str | None) -> Judgement:
    """Verify whether a trusted key made the signature in `bundle`, which has no certificate.

    Each trusted key is tried. The key hint of the bundle only decides which one is tried first: it
    is not signed, and clients write different things into it.

    Raises:
        UnavailableError: If a key is trusted only for a period, and there is no trusted root to
            verify the time of the signature.
    """
    for key_entries in trust.candidates(bundle.hint or ""):
        if _is_valid(bundle, key_entries[0].public_key, artifact_sha256):
            reason = log_body.contradicts(bundle, key_entries[0].public_key, artifact_sha256)
            if reason is not None:
                return Judgement(Verdict.INVALID, reason=reason)
            return _within_period(bundle, key_entries, trust)
    return _no_trusted_key(bundle, trust, artifact_sha256)


def _no_trusted_key(bundle: Bundle, trust: Trust, artifact_sha256: str | None) -> Judgement:
    """Explain a signature that no trusted key made, as far as its unverified claims allow."""
    content = bundle.content
    if not trust.keys:
        return Judgement(
            Verdict.UNTRUSTED,
            reason="by a key, but the trust contains no keys",
            help=_TRUST_THE_KEY,
        )
    changed = "changed after it was signed"
    if isinstance(content, MessageSignature):
        if artifact_sha256 is None:
            return Judgement(Verdict.INVALID, reason="it signs a file, expected a statement")
        if content.sha256 is not None and content.sha256 != artifact_sha256:
            return Judgement(
                Verdict.INVALID,
                reason=f"it is for the sha256 {content.sha256}, but the file has {artifact_sha256}",
            )
        changed = "over the bytes of another file"
    named = next((k for k in trust.keys if bundle.hint in k.hints), None)
    if named is not None:
        return Judgement(
            Verdict.INVALID,
            reason=f"its key hint names {named.path}, but no trusted key made it: it was signed by "
            f"another key, or {changed}",
        )
    claimed = ""
    if bundle.key_sha256 is not None:
        claimed = f" (its key hint, which proves nothing, is sha256 {bundle.key_sha256})"
    elif bundle.hint:
        claimed = f" (its key hint, which proves nothing, is {bundle.hint[:64]!r})"
    return Judgement(
        Verdict.UNTRUSTED,
        reason=f"by an untrusted key, or {changed}{claimed}",
        help=_TRUST_THE_KEY,
    )


def _within_period(bundle: Bundle, key_entries: Sequence[TrustedKey], trust: Trust) -> Judgement:
    """Verify that the key was trusted when it signed.

    A key can have several trust entries with different periods. All entries whose period contains
    the time of the signature count.
    """
    try:
        moments = _moments(
            bundle, trust.root, time_needed=any(k.period is not None for k in key_entries)
        )
    except UnsupportedError as e:
        return Judgement(Verdict.UNSUPPORTED, reason=str(e))
    except (TimestampError, RefusedError) as e:
        return Judgement(Verdict.INVALID, reason=str(e))
    entries = tuple(
        k
        for k in key_entries
        if k.period is None or (moments and all(k.period.contains(m.time) for m in moments))
    )
    if not entries:
        if not moments:
            reason = "the key is trusted only for a period, but no timestamp shows when it signed"
        else:
            reason = (
                f"it signed at {moments[0].time.isoformat()}, but the key is trusted only "
                f"{key_entries[0].period}"
            )
        return Judgement(
            Verdict.UNTRUSTED,
            reason=f"by {key_entries[0].path}: {reason}",
            help="Sign with a timestamp within the period, or correct the period in the trust.",
        )
    key = entries[0]
    return Judgement(
        Verdict.VALID, Signer(key.path, None, f"key {key.fingerprint}", entries, moments)
    )


def _moments(bundle: Bundle, root: TrustedRoot | None, *, time_needed: bool) -> tuple[Moment, ...]:
    """Return the times of the signature. All evidence in the bundle must be valid.

    Without a trusted root, log entries and timestamps are ignored, so a consumer who has only a key
    needs no root. The exception is a key that is trusted only for a period (`time_needed`).
    """
    if root is None:
        if time_needed and bundle.says_when:
            raise UnavailableError(
                "no trusted root to verify when a key signed that is trusted only for a period",
                help=NO_ROOT_HELP,
            )
        return ()
    errors: list[ValueError] = []
    for each in root.each:
        try:
            return _moments_by(bundle, each)
        except (TimestampError, RefusedError, UnsupportedError) as e:
            errors.append(e)
    raise errors[0]


def _moments_by(bundle: Bundle, root: TrustedRoot) -> tuple[Moment, ...]:
    """Return the times of the signature, verified with the trusted root of one instance."""
    entry, signature = bundle.entry, bundle.content.signature
    tokens = map(timestamp_token.read, bundle.timestamps)
    moments = tuple(timestamps.stamp(token, signature, root) for token in tokens)
    if entry is None:
        return moments
    log = inclusion.log_of(entry, root)
    inclusion.prove(entry, log)
    if entry.promise is not None and entry.integrated_time is not None:
        time = datetime.datetime.fromtimestamp(entry.integrated_time, datetime.UTC)
        moments = (Moment(time, Clock.LOG), *moments)
    # An entry of Rekor v2 has no time. Without a timestamp, the period of the log cannot be
    # checked; the signature would also be valid without the entry.
    inclusion.in_service(log, moments)
    return moments


def _is_valid(bundle: Bundle, key: EllipticCurvePublicKey, artifact_sha256: str | None) -> bool:
    content = bundle.content
    try:
        if isinstance(content, Envelope):
            data = pre_authentication_encoding(content.payload_type, content.payload)
            key.verify(content.signature, data, _OVER_DATA)
        elif artifact_sha256 is None:
            return False
        else:
            key.verify(content.signature, bytes.fromhex(artifact_sha256), _OVER_DIGEST)
    except InvalidSignature:
        return False
    return True
