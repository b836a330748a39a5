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

docs/adr/0014-keyless-verification.md has what was measured.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from rfc3161_client import decode_timestamp_response
from sigstore.hashes import Hashed
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm

from provenance.attestations.bundle import Bundle, Envelope
from provenance.attestations.log_entry import DSSE_V2, LogEntry
from provenance.errors import UnavailableError
from provenance.signing import certificate as certificates
from provenance.signing import handover, inclusion, log_body, relog, trusted_root
from provenance.signing.certificate import CertificateError, Identity
from provenance.signing.inclusion import InclusionError
from provenance.signing.judgement import Clock, Judgement, Moment, Signer, Verdict
from provenance.signing.timestamps import NO_ROOT_HELP
from provenance.signing.trust import Trust, TrustedKey
from provenance.signing.trusted_root import Log, TrustedRoot

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

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
    try:
        identity = certificates.read(bundle.certificate)
        moments = tuple(_hold(bundle, identity, trust.root, artifact_sha256))
    except CertificateError as e:
        return Judgement(Verdict.INVALID, reason=f"of its certificate: {e}")
    except _RefusedError as e:
        return Judgement(Verdict.INVALID, reason=str(e))
    return who(identity, trust, moments)


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


def _hold(
    bundle: Bundle, identity: Identity, root: TrustedRoot, artifact_sha256: str | None
) -> Iterator[Moment]:
    """When it was signed, by each source of time. Raises _RefusedError where one does not hold."""
    certificate = certificates.load(bundle.certificate or b"")
    _promised(bundle.entry, root)
    sources = list(_sources(bundle))
    if not sources:
        raise _RefusedError("nothing says when it was signed: no promise of a log, no timestamp")
    for source in sources:
        time = source.moment.time
        if not identity.not_before <= time <= identity.not_after:
            raise _RefusedError(
                f"it was signed at {time.isoformat()}, and the certificate was valid from "
                f"{identity.not_before.isoformat()} to {identity.not_after.isoformat()}"
            )
        _verify(source, certificate, root, artifact_sha256)
        yield source.moment


def _promised(entry: LogEntry | None, root: TrustedRoot) -> None:
    """Raises _RefusedError where an entry has no proof, and no valid promise in its place."""
    if entry is None or entry.proof is not None:
        return
    log = root.log(entry.log_id)
    if log is not None and not relog.is_promised(entry, log):
        raise _RefusedError(f"the promise of its log {log.url} is not valid")


def _sources(bundle: Bundle) -> Iterator[_Source]:
    entry = bundle.entry
    if entry is not None and entry.promise is not None and entry.integrated_time is not None:
        time = datetime.datetime.fromtimestamp(entry.integrated_time, datetime.UTC)
        yield _Source(Moment(time, Clock.LOG), replace(bundle, timestamps=()))
    unpromised = entry and replace(entry, promise=None, integrated_time=None)
    for timestamp in bundle.timestamps:
        try:
            time = decode_timestamp_response(timestamp).tst_info.gen_time
        except ValueError as e:
            raise _RefusedError("its timestamp cannot be read") from e
        alone = replace(bundle, entry=unpromised, timestamps=(timestamp,))
        yield _Source(Moment(time, Clock.TIMESTAMP), alone)


def _verify(
    source: _Source, certificate: Certificate, root: TrustedRoot, artifact_sha256: str | None
) -> None:
    """Raises _RefusedError where the bundle does not hold at that moment."""
    bundle, time = source.bundle, source.moment.time
    log = _log(bundle.entry, root, source.moment)
    entry = bundle.entry
    if log is not None and entry is not None and (entry.kind, entry.version) == DSSE_V2:
        _logged(bundle, entry, log)
        bundle, log = _relogged(replace(bundle, entry=None), certificate, artifact_sha256)
    elif log is None or entry is None or entry.proof is None:
        bundle, log = _relogged(bundle, certificate, artifact_sha256)
    narrowed = trusted_root.as_json(
        log,
        _ct_log(certificate, root),
        [a for a in root.authorities if a.in_service(time)],
        [a for a in root.timestamp_authorities if a.in_service(time)],
    )
    if not narrowed["certificateAuthorities"]:
        raise _RefusedError(f"no certificate authority was trusted at {time.isoformat()}")
    if source.moment.clock is Clock.TIMESTAMP and not narrowed["timestampAuthorities"]:
        raise _RefusedError(f"no timestamp authority was trusted at {time.isoformat()}")
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


def _logged(bundle: Bundle, entry: LogEntry, log: Log) -> None:
    """Raises _RefusedError where an entry `dsse 0.0.2` is not in its log, or of something else."""
    try:
        inclusion.prove(entry, log)
    except InclusionError as e:
        raise _RefusedError(str(e)) from e
    content = bundle.content
    if not isinstance(content, Envelope):
        raise _RefusedError("its log entry is of an envelope, and it has none")
    reason = log_body.contradicts_envelope(content, entry, bundle.certificate or b"")
    if reason is not None:
        raise _RefusedError(reason)


def _relogged(
    bundle: Bundle, certificate: Certificate, artifact_sha256: str | None
) -> tuple[Bundle, Log]:
    """The bundle as `sigstore` reads it, which knows no bundle without an inclusion proof.

    What the bundle has in place of a proof is judged elsewhere: the promise of its log, the proof
    of an entry of a kind that `sigstore` does not know, or, where the instance has no log at all,
    its timestamp.
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
    text = " ".join(str(error).split())
    return f"sigstore refuses it: {text[:300] or type(error).__name__}"
