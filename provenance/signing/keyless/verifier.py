# SPDX-License-Identifier: Apache-2.0
"""Verifying signatures with a certificate (docs/adr/0014-keyless-verification.md).

`sigstore` verifies certificates, logs and timestamps. It gets the bundle as the strict parser of
this project understood it. It does not check whether a key was in service, so it gets a trusted
root that is reduced to one moment. If a bundle has several sources of time, `sigstore` is satisfied
with one; so each source is verified separately, and all must be valid. Evidence that `sigstore`
does not support is verified here (`_evidence`) and by `issuance`.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from provenance.attestations.bundle import Bundle, Envelope
from provenance.attestations.log_entry import DSSE_V2, INTOTO, INTOTO_2, LogEntry
from provenance.attestations.predicates import claims_to_be_ours
from provenance.errors import UnavailableError
from provenance.frozen import dataclass
from provenance.signing import (
    algorithms,
    inclusion,
    log_body,
    timestamp_token,
    timestamps,
)
from provenance.signing import certificate as certificates
from provenance.signing.algorithms import UnsupportedError
from provenance.signing.certificate import CertificateError, Identity
from provenance.signing.judgement import (
    Clock,
    Judgement,
    Moment,
    RefusedError,
    Signer,
    Verdict,
)
from provenance.signing.keyless import asking, issuance
from provenance.signing.timestamp_token import TimestampError, Token
from provenance.signing.timestamps import NO_ROOT_HELP
from provenance.signing.trust import Trust, TrustedKey
from provenance.signing.trusted_root import Authority, Log, TrustedRoot

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_OTHERS: Final = (DSSE_V2, INTOTO, INTOTO_2)
"""The kinds of log entries that `sigstore` does not support."""

_UNSUPPORTED_HELP: Final = (
    "Verify it with another Sigstore client, or ask the signer for a signature with ECDSA P-256 "
    "and SHA-256."
)


def judge(bundle: Bundle, trust: Trust, artifact_sha256: str | None) -> Judgement:
    """Verify whether a trusted identity made the signature.

    Raises:
        UnavailableError: If the trust has no trusted root.
    """
    assert bundle.certificate is not None
    if trust.root is None:
        raise UnavailableError("no trusted root to verify a certificate with", help=NO_ROOT_HELP)
    judgements = [_judge(bundle, trust, root, artifact_sha256) for root in trust.root.each]
    for verdict in (Verdict.VALID, Verdict.UNTRUSTED):
        for judgement in judgements:
            if judgement.verdict is verdict:
                return judgement
    # Only the root of the issuing instance leads to a meaningful reason.
    return judgements[_issued_by(bundle.certificate, trust.root)]


def _judge(
    bundle: Bundle, trust: Trust, root: TrustedRoot, artifact_sha256: str | None
) -> Judgement:
    try:
        identity = certificates.read(bundle.certificate or b"")
        moments = tuple(_verified_times(bundle, identity, root, artifact_sha256))
    except UnsupportedError as e:
        return Judgement(Verdict.UNSUPPORTED, reason=str(e), help=_UNSUPPORTED_HELP)
    except CertificateError as e:
        return Judgement(Verdict.INVALID, reason=f"its certificate is not valid: {e}")
    except (RefusedError, TimestampError) as e:
        return Judgement(Verdict.INVALID, reason=str(e))
    return who(identity, trust, moments)


def _issued_by(certificate: bytes, root: TrustedRoot) -> int:
    """Return the index of the root that has the issuer of a certificate, or 0."""
    try:
        issuer = certificates.load(certificate).issuer
    except CertificateError:
        return 0
    for index, each in enumerate(root.each):
        if any(
            certificates.load(c).subject == issuer for a in each.authorities for c in a.certificates
        ):
            return index
    return 0


def who(identity: Identity, trust: Trust, moments: tuple[Moment, ...]) -> Judgement:
    """Return whether an identity is trusted: VALID, or UNTRUSTED with the reason."""
    candidates = [e for e in trust.entries if not isinstance(e, TrustedKey)]
    differences = {e: e.differs(identity) for e in candidates}
    entries = tuple(e for e, difference in differences.items() if difference is None)
    if entries:
        unique = f"{identity.issuer} {identity.subject.partition('@refs/')[0]}"
        signer = Signer(identity.subject, identity.issuer, unique, entries, moments)
        return Judgement(Verdict.VALID, signer)
    near = "; ".join(f"not {entry}: {why}" for entry, why in list(differences.items())[:3])
    return Judgement(
        Verdict.UNTRUSTED,
        reason=f"by {identity.subject[:200]!r}, whose issuer is {identity.issuer[:120]!r}"
        + (f" ({near})" if near else ""),
        help="If you know the signer, trust it as [[trust.github]] or [[trust.identity]], or with "
        "--identity and --issuer.",
    )


@dataclass(frozen=True)
class _Source:
    """A source of time, and the bundle with this source alone."""

    moment: Moment
    bundle: Bundle
    token: Token | None = None


def _verified_times(
    bundle: Bundle, identity: Identity, root: TrustedRoot, artifact_sha256: str | None
) -> Iterator[Moment]:
    """Verify the bundle with each source of time, and yield the times.

    Raises the errors that `_judge` handles if a source is not valid.
    """
    certificate = certificates.load(bundle.certificate or b"")
    for above in map(certificates.load, bundle.chain):
        if above.issuer == above.subject:  # another verifier might trust it
            raise RefusedError(
                "its certificate chain contains a root certificate, which is not allowed in bundles"
            )
    _supported(bundle, certificate, artifact_sha256)
    _promised(bundle.entry, root)
    stamped = [timestamp_token.read(t) for t in bundle.timestamps]
    if not bundle.says_when:
        raise RefusedError(
            "the time of the signature is missing: no promise of a log, no timestamp"
        )
    for source in _sources(bundle, stamped):
        time = source.moment.time
        if not identity.not_before <= time <= identity.not_after:
            raise RefusedError(
                f"it was signed at {time.isoformat()}, but its certificate was valid from "
                f"{identity.not_before.isoformat()} to {identity.not_after.isoformat()}"
            )
        _verify(source, bundle, certificate, root, artifact_sha256)
        yield source.moment


def _supported(bundle: Bundle, certificate: Certificate, artifact_sha256: str | None) -> None:
    """Check that the algorithm of the key is supported for this content.

    The documents of this project use only one algorithm (docs/adr/0006-one-key-algorithm.md).

    Raises:
        UnsupportedError: If the algorithm is not supported.
    """
    content, key = bundle.content, certificates.public_key(certificate)
    if not isinstance(content, Envelope):
        algorithms.digest_for(key, content.digests(artifact_sha256))
    elif not _is_p256(key) and claims_to_be_ours(content.payload):
        raise UnsupportedError(
            "unsupported signature algorithm for a document of this project: "
            f"{algorithms.of_key(key).name}, expected ECDSA P-256 with SHA-256"
        )


def _is_p256(key: object) -> bool:
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def _promised(entry: LogEntry | None, root: TrustedRoot) -> None:
    """Check the promise of an entry without an inclusion proof.

    Raises:
        RefusedError: If the promise is not valid.
    """
    if entry is None or entry.proof is not None:
        return
    log = root.log(entry.log_id)
    if log is not None and not inclusion.is_promised(entry, log):
        raise RefusedError(f"the promise of its log {log.url} is not valid")


def _sources(bundle: Bundle, stamped: list[Token]) -> Iterator[_Source]:
    entry = bundle.entry
    if entry is not None and entry.promise is not None and entry.integrated_time is not None:
        time = datetime.datetime.fromtimestamp(entry.integrated_time, datetime.UTC)
        yield _Source(Moment(time, Clock.LOG), replace(bundle, timestamps=()))
    unpromised = entry and replace(entry, promise=None, integrated_time=None)
    for token in stamped:
        alone = replace(bundle, entry=unpromised, timestamps=(token.der,))
        yield _Source(Moment(token.time, Clock.TIMESTAMP), alone, token)


def _verify(
    source: _Source,
    whole: Bundle,
    certificate: Certificate,
    root: TrustedRoot,
    artifact_sha256: str | None,
) -> None:
    """Verify the bundle at the time of a source. Raises as `_verified_times`."""
    bundle, time = source.bundle, source.moment.time
    log = _log(bundle.entry, root, source.moment)
    entry = bundle.entry
    authorities = [a for a in root.authorities if a.in_service(time)]
    ct_log = _ct_log(certificate, root)
    if not authorities:
        raise RefusedError(f"no certificate authority was trusted at {time.isoformat()}")
    p256 = _is_p256(certificates.public_key(certificate))
    readable = p256 and (entry is None or entry.named not in _OTHERS)
    if not readable:
        _evidence(whole, certificate, log, artifact_sha256)
    stampers: list[Authority] = []
    if source.token is not None:
        signature = bundle.content.signature
        stampers = [a for a in root.timestamp_authorities if a.is_whole and a.in_service(time)]
        if readable and timestamps.is_in_part(source.token, signature, root):
            readable = False
            _evidence(whole, certificate, log, artifact_sha256)
        elif not readable or not stampers:
            timestamps.stamp(source.token, signature, root)
    if not p256:
        issuance.judge(bundle, certificate, source.moment, authorities, ct_log, artifact_sha256)
        return
    if not readable:
        bundle, log = asking.dated(bundle, certificate, time, artifact_sha256)
    elif log is None or entry is None or entry.proof is None:
        bundle, log = asking.with_inclusion_proof(bundle, certificate, artifact_sha256)
    narrowed = replace(
        root,
        logs=(log,),
        ct_logs=(ct_log,),
        authorities=tuple(authorities),
        timestamp_authorities=tuple(stampers),
    )
    asking.ask(bundle, certificate, narrowed, artifact_sha256)


def _evidence(
    whole: Bundle, certificate: Certificate, log: Log | None, artifact_sha256: str | None
) -> None:
    """Verify that the log includes the bundle's entry, and that the entry is of this signature.

    This is for bundles that `sigstore` does not fully support. Timestamps are verified elsewhere.

    Raises:
        RefusedError: If the entry is not valid.
    """
    if whole.entry is None or log is None:
        return
    inclusion.prove(whole.entry, log)
    reason = log_body.contradicts(whole, certificate, artifact_sha256)
    if reason is not None:
        raise RefusedError(reason)


def _log(entry: LogEntry | None, root: TrustedRoot, moment: Moment) -> Log | None:
    """Return the log of the entry, or None if the instance has no logs.

    Raises:
        RefusedError: If the entry is missing, or its log was not in service.
    """
    if entry is None:
        if root.logs:
            raise RefusedError("its log entry is missing; the trusted root requires one")
        return None
    log = inclusion.log_of(entry, root)
    inclusion.in_service(log, [moment])
    return log


def _ct_log(certificate: Certificate, root: TrustedRoot) -> Log:
    log_id, time = certificates.promised_by(certificate)
    log = root.ct_log(log_id)
    if log is None:
        raise RefusedError(
            f"the certificate's transparency log ({log_id.hex()}) is not in the trusted root"
        )
    if not log.period.contains(time):
        raise RefusedError(
            f"the certificate was logged at {time.isoformat()}, but its transparency log {log.url} "
            f"was in service {log.period}"
        )
    return log
