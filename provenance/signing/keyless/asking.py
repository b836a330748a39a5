# SPDX-License-Identifier: Apache-2.0
"""Verifying a bundle with `sigstore`, in the form that it supports.

`sigstore` verifies certificates only together with an inclusion proof. Bundles of v0.1 have a
promise instead, bundles of instances without a log have a timestamp, and some bundles have a kind
of entry that `sigstore` does not support. This evidence is verified elsewhere. The entry is then
put into a temporary log with a throwaway key, which proves nothing, so that `sigstore` can verify
the rest.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import Certificate
from sigstore.hashes import Hashed
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm

from provenance.attestations.bundle import Bundle, Envelope
from provenance.attestations.log_entry import Checkpoint, InclusionProof, LogEntry
from provenance.signing import inclusion, trusted_root
from provenance.signing.judgement import RefusedError
from provenance.signing.log_body import v1_hash
from provenance.signing.sigstore_json import base64_of, bundle_json
from provenance.signing.trusted_root import Authority, Log, TrustedRoot

_ALWAYS: Final = {"start": "1970-01-01T00:00:00Z"}
"""The period for all logs and authorities. The real periods are checked elsewhere."""

_HOST: Final = "this-verification.invalid"


def ask(
    bundle: Bundle, certificate: Certificate, narrowed: TrustedRoot, artifact_sha256: str | None
) -> None:
    """Verify the bundle with `sigstore`.

    `narrowed` is the trusted root, reduced to what was in service at the time of the signature.

    Raises:
        RefusedError: If `sigstore` does not verify the bundle.
    """
    content = bundle.content
    policy = _Named(certificate)
    # The bundle may be hostile, and `sigstore` and its libraries may raise any exception. Only a
    # call that returns without an exception is a success.
    try:
        verifier = Verifier(trusted_root=_root(narrowed))
        theirs = SigstoreBundle.from_json(json.dumps(bundle_json(bundle)))
        if isinstance(content, Envelope):
            kind, payload = verifier.verify_dsse(theirs, policy)
            same = kind == content.payload_type and payload == content.payload
        else:
            digest = bytes.fromhex(artifact_sha256 or "")
            hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)
            verifier.verify_artifact(hashed, theirs, policy)
            same = True
    except Exception as e:
        raise RefusedError(_words(e)) from e
    if not same or policy.calls != 1:
        raise RefusedError("sigstore verified another document than this bundle")


@dataclass
class _Named:
    """A `sigstore` policy: the certificate is the given one. Its identity is verified later."""

    certificate: Certificate
    calls: int = 0

    def verify(self, cert: Certificate) -> None:
        self.calls += 1
        if cert != self.certificate:
            raise ValueError("sigstore read another certificate")


def with_inclusion_proof(
    bundle: Bundle, certificate: Certificate, artifact_sha256: str | None
) -> tuple[Bundle, Log]:
    """Return the bundle with its entry in a temporary log, and that log."""
    entry, own = _logged(bundle.entry or _entry(bundle, certificate, artifact_sha256))
    return replace(bundle, entry=entry), own


def dated(
    bundle: Bundle, certificate: Certificate, time: datetime.datetime, artifact_sha256: str | None
) -> tuple[Bundle, Log]:
    """Return the bundle with an entry that a temporary log promised at `time`, and that log."""
    entry = _entry(bundle, certificate, artifact_sha256)
    dated = replace(entry, integrated_time=int(time.timestamp()), promise=b"to be signed")
    logged, own = _logged(dated)
    return replace(bundle, entry=logged, timestamps=()), own


def _entry(bundle: Bundle, certificate: Certificate, artifact_sha256: str | None) -> LogEntry:
    """Return a log entry for the bundle, in the form of Rekor v1."""
    content = bundle.content
    signature = base64_of(content.signature)
    verifier = base64_of(certificate.public_bytes(Encoding.PEM))
    if isinstance(content, Envelope):
        kind = "dsse"
        spec: dict[str, object] = {
            # The hash of an envelope is not compared: its JSON has no canonical form.
            "envelopeHash": v1_hash(b""),
            "payloadHash": v1_hash(content.payload),
            "signatures": [{"signature": signature, "verifier": verifier}],
        }
    else:
        kind = "hashedrekord"
        spec = {
            "data": {"hash": {"algorithm": "sha256", "value": artifact_sha256}},
            "signature": {"content": signature, "publicKey": {"content": verifier}},
        }
    body = json.dumps({"apiVersion": "0.0.1", "kind": kind, "spec": spec}).encode()
    return LogEntry(0, b"", kind, "0.0.1", None, None, None, body)


def _logged(entry: LogEntry) -> tuple[LogEntry, Log]:
    """Put an entry into a temporary log, and return the entry and the log."""
    key, sha256 = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    log_id = hashlib.sha256(public).digest()
    own = Log(f"https://{_HOST}", log_id, public, "PKIX_ECDSA_P256_SHA_256")
    root = hashlib.sha256(b"\0" + entry.body).digest()
    note = f"{_HOST}\n1\n{base64_of(root)}\n"
    signed = base64_of(log_id[:4] + key.sign(note.encode(), sha256))
    checkpoint = Checkpoint(f"{note}\n\u2014 {_HOST} {signed}\n", _HOST, 1, root)
    proof = InclusionProof(0, root, 1, (), checkpoint)
    logged = replace(entry, log_index=0, log_id=log_id, proof=proof)
    if entry.promise is not None:
        logged = replace(logged, promise=key.sign(inclusion.promise_of(logged), sha256))
    return logged, own


def _root(narrowed: TrustedRoot) -> Any:
    """Return a trusted root for `sigstore`, which reads it from a client trust configuration."""
    root = {
        "mediaType": trusted_root.MEDIA_TYPE,
        "tlogs": [_log_json(log) for log in narrowed.logs],
        "ctlogs": [_log_json(log) for log in narrowed.ct_logs],
        "certificateAuthorities": [_authority_json(a) for a in narrowed.authorities],
        "timestampAuthorities": [_authority_json(a) for a in narrowed.timestamp_authorities],
    }
    config = {
        "mediaType": trusted_root.CLIENT_CONFIG,
        "trustedRoot": root,
        "signingConfig": {"mediaType": trusted_root.SIGNING_CONFIG},
    }
    return ClientTrustConfig.from_json(json.dumps(config)).trusted_root


def _log_json(log: Log) -> dict[str, Any]:
    return {
        "baseUrl": log.url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": base64_of(log.public_key),
            "keyDetails": log.key_details,
            "validFor": _ALWAYS,
        },
        "logId": {"keyId": base64_of(log.log_id)},
    }


def _authority_json(authority: Authority) -> dict[str, Any]:
    chain = [{"rawBytes": base64_of(c)} for c in authority.certificates]
    return {
        "subject": {"organization": "", "commonName": ""},
        "certChain": {"certificates": chain},
        "validFor": _ALWAYS,
    }


def _words(error: Exception) -> str:
    """Return an error of `sigstore` as one line of limited length."""
    text = str(error)
    if "validation error" in text:  # a long message of the JSON parser, meant for developers
        text = text.partition(":")[0] if ":" in text.partition("validation error")[0] else ""
        text = f"{text}: it cannot be read".removeprefix(": ")
    text = " ".join(text.split())
    return f"sigstore does not verify it: {text[:300] or type(error).__name__}"
