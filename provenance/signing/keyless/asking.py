# SPDX-License-Identifier: Apache-2.0
"""Asking `sigstore` about a bundle, in the one form that it reads."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sigstore.hashes import Hashed
from sigstore.models import Bundle as SigstoreBundle
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm

from provenance.attestations.bundle import Bundle, Envelope
from provenance.signing import sigstore_json, synthetic_log, trusted_root
from provenance.signing.trusted_root import Log

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_SIGNING_CONFIG: Final = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}


class RefusedError(ValueError):
    """A bundle that does not hold. The message says why."""


def ask(
    bundle: Bundle, certificate: Certificate, narrowed: dict[str, Any], artifact_sha256: str | None
) -> None:
    """Pass if `sigstore` verifies the bundle by a narrowed trusted root. Raises RefusedError."""
    content = bundle.content
    policy = _Named(certificate)
    # Everything that is handed over is hostile until shown otherwise. Whatever `sigstore`
    # and the libraries below it make of it, only a return without an exception is a yes.
    try:
        verifier = Verifier(trusted_root=_root(narrowed))
        theirs = SigstoreBundle.from_json(json.dumps(sigstore_json.bundle_json(bundle)))
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
    if not same or policy.asked != 1:
        raise RefusedError("sigstore judged something else than what it was given")


@dataclass
class _Named:
    """A `sigstore` policy: it is the certificate that was read here. Its name is judged later."""

    certificate: Certificate
    asked: int = 0

    def verify(self, cert: Certificate) -> None:
        self.asked += 1
        if cert != self.certificate:
            raise ValueError("sigstore read another certificate")


def with_inclusion_proof(
    bundle: Bundle, certificate: Certificate, artifact_sha256: str | None
) -> tuple[Bundle, Log]:
    """The bundle as `sigstore` reads it, which knows no bundle without an inclusion proof.

    What it has in place of a proof, a promise or a timestamp, is judged elsewhere.
    """
    entry = bundle.entry or synthetic_log.entry_of(bundle, certificate, artifact_sha256)
    entry, own = synthetic_log.log(entry)
    return replace(bundle, entry=entry), own


def dated(
    bundle: Bundle, certificate: Certificate, time: datetime.datetime, artifact_sha256: str | None
) -> tuple[Bundle, Log]:
    """The bundle as `sigstore` reads it, with the entry of a log that promised it at `time`."""
    entry = synthetic_log.entry_of(bundle, certificate, artifact_sha256)
    dated = replace(entry, integrated_time=int(time.timestamp()), promise=b"to be signed")
    logged, log = synthetic_log.log(dated)
    return replace(bundle, entry=logged, timestamps=()), log


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
