# SPDX-License-Identifier: Apache-2.0
"""Recognize the kind of a file, to report a wrong one by its name.

Many documents of Sigstore, TUF and in-toto look alike, and tools write files with one document per
line. A reader that expects one of them can name what it got instead. Nothing is verified.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from provenance.artifacts.documents.strict_json import JsonError, parse_object

BUNDLE: Final = "a Sigstore bundle"
TRUSTED_ROOT: Final = "a trusted root"
CLIENT_CONFIG: Final = "a client trust configuration"
SIGNING_CONFIG: Final = "a signing configuration"
PUBLIC_KEY: Final = "a public key"
PRIVATE_KEY: Final = "a private key"

MAX_LINES: Final = 1000
"""Documents of a file with one per line: the most that `gh` downloads."""

_MEDIA_TYPES: Final = {
    "application/vnd.dev.sigstore.bundle": BUNDLE,
    "application/vnd.dev.sigstore.trustedroot": TRUSTED_ROOT,
    "application/vnd.dev.sigstore.clienttrustconfig": CLIENT_CONFIG,
    "application/vnd.dev.sigstore.signingconfig": SIGNING_CONFIG,
    "application/vnd.oci.image": "an OCI manifest",
    "application/vnd.docker.distribution": "a Docker manifest",
}
_MEMBERS: Final = (
    ({"payload", "payloadType", "signatures"}, "a DSSE envelope without a bundle around it"),
    ({"base64Signature"}, "a signature in the former format of cosign"),
    ({"attestations"}, "an answer of GitHub's attestation API"),
    ({"tlogs", "certificateAuthorities"}, TRUSTED_ROOT),
    ({"caUrls"}, SIGNING_CONFIG),
    ({"rekorTlogUrls"}, SIGNING_CONFIG),
    ({"trustedRoot"}, CLIENT_CONFIG),
    ({"verificationMaterial"}, BUNDLE),
)
_SIGNED: Final = {
    "root": "TUF metadata (root)",
    "targets": "TUF metadata (targets)",
    "snapshot": "TUF metadata (snapshot)",
    "timestamp": "TUF metadata (timestamp)",
    "mirrors": "TUF metadata (mirrors)",
    "layout": "an in-toto layout",
    "link": "an in-toto link",
}
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_LABELS: Final = (
    ("PRIVATE KEY", PRIVATE_KEY),
    ("PUBLIC KEY", PUBLIC_KEY),
    ("CERTIFICATE", "a certificate"),
)


def name_of(data: bytes) -> str | None:
    """Return what a file is, with its article, or None if its kind is not known."""
    pem = _PEM.match(data.lstrip()[:64])
    if pem is not None:
        label = pem[1].decode()
        return next((name for end, name in _LABELS if label.endswith(end)), "a file in PEM")
    documents = lines(data)
    if len(documents) > 1:
        names = {name_of(line) for line in documents}
        of = names.pop() if len(names) == 1 else None
        return f"{len(documents)} lines of JSON" + (f", each {of}" if of else "")
    try:
        return _of_object(parse_object(data))
    except JsonError:
        return None


def is_lines_of(name: str, data: bytes) -> bool:
    """Return whether a file has several documents of the kind `name`, one per line."""
    documents = lines(data)
    return len(documents) > 1 and all(name_of(line) == name for line in documents)


def lines(data: bytes) -> tuple[bytes, ...]:
    """Return the JSON objects of a file with one per line, or else the whole file as one."""
    found = [line.strip() for line in data.split(b"\n", MAX_LINES + 1)]
    found = [line for line in found if line]
    if not 1 < len(found) <= MAX_LINES or not all(
        line.startswith(b"{") and line.endswith(b"}") for line in found
    ):
        return (data,)
    try:
        for line in found:
            parse_object(line)
    except JsonError:
        return (data,)
    return tuple(found)


def _of_object(value: Mapping[str, Any]) -> str | None:
    media_type = value.get("mediaType")
    if isinstance(media_type, str):
        for start, name in _MEDIA_TYPES.items():
            if media_type.startswith(start):
                return name
    signed = value.get("signed")
    if isinstance(signed, dict) and "signatures" in value:
        kind = signed.get("_type")
        return _SIGNED.get(kind) if isinstance(kind, str) else None
    kind = value.get("_type")
    if isinstance(kind, str) and kind.startswith("https://in-toto.io/Statement/"):
        return "an in-toto statement that is not signed"
    if len(value) == 1:
        (only,) = value.values()
        if isinstance(only, dict) and {"body", "logIndex", "integratedTime"} <= only.keys():
            return "an entry of a Rekor log"
    return next((name for members, name in _MEMBERS if members <= value.keys()), None)
