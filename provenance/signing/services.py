# SPDX-License-Identifier: Apache-2.0
"""Requests to timestamp authorities and logs, for signatures made with a key.

Answers are parsed strictly, and their size is limited. `keyed` verifies them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import JsonError, parse_object
from provenance.attestations import log_entry
from provenance.attestations.bundle import Envelope
from provenance.attestations.log_entry import LogEntry
from provenance.attestations.proto_json import Message, ProtoJsonError
from provenance.attestations.statement import pre_authentication_encoding
from provenance.errors import InputError, UnavailableError
from provenance.frozen import dataclass
from provenance.signing import pem, timestamp_token
from provenance.signing.sigstore_json import base64_of, envelope_json
from provenance.signing.trusted_root import TrustedRoot
from provenance.signing.waiting import AGAIN, TransientError
from provenance.version import __version__

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_TIMEOUT: Final = (10.0, 60.0)
"""The time limits for connecting and for the answer, in seconds.

A log answers only after its next checkpoint includes the entry.
"""

_REFUSED: Final = (
    "Nothing was written. Check the URL of the service, and that it accepts signatures with keys."
)


@dataclass(frozen=True)
class LogService:
    """The URL of a transparency log that accepts entries, and its version: Rekor 1 or 2."""

    url: str
    version: int


@dataclass(frozen=True)
class Services:
    """The services for each signature, and the trusted root that verifies their answers."""

    root: TrustedRoot
    timestamp_urls: tuple[str, ...] = ()
    log: LogService | None = None

    @property
    def states_time(self) -> bool:
        """Whether they state the time of a signature. Of the logs, only Rekor v1 signs a time."""
        return bool(self.timestamp_urls) or (self.log is not None and self.log.version == 1)


def checked_url(url: str) -> str:
    """Return the URL of a timestamp authority, if it is usable.

    Raises:
        InputError: If it is not an http or https URL, or contains a user name or a password.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        named = parts.username is not None or parts.password is not None
    except ValueError:
        usable = named = False
    if not usable:
        raise InputError(
            f"timestamp authority {url!r}: not an http or https URL",
            help="For example: --timestamp-url https://timestamp.sigstore.dev/api/v1/timestamp",
        )
    if named:
        raise InputError(
            f"timestamp authority {parts.hostname}: the URL contains a user name or a password",
            help="Give a URL without them, and change the password: other users of this machine "
            "could see it.",
        )
    return url


def timestamp(url: str, signature: bytes) -> bytes:
    """Get a timestamp over a signature, and return the response in DER.

    Its certificates are sorted as other clients expect.

    Raises:
        UnavailableError: If the authority refuses, or its answer is for another request.
        TransientError: If it does not answer, or the answer is not a timestamp.
    """
    from rfc3161_client import (
        HashAlgorithm,
        PKIStatus,
        TimestampRequestBuilder,
        decode_timestamp_response,
    )

    service = f"the timestamp authority {url}"
    request = TimestampRequestBuilder(signature, HashAlgorithm.SHA256).build()
    content = _post(
        service, url, request.as_bytes(), "application/timestamp-query", limits.TIMESTAMP
    )
    try:
        content = timestamp_token.in_order(content)
        answer = decode_timestamp_response(content)
        if answer.status not in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS):
            reason = "; ".join(answer.status_string)[:200] or PKIStatus(answer.status).name
            raise UnavailableError(f"{service} refused the request: {reason}", help=AGAIN)
        nonce = answer.tst_info.nonce
    except ValueError as e:
        raise TransientError(f"{service} did not return a timestamp") from e
    if nonce != request.nonce:
        raise UnavailableError(f"{service} returned the answer to another request", help=AGAIN)
    return content


def entry(log: LogService, envelope: Envelope, public_key: EllipticCurvePublicKey) -> LogEntry:
    """Add the signature in an envelope to a log, and return the entry.

    Raises:
        UnavailableError: If the log refuses.
        TransientError: If it does not answer, or the answer is not an entry.
    """
    service = f"the transparency log {log.url}"
    make_request = _v1_request if log.version == 1 else _v2_request
    body = json.dumps(make_request(envelope, public_key)).encode()
    content = _post(service, log.url, body, "application/json", limits.LOG_ENTRY)
    try:
        answer = parse_object(content)
        value = _v1_entry(answer) if log.version == 1 else answer
        return log_entry.read(Message(value, "", log_entry.FIELDS), proof_required=True)
    except (JsonError, ProtoJsonError, ValueError, TypeError, KeyError) as e:
        raise TransientError(f"{service} did not return a log entry") from e


def _v2_request(envelope: Envelope, public_key: EllipticCurvePublicKey) -> Mapping[str, Any]:
    """Return a CreateEntryRequest (https://github.com/sigstore/rekor-tiles)."""
    signed = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    return {
        "hashedRekordRequestV002": {
            "digest": base64_of(hashlib.sha256(signed).digest()),
            "signature": {
                "content": base64_of(envelope.signature),
                "verifier": {
                    "publicKey": {"rawBytes": base64_of(pem.public_der(public_key))},
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                },
            },
        }
    }


def _v1_request(envelope: Envelope, public_key: EllipticCurvePublicKey) -> Mapping[str, Any]:
    """Return a request for Rekor v1 (https://github.com/sigstore/rekor, pkg/types/dsse/v0.0.1)."""
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "proposedContent": {
                "envelope": json.dumps(envelope_json(envelope)),
                "verifiers": [base64_of(pem.public_pem(public_key))],
            }
        },
    }


def _v1_entry(answer: dict[str, Any]) -> dict[str, Any]:
    """Convert an entry in the format of Rekor v1 to the format of bundles."""
    (entry,) = answer.values()
    verification, body = entry["verification"], parse_object(base64.b64decode(entry["body"]))
    proof = verification["inclusionProof"]
    return {
        "logIndex": str(entry["logIndex"]),
        "logId": {"keyId": base64_of(bytes.fromhex(entry["logID"]))},
        "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
        "integratedTime": str(entry["integratedTime"]),
        "inclusionPromise": {"signedEntryTimestamp": verification["signedEntryTimestamp"]},
        "inclusionProof": {
            "logIndex": str(proof["logIndex"]),
            "rootHash": base64_of(bytes.fromhex(proof["rootHash"])),
            "treeSize": str(proof["treeSize"]),
            "hashes": [base64_of(bytes.fromhex(h)) for h in proof["hashes"]],
            "checkpoint": {"envelope": proof["checkpoint"]},
        },
        "canonicalizedBody": entry["body"],
    }


def _post(service: str, url: str, body: bytes, content_type: str, limit: int) -> bytes:
    """Send a request to a service, and return the answer. Redirects are not followed.

    Raises:
        UnavailableError: If the service refuses, or the answer has more than `limit` bytes.
        TransientError: If the service does not answer or fails.
    """
    import requests

    headers = {"Content-Type": content_type, "User-Agent": f"onnx-provenance/{__version__}"}
    try:
        with requests.post(
            url, body, headers=headers, timeout=_TIMEOUT, stream=True, allow_redirects=False
        ) as answer:
            content = b""
            for chunk in answer.iter_content(65536):
                content += chunk
                if len(content) > limit:
                    raise UnavailableError(
                        f"{service} returned more than {limit:,} bytes", help=_REFUSED
                    )
            status = answer.status_code
    except requests.RequestException as e:
        raise TransientError(f"{service} does not answer ({type(e).__name__})") from e
    if 200 <= status < 300:
        return content
    reason = " ".join(content[:1000].decode("utf-8", "replace").split())[:200]
    message = f"{service} refused (HTTP {status}): {reason}".rstrip(": ")
    if status >= 500 or status == 429:
        raise TransientError(message)
    raise UnavailableError(message, help=_REFUSED)
