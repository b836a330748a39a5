# SPDX-License-Identifier: Apache-2.0
"""Judging signatures with a certificate.

`sigstore` judges certificates, logs and timestamps, through its public interface. Around it:

- The bundle is handed over as this project's strict reader understood it, always in one form: v0.3,
  every field spelt out. So `sigstore` sees what we saw, and what proto3 JSON left out is there.
- The trusted root is narrowed to one moment (`trusted_root`): the log that the entry names, the
  certificate transparency log that the certificate names, authorities in service then. `sigstore`
  tries each key it has, and does not ask whether it was in service.
- It is satisfied by one source of time where there are several. So each promise and each timestamp
  is judged by itself, and each has to hold.
- What it does not read is judged here, and it judges the rest (`_evidence`): log entries of other
  kinds, timestamp authorities that a trusted root lists in another form. Keys of other kinds than
  ECDSA P-256 are judged by `issuance`.

docs/adr/0014-keyless-verification.md has what was measured.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from sigstore.hashes import Hashed
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm

from provenance.attestations import own
from provenance.attestations.bundle import Bundle, Envelope
from provenance.attestations.log_entry import DSSE_V2, INTOTO, INTOTO_2, LogEntry
from provenance.errors import UnavailableError
from provenance.signing import (
    algorithms,
    handover,
    inclusion,
    log_body,
    relog,
    timestamp_token,
    timestamps,
    trusted_root,
)
from provenance.signing import certificate as certificates
from provenance.signing.algorithms import UnsupportedError
from provenance.signing.certificate import CertificateError, Identity
from provenance.signing.inclusion import InclusionError
from provenance.signing.judgement import Clock, Judgement, Moment, Signer, Verdict
from provenance.signing.keyless import issuance
from provenance.signing.keyless.issuance import IssuanceError
from provenance.signing.timestamp_token import TimestampError, Token
from provenance.signing.timestamps import NO_ROOT_HELP
from provenance.signing.trust import Trust, TrustedKey
from provenance.signing.trusted_root import Authority, Log, TrustedRoot

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_OTHERS: Final = (DSSE_V2, INTOTO, INTOTO_2)
"""Kinds of log entries that `sigstore` does not read."""

_UNSUPPORTED_HELP: Final = (
    "This version cannot verify it. Verify it with another Sigstore client, or ask the signer for "
    "a signature by ECDSA P-256 with SHA-256."
)
_SIGNING_CONFIG: Final = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}


class _RefusedError(ValueError):
    """A bundle that does not hold. The message says why."""


def judge(bundle: Bundle, trust: Trust, artifact_sha256: str | None) -> Judgement:
    """Whether somebody who is trusted made the signature in `bundle`, which has a certificate.

    Raises:
        UnavailableError: There is no trusted root.
    """
    assert bundle.certificate is not None
    if trust.root is None:
        raise UnavailableError("no trusted root to judge a certificate by", help=NO_ROOT_HELP)
    found = [_judge(bundle, trust, root, artifact_sha256) for root in trust.root.each]
    for verdict in (Verdict.VALID, Verdict.UNTRUSTED):
        for judgement in found:
            if judgement.verdict is verdict:
                return judgement
    # Only the instance that issued the certificate can say what is wrong with it.
    return found[_issued_by(bundle.certificate, trust.root)]


def _judge(
    bundle: Bundle, trust: Trust, root: TrustedRoot, artifact_sha256: str | None
) -> Judgement:
    try:
        identity = certificates.read(bundle.certificate or b"")
        moments = tuple(_hold(bundle, identity, root, artifact_sha256))
    except UnsupportedError as e:
        return Judgement(Verdict.UNSUPPORTED, reason=str(e), help=_UNSUPPORTED_HELP)
    except CertificateError as e:
        return Judgement(Verdict.INVALID, reason=f"of its certificate: {e}")
    except (_RefusedError, TimestampError, InclusionError, IssuanceError) as e:
        return Judgement(Verdict.INVALID, reason=str(e))
    return who(identity, trust, moments)


def _issued_by(certificate: bytes, root: TrustedRoot) -> int:
    """Which of several roots knows the issuer that a certificate names; the first if none does."""
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
    """Whether an identity is somebody who counts: VALID, or UNTRUSTED with the reason."""
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
        reason=f"by {identity.subject[:200]!r}, for whom {identity.issuer[:120]!r} vouches"
        + (f" ({near})" if near else ""),
        help="If you know the signer, trust it as [[trust.github]] or [[trust.identity]], or with "
        "--identity and --issuer.",
    )


@dataclass(frozen=True)
class _Source:
    """One source of time, and the bundle as it is with that source alone."""

    moment: Moment
    bundle: Bundle
    token: Token | None = None


def _hold(
    bundle: Bundle, identity: Identity, root: TrustedRoot, artifact_sha256: str | None
) -> Iterator[Moment]:
    """When it was signed, by each source of time.

    Raises:
        _RefusedError, CertificateError, TimestampError, InclusionError, IssuanceError: One does
            not hold.
        UnsupportedError: The signature, or one of them, is of a kind that is not supported.
    """
    certificate = certificates.load(bundle.certificate or b"")
    _without_root(bundle)
    _supported(bundle, certificate, artifact_sha256)
    _promised(bundle.entry, root)
    stamped = [timestamp_token.read(t) for t in bundle.timestamps]
    if not stamped and (bundle.entry is None or bundle.entry.promise is None):
        raise _RefusedError("nothing says when it was signed: no promise of a log, no timestamp")
    for source in _sources(bundle, stamped):
        _within(identity, source.moment.time)
        _verify(source, bundle, certificate, root, artifact_sha256)
        yield source.moment


def _without_root(bundle: Bundle) -> None:
    """A bundle that brings a root of its own misleads readers that would trust it."""
    for der in bundle.chain:
        above = certificates.load(der)
        if above.issuer == above.subject:
            raise _RefusedError(
                "its certificate chain holds a root certificate, which bundles must not"
            )


def _supported(bundle: Bundle, certificate: Certificate, artifact_sha256: str | None) -> None:
    """Pass if the algorithm of the key is one that verifies what was signed.

    Our own documents are signed with one algorithm (docs/adr/0006-one-key-algorithm.md).

    Raises:
        UnsupportedError: It is another one.
    """
    content, key = bundle.content, certificates.public_key(certificate)
    if not isinstance(content, Envelope):
        algorithms.digest_for(key, content.digests(artifact_sha256))
    elif not _is_p256(key) and own.claims_to_be_ours(content.payload):
        raise UnsupportedError(
            "unsupported signature algorithm for a document of this project: "
            f"{algorithms.of_key(key).name}, expected ECDSA P-256 with SHA-256"
        )


def _is_p256(key: object) -> bool:
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def _promised(entry: LogEntry | None, root: TrustedRoot) -> None:
    """Raises _RefusedError where an entry has no proof, and no valid promise in its place."""
    if entry is None or entry.proof is not None:
        return
    log = root.log(entry.log_id)
    if log is not None and not relog.is_promised(entry, log):
        raise _RefusedError(f"the promise of its log {log.url} is not valid")


def _sources(bundle: Bundle, stamped: list[Token]) -> Iterator[_Source]:
    entry = bundle.entry
    if entry is not None and entry.promise is not None and entry.integrated_time is not None:
        time = datetime.datetime.fromtimestamp(entry.integrated_time, datetime.UTC)
        yield _Source(Moment(time, Clock.LOG), replace(bundle, timestamps=()))
    unpromised = entry and replace(entry, promise=None, integrated_time=None)
    for token in stamped:
        alone = replace(bundle, entry=unpromised, timestamps=(token.der,))
        yield _Source(Moment(token.time, Clock.TIMESTAMP), alone, token)


def _within(identity: Identity, time: datetime.datetime) -> None:
    if not identity.not_before <= time <= identity.not_after:
        raise _RefusedError(
            f"it was signed at {time.isoformat()}, and the certificate was valid from "
            f"{identity.not_before.isoformat()} to {identity.not_after.isoformat()}"
        )


def _verify(
    source: _Source,
    whole: Bundle,
    certificate: Certificate,
    root: TrustedRoot,
    artifact_sha256: str | None,
) -> None:
    """Pass if the bundle holds at the moment of a source. Raises: as `_hold`."""
    bundle, time = source.bundle, source.moment.time
    log = _log(bundle.entry, root, source.moment)
    entry = bundle.entry
    authorities = [a for a in root.authorities if a.in_service(time)]
    ct_log = _ct_log(certificate, root)
    if not authorities:
        raise _RefusedError(f"no certificate authority was trusted at {time.isoformat()}")
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
        bundle, log = _dated(bundle, certificate, time, artifact_sha256)
    elif log is None or entry is None or entry.proof is None:
        bundle, log = _relogged(bundle, certificate, artifact_sha256)
    _ask(
        bundle,
        certificate,
        trusted_root.as_json(log, ct_log, authorities, stampers),
        artifact_sha256,
    )


def _evidence(
    whole: Bundle, certificate: Certificate, log: Log | None, artifact_sha256: str | None
) -> None:
    """Pass if the log holds the bundle's entry, which is of this very signature.

    In place of `sigstore`, where it does not read all of the bundle. Timestamps were judged before.
    """
    if whole.entry is None or log is None:
        return
    inclusion.prove(whole.entry, log)
    reason = log_body.contradicts_certificate(whole, certificate, artifact_sha256)
    if reason is not None:
        raise _RefusedError(reason)


def _dated(
    bundle: Bundle, certificate: Certificate, time: datetime.datetime, artifact_sha256: str | None
) -> tuple[Bundle, Log]:
    """The bundle as `sigstore` reads it, with the entry of a log that promised it at `time`."""
    entry = relog.entry_of(bundle, certificate, artifact_sha256)
    dated = replace(entry, integrated_time=int(time.timestamp()), promise=b"to be signed")
    logged, log = relog.log(dated)
    return replace(bundle, entry=logged, timestamps=()), log


def _ask(
    bundle: Bundle, certificate: Certificate, narrowed: dict[str, Any], artifact_sha256: str | None
) -> None:
    """Pass if `sigstore` verifies the bundle by a narrowed trusted root."""
    content = bundle.content
    policy = _Named(certificate)
    # Everything that is handed over was written by somebody who may be hostile. Whatever `sigstore`
    # and the libraries below it make of it, only a return without an exception is a yes.
    try:
        verifier = Verifier(trusted_root=_root(narrowed))
        theirs = SigstoreBundle.from_json(json.dumps(handover.bundle_json(bundle)))
        if isinstance(content, Envelope):
            kind, payload = verifier.verify_dsse(theirs, policy)
            same = kind == content.payload_type and payload == content.payload
        else:
            digest = bytes.fromhex(artifact_sha256 or "")
            hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)
            verifier.verify_artifact(hashed, theirs, policy)
            same = True
    except Exception as e:
        raise _RefusedError(_words(e)) from e
    if not same or policy.asked != 1:
        raise _RefusedError("sigstore judged something else than what it was given")


@dataclass
class _Named:
    """A `sigstore` policy: the certificate is the one that was read here. Who it names is judged
    later, so that a signature by somebody else is told apart from one that is not valid.
    """

    certificate: Certificate
    asked: int = 0

    def verify(self, cert: Certificate) -> None:
        self.asked += 1
        if cert != self.certificate:
            raise ValueError("sigstore read another certificate")


def _log(entry: LogEntry | None, root: TrustedRoot, moment: Moment) -> Log | None:
    """The log of the entry; None where the instance has none. Raises _RefusedError."""
    if entry is None:
        if root.logs:
            raise _RefusedError("it has no log entry, and the trusted root knows logs")
        return None
    try:
        log = inclusion.log_of(entry, root)
        inclusion.in_service(log, [moment])
    except InclusionError as e:
        raise _RefusedError(str(e)) from e
    return log


def _relogged(
    bundle: Bundle, certificate: Certificate, artifact_sha256: str | None
) -> tuple[Bundle, Log]:
    """The bundle as `sigstore` reads it, which knows no bundle without an inclusion proof.

    What the bundle has in place of a proof is judged elsewhere: the promise of its log or, where
    the instance has no log at all, its timestamp.
    """
    entry = bundle.entry or relog.entry_of(bundle, certificate, artifact_sha256)
    entry, own = relog.log(entry)
    return replace(bundle, entry=entry), own


def _ct_log(certificate: Certificate, root: TrustedRoot) -> Log:
    log_id, time = certificates.promised_by(certificate)
    log = root.ct_log(log_id)
    if log is None:
        raise _RefusedError(
            f"the certificate's transparency log ({log_id.hex()}) is not one of the trusted root's"
        )
    if not log.period.contains(time):
        raise _RefusedError(
            f"the certificate's transparency log {log.url} was in service {log.period}, and it "
            f"was logged at {time.isoformat()}"
        )
    return log


def _root(value: dict[str, Any]) -> Any:
    """`sigstore` makes a trusted root of a file, or of a client trust configuration in memory."""
    config = {
        "mediaType": trusted_root.CLIENT_CONFIG,
        "trustedRoot": value,
        "signingConfig": _SIGNING_CONFIG,
    }
    return ClientTrustConfig.from_json(json.dumps(config)).trusted_root


def _words(error: Exception) -> str:
    """What `sigstore` said, in one line of bounded length."""
    text = str(error)
    if "validation error" in text:  # of the models that it reads with: a page for their authors
        text = text.partition(":")[0] if ":" in text.partition("validation error")[0] else ""
        text = f"{text}: it cannot be read".removeprefix(": ")
    text = " ".join(text.split())
    return f"sigstore refuses it: {text[:300] or type(error).__name__}"
