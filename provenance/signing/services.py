# SPDX-License-Identifier: Apache-2.0
"""Asking timestamp authorities and a log about a signature that a key has made.

What they answer is parsed strictly and bounded; whether it holds is judged by `keyed`.
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
"""Seconds to connect and to answer. A log answers when its next checkpoint holds the entry."""

_REFUSED: Final = "Nothing was written. Is it the URL of that service, and does it take keys?"


@dataclass(frozen=True)
class LogService:
    """A transparency log that takes entries: where, and whether it is Rekor v1 or v2."""

    url: str
    version: int


@dataclass(frozen=True)
class Services:
    """Who is asked about each signature, and by which root what they answer is judged."""

    root: TrustedRoot
    timestamp_urls: tuple[str, ...] = ()
    log: LogService | None = None

    @property
    def states_time(self) -> bool:
        """Whether a signature can be dated by them: of the logs, only Rekor v1 signs a time."""
        return bool(self.timestamp_urls) or (self.log is not None and self.log.version == 1)


def checked_url(url: str) -> str:
    """The URL of a timestamp authority as the user gave it. Raises InputError."""
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
            f"timestamp authority {parts.hostname}: a URL with a name or password in it",
            help="Others on this machine could see it: take it as spent.",
        )
    return url


def timestamp(url: str, signature: bytes) -> bytes:
    """Return the answer of a timestamp authority about a signature, DER.

    Its certificates are put in the order in which other clients read them.

    Raises:
        UnavailableError: If it refuses, or answers another question.
        TransientError: If it does not answer, or not with a timestamp.
    """
    from rfc3161_client import (
        HashAlgorithm,
        PKIStatus,
        TimestampRequestBuilder,
        decode_timestamp_response,
    )

    who = f"the timestamp authority {url}"
    request = TimestampRequestBuilder(signature, HashAlgorithm.SHA256).build()
    content = _post(who, url, request.as_bytes(), "application/timestamp-query", limits.TIMESTAMP)
    try:
        content = timestamp_token.in_order(content)
        answer = decode_timestamp_response(content)
        if answer.status not in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS):
            said = "; ".join(answer.status_string)[:200] or PKIStatus(answer.status).name
            raise UnavailableError(f"{who} grants no timestamp: {said}", help=AGAIN)
        nonce = answer.tst_info.nonce
    except ValueError as e:
        raise TransientError(f"{who} does not answer with a timestamp") from e
    if nonce != request.nonce:
        raise UnavailableError(
            f"{who} answers another request than the one it was sent", help=AGAIN
        )
    return content


def entry(log: LogService, envelope: Envelope, public_key: EllipticCurvePublicKey) -> LogEntry:
    """Return the entry that a log has made of the signature in an envelope.

    Raises UnavailableError if it refuses, and TransientError if it does not answer with an entry.
    """
    who = f"the transparency log {log.url}"
    ask = _v1_request if log.version == 1 else _v2_request
    body = json.dumps(ask(envelope, public_key)).encode()
    content = _post(who, log.url, body, "application/json", limits.LOG_ENTRY)
    try:
        answer = parse_object(content)
        found = _v1_entry(answer) if log.version == 1 else answer
        return log_entry.read(Message(found, "", log_entry.FIELDS), proof_required=True)
    except (JsonError, ProtoJsonError, ValueError, TypeError, KeyError) as e:
        raise TransientError(f"{who} does not answer with an entry") from e


def _v2_request(envelope: Envelope, public_key: EllipticCurvePublicKey) -> Mapping[str, Any]:
    """https://github.com/sigstore/rekor-tiles, CreateEntryRequest."""
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
    """https://github.com/sigstore/rekor, pkg/types/dsse/v0.0.1."""
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
    """Rekor v1 answers with an entry in a form of its own; this is the one of bundles."""
    (found,) = answer.values()
    verification, body = found["verification"], parse_object(base64.b64decode(found["body"]))
    proof = verification["inclusionProof"]
    return {
        "logIndex": str(found["logIndex"]),
        "logId": {"keyId": base64_of(bytes.fromhex(found["logID"]))},
        "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
        "integratedTime": str(found["integratedTime"]),
        "inclusionPromise": {"signedEntryTimestamp": verification["signedEntryTimestamp"]},
        "inclusionProof": {
            "logIndex": str(proof["logIndex"]),
            "rootHash": base64_of(bytes.fromhex(proof["rootHash"])),
            "treeSize": str(proof["treeSize"]),
            "hashes": [base64_of(bytes.fromhex(h)) for h in proof["hashes"]],
            "checkpoint": {"envelope": proof["checkpoint"]},
        },
        "canonicalizedBody": found["body"],
    }


def _post(who: str, url: str, body: bytes, content_type: str, limit: int) -> bytes:
    """What a service answers, at most `limit` bytes of it. It is not followed to elsewhere."""
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
                        f"{who} answers with more than {limit} bytes", help=_REFUSED
                    )
            status = answer.status_code
    except requests.RequestException as e:
        raise TransientError(f"{who} does not answer ({type(e).__name__})") from e
    if 200 <= status < 300:
        return content
    said = " ".join(content[:1000].decode("utf-8", "replace").split())[:200]
    message = f"{who} refused (HTTP {status}): {said}".rstrip(": ")
    if status >= 500 or status == 429:
        raise TransientError(message)
    raise UnavailableError(message, help=_REFUSED)
