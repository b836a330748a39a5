# SPDX-License-Identifier: Apache-2.0
"""What the tests of keyless signatures share: one instance, and short words for judging."""

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
    """The instance that signs. Making one takes a while, so that tests share it."""
    return Instance()


@cache
def stranger() -> Instance:
    """Another instance, which nobody here trusts."""
    return Instance()


def trust(root: dict[str, Any] | None = None, **changes: Any) -> Trust:
    """Trust in the release identity, by the root of the instance or by another one."""
    value = root if root is not None else instance().trusted_root()
    read = trusted_root.decode(json.dumps(value).encode(), "root.json")
    known = Trust("tests", identities=(TrustedIdentity(ISSUER, SUBJECT),), root=read)
    return replace(known, **changes)


def judge(bundle: Bundle, who: Trust | None = None, sha256: str = SHA256) -> Judgement:
    """The judgement on a bundle that is well formed."""
    return judging.judge(decode(json.dumps(bundle).encode()), who or trust(), sha256)


def refusal(bundle: Bundle, who: Trust | None = None, sha256: str = SHA256) -> str:
    """Why the signature in a bundle is invalid."""
    found = judge(bundle, who, sha256)
    assert found.verdict is Verdict.INVALID, found
    return found.reason


def accepted(bundle: Bundle, who: Trust | None = None, sha256: str = SHA256) -> Judgement:
    """The judgement, which is that it counts."""
    found = judge(bundle, who, sha256)
    assert found.verdict is Verdict.VALID, found
    return found


def material(bundle: Bundle) -> dict[str, Any]:
    """The verification material, to be changed."""
    found: dict[str, Any] = bundle["verificationMaterial"]
    return found


def entry(bundle: Bundle) -> dict[str, Any]:
    """The log entry, to be changed."""
    found: dict[str, Any] = material(bundle)["tlogEntries"][0]
    return found


def stamps(bundle: Bundle) -> list[dict[str, str]]:
    """The timestamps, to be changed."""
    found: list[dict[str, str]] = material(bundle)["timestampVerificationData"]["rfc3161Timestamps"]
    return found


def signature(bundle: Bundle) -> bytes:
    """The signature itself."""
    if "dsseEnvelope" in bundle:
        return base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])
    return base64.b64decode(bundle["messageSignature"]["signature"])


def flipped(text: str, at: int = 20) -> str:
    """Base64 with one bit of the bytes changed."""
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return base64.b64encode(raw).decode()
