# SPDX-License-Identifier: Apache-2.0
"""Judging a bundle's signature against trusted keys.

With `cryptography` alone: it is what a consumer waits for, and there is one algorithm.
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
    """Judge whether a trusted key made the signature in `bundle`, which no certificate made.

    Each trusted key is tried. The bundle's hint only orders the attempts: it is not signed, and
    clients write anything there.

    Raises:
        UnavailableError: A key counts for some time only, and there is no trusted root to judge
            by when it signed.
    """
    for made in trust.candidates(bundle.hint or ""):
        if _is_valid(bundle, made[0].public_key, artifact_sha256):
            reason = log_body.contradicts(bundle, made[0].public_key, artifact_sha256)
            if reason is not None:
                return Judgement(Verdict.INVALID, reason=reason)
            return _in_time(bundle, made, trust)
    return _by_none(bundle, trust, artifact_sha256)


def _by_none(bundle: Bundle, trust: Trust, artifact_sha256: str | None) -> Judgement:
    """No trusted key made the signature. What else is known of it is only what it claims."""
    content = bundle.content
    if not trust.keys:
        return Judgement(
            Verdict.UNTRUSTED, reason="by a key, and no key is trusted", help=_TRUST_THE_KEY
        )
    changed = "changed after it was signed"
    if isinstance(content, MessageSignature):
        if artifact_sha256 is None:
            return Judgement(Verdict.INVALID, reason="it is over a file, and not over a statement")
        if content.sha256 is not None and content.sha256 != artifact_sha256:
            return Judgement(
                Verdict.INVALID,
                reason=f"it states that it is over the bytes with sha256 {content.sha256}; these "
                f"have {artifact_sha256}",
            )
        changed = "made over other bytes"
    named = next((k for k in trust.keys if bundle.hint in k.hints), None)
    if named is not None:
        return Judgement(
            Verdict.INVALID,
            reason=f"its hint names {named.path}, and no trusted key made it: it was {changed}, or "
            "by another key",
        )
    claimed = ""
    if bundle.key_sha256 is not None:
        claimed = f" (its hint, which proves nothing, is the key {bundle.key_sha256})"
    elif bundle.hint:
        claimed = f" (its hint, which proves nothing, is {bundle.hint[:64]!r})"
    return Judgement(
        Verdict.UNTRUSTED,
        reason=f"by no trusted key, or was {changed}{claimed}",
        help=_TRUST_THE_KEY,
    )


def _in_time(bundle: Bundle, made: Sequence[TrustedKey], trust: Trust) -> Judgement:
    """One key may be trusted for several periods; each that holds the moment is an entry."""
    try:
        moments = _moments(bundle, trust.root, asked=any(k.period is not None for k in made))
    except UnsupportedError as e:
        return Judgement(Verdict.UNSUPPORTED, reason=str(e))
    except (TimestampError, RefusedError) as e:
        return Judgement(Verdict.INVALID, reason=str(e))
    entries = tuple(
        k
        for k in made
        if k.period is None or (moments and all(k.period.contains(m.time) for m in moments))
    )
    if not entries:
        if not moments:
            reason = "the key counts only for some time, and nothing says when it signed"
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


def _moments(bundle: Bundle, root: TrustedRoot | None, *, asked: bool) -> tuple[Moment, ...]:
    """When it was signed. All evidence that a bundle carries has to hold, where it can be judged.

    A consumer who has only a key needs no trusted root: then a log entry and a timestamp count for
    nothing, for it or against it. Unless a key counts for some time only.
    """
    if root is None:
        if asked and bundle.says_when:
            raise UnavailableError(
                "no trusted root to judge by when a key signed that counts for some time only",
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
    """The same by the trusted root of one instance."""
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
    # An entry of Rekor v2 states no time. Without a timestamp there is none to ask the log's period
    # about, and the entry takes nothing from a signature that counts without one.
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
