# SPDX-License-Identifier: Apache-2.0
"""Shared helpers for tests of keyless signatures: an instance, and short verifying functions."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from functools import cache
from typing import Any, Final

from provenance.attestations.bundle import decode
from provenance.signing import judging, trusted_root
from provenance.signing.judgement import Judgement, Verdict
from provenance.signing.trust import Trust, TrustedIdentity
from tests.support.sigstore.instance import ISSUER, SUBJECT, Bundle, Instance

CONTENT: Final = b"the bytes of a model"
SHA256: Final = hashlib.sha256(CONTENT).hexdigest()
PAYLOAD: Final = b'{"any": "payload"}'


@cache
def instance() -> Instance:
    """Return the signing instance. Tests share it, because making one takes a while."""
    return Instance()


@cache
def stranger() -> Instance:
    """Return another instance, which the tests do not trust."""
    return Instance()


def trust(root: dict[str, Any] | None = None, **changes: Any) -> Trust:
    """Return trust in the release identity, with the root of the instance or another root."""
    value = root if root is not None else instance().trusted_root()
    read = trusted_root.decode(json.dumps(value).encode(), "root.json")
    known = Trust("tests", identities=(TrustedIdentity(ISSUER, SUBJECT),), root=read)
    return replace(known, **changes)


def mixed_root(*ours: str) -> Trust:
    """Return trust in the root of the stranger, with these parts of the instance's root."""
    root = instance().trusted_root()
    return trust(stranger().trusted_root() | {part: root[part] for part in ours})


def no_log() -> Trust:
    """Return trust in the root of the instance without its logs."""
    return trust(instance().trusted_root() | {"tlogs": []})


def judge(bundle: Bundle, who: Trust | None = None, sha256: str = SHA256) -> Judgement:
    """Verify a well-formed bundle."""
    return judging.judge(decode(json.dumps(bundle).encode()), who or trust(), sha256)


def refusal(bundle: Bundle, who: Trust | None = None, sha256: str = SHA256) -> str:
    """Return the reason why the signature of a bundle is invalid."""
    found = judge(bundle, who, sha256)
    assert found.verdict is Verdict.INVALID, found
    return found.reason


def accepted(bundle: Bundle, who: Trust | None = None, sha256: str = SHA256) -> Judgement:
    """Verify a bundle, and check that its signature is valid."""
    found = judge(bundle, who, sha256)
    assert found.verdict is Verdict.VALID, found
    return found


def material(bundle: Bundle) -> dict[str, Any]:
    """Return the verification material for changing it."""
    found: dict[str, Any] = bundle["verificationMaterial"]
    return found


def entry(bundle: Bundle) -> dict[str, Any]:
    """Return the log entry for changing it."""
    found: dict[str, Any] = material(bundle)["tlogEntries"][0]
    return found


def stamps(bundle: Bundle) -> list[dict[str, str]]:
    """Return the timestamps for changing them."""
    found: list[dict[str, str]] = material(bundle)["timestampVerificationData"]["rfc3161Timestamps"]
    return found


def signature(bundle: Bundle) -> bytes:
    """Return the signature."""
    if "dsseEnvelope" in bundle:
        return base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])
    return base64.b64decode(bundle["messageSignature"]["signature"])


def flipped(text: str, at: int = 20) -> str:
    """Return base64 with one bit of the bytes changed."""
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return base64.b64encode(raw).decode()


def other_payload(bundle: Bundle) -> None:
    """Replace the payload of an envelope with another one."""
    bundle["dsseEnvelope"]["payload"] = "e30="


def flip_signature(bundle: Bundle) -> None:
    """Change one bit of the signature of an envelope."""
    (signed,) = bundle["dsseEnvelope"]["signatures"]
    signed["sig"] = flipped(signed["sig"])


def flip_hash(bundle: Bundle) -> None:
    """Change one bit of the inclusion proof."""
    hashes = entry(bundle)["inclusionProof"]["hashes"]
    hashes[0] = flipped(hashes[0])
