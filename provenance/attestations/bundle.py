# SPDX-License-Identifier: Apache-2.0
"""Sigstore bundles: where one lives, and reading it strictly.

Read by our own few lines, not by `sigstore_models`, for two reasons measured in
docs/adr/0005-reading-bundles.md: the models refuse proto3 JSON that leaves out zero values, which
is legal and which cosign writes; and they accept base64 that is not canonical. Bundles are written
with `sigstore_models` (`provenance.signing.keyed`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from provenance.artifacts import paths
from provenance.artifacts.strict_json import JsonError, parse_object, type_name
from provenance.attestations.statement import PAYLOAD_TYPE

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
MEDIA_TYPES: Final = (MEDIA_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3")
SUFFIX: Final = ".sigstore.json"


class BundleError(ValueError):
    """Bytes that are not a bundle as this project accepts it. The message says why."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope with its one signature (DER-encoded for ECDSA)."""

    payload: bytes
    payload_type: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature over a file's bytes, as `cosign sign-blob` writes it."""

    sha256: str | None
    signature: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle with its content and, for key signatures, the hint that names the key.

    `certificate` is the DER certificate of a keyless signature. Either it or `hint` is None.
    """

    media_type: str
    content: Envelope | MessageSignature
    hint: str | None
    certificate: bytes | None


def seed_attestation_path(registry_folder: str, onnx: str, row_bundle: str) -> str:
    """Where the seed attestation of `onnx` lives: beside the row bundle."""
    folder = paths.join(registry_folder, row_bundle).rpartition("/")[0]
    return paths.join(folder, f"{onnx}.provenance{SUFFIX}")


def summary_path(registry_path: str, row_bundles: list[str]) -> str:
    """Where the release summary lives: in the folder below which all row bundles lie.

    Paths are relative to the root, as is the result. Without bundles, beside the registry.
    """
    folder, _, name = registry_path.rpartition("/")
    parents = [b.rpartition("/")[0] for b in row_bundles]
    common = parents[0].split("/") if parents else folder.split("/")
    for parent in parents[1:]:
        steps = parent.split("/")
        shared = 0
        while shared < min(len(steps), len(common)) and steps[shared] == common[shared]:
            shared += 1
        common = common[:shared]
    return "/".join([*(s for s in common if s), f"{name}.vsa{SUFFIX}"])


def decode(data: bytes) -> Bundle:
    """The bundle that `data` holds.

    Raises:
        BundleError: It is not strict JSON, of another version, or not exactly one signature by one
            key or certificate over one message or in-toto payload.
    """
    try:
        value = parse_object(data)
    except JsonError as e:
        raise BundleError(f"the bundle {e}") from e
    media_type = value.get("mediaType")
    if media_type not in MEDIA_TYPES:
        found = repr(media_type) if isinstance(media_type, str) else type_name(media_type)
        raise BundleError(f"its mediaType is {found[:120]}; this version reads {MEDIA_TYPE}")
    _only(value, {"mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope"})
    hint, certificate = _material(_object(value, "verificationMaterial"))
    has_message = value.get("messageSignature") is not None
    has_envelope = value.get("dsseEnvelope") is not None
    if has_message == has_envelope:
        raise BundleError("it needs exactly one of messageSignature and dsseEnvelope")
    content: Envelope | MessageSignature
    if has_envelope:
        content = _envelope(_object(value, "dsseEnvelope"))
    else:
        content = _message(_object(value, "messageSignature"))
    return Bundle(media_type, content, hint, certificate)


def _material(value: Mapping[str, Any]) -> tuple[str | None, bytes | None]:
    _only(
        value,
        {
            "publicKey",
            "certificate",
            "x509CertificateChain",
            "tlogEntries",
            "timestampVerificationData",
        },
        "verificationMaterial.",
    )
    entries = value.get("tlogEntries", [])
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise BundleError("verificationMaterial.tlogEntries is not a list of objects")
    if not isinstance(value.get("timestampVerificationData", {}), dict):
        raise BundleError("verificationMaterial.timestampVerificationData is not an object")
    kinds = [
        k for k in ("publicKey", "certificate", "x509CertificateChain") if value.get(k) is not None
    ]
    if len(kinds) != 1:
        raise BundleError(
            "verificationMaterial needs exactly one of publicKey, certificate and "
            "x509CertificateChain"
        )
    if kinds[0] == "publicKey":
        key = _object(value, "publicKey", "verificationMaterial.")
        _only(key, {"hint"}, "verificationMaterial.publicKey.")
        hint = key.get("hint", "")  # proto3 JSON may leave out an empty string
        if not isinstance(hint, str):
            raise BundleError("verificationMaterial.publicKey.hint is not a string")
        return hint, None
    if kinds[0] == "certificate":
        holder = _object(value, "certificate", "verificationMaterial.")
        return None, _bytes(holder, "rawBytes", "verificationMaterial.certificate.")
    raise BundleError("certificate chains are of older bundle versions; v0.3 has one certificate")


def _envelope(value: Mapping[str, Any]) -> Envelope:
    _only(value, {"payload", "payloadType", "signatures"}, "dsseEnvelope.")
    payload_type = value.get("payloadType")
    if not isinstance(payload_type, str) or not payload_type:
        raise BundleError("dsseEnvelope has no payloadType")
    if payload_type != PAYLOAD_TYPE:
        raise BundleError(f"its payloadType is {payload_type[:80]!r}, not {PAYLOAD_TYPE}")
    signatures = value.get("signatures")
    count = len(signatures) if isinstance(signatures, list) else 0
    if not isinstance(signatures, list) or count != 1 or not isinstance(signatures[0], dict):
        raise BundleError(f"dsseEnvelope needs exactly one signature, found {count}")
    _only(signatures[0], {"sig", "keyid"}, "dsseEnvelope.signatures[0].")
    return Envelope(
        payload=_bytes(value, "payload", "dsseEnvelope."),
        payload_type=payload_type,
        signature=_bytes(signatures[0], "sig", "dsseEnvelope.signatures[0]."),
    )


def _message(value: Mapping[str, Any]) -> MessageSignature:
    _only(value, {"messageDigest", "signature"}, "messageSignature.")
    sha256 = None
    if value.get("messageDigest") is not None:
        digest = _object(value, "messageDigest", "messageSignature.")
        if digest.get("algorithm") != "SHA2_256":
            raise BundleError("messageSignature.messageDigest is not SHA2_256")
        sha256 = _bytes(digest, "digest", "messageSignature.messageDigest.").hex()
    return MessageSignature(sha256, _bytes(value, "signature", "messageSignature."))


def _object(value: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any]:
    found = value.get(key)
    if not isinstance(found, dict):
        raise BundleError(f"{where}{key} is {type_name(found)}, not an object")
    return found


def _only(value: Mapping[str, Any], known: set[str], where: str = "") -> None:
    unknown = value.keys() - known
    if unknown:
        raise BundleError(f"it has an unknown field {where}{sorted(unknown)[0][:80]}")


def _bytes(value: Mapping[str, Any], key: str, where: str) -> bytes:
    """Canonical base64: two spellings of one signature would be two bundles of one meaning."""
    found = value.get(key)
    if not isinstance(found, str) or not found:
        raise BundleError(f"{where}{key} is missing")
    try:
        decoded = base64.b64decode(found, validate=True)
    except (binascii.Error, ValueError) as e:
        raise BundleError(f"{where}{key} is not base64") from e
    if base64.b64encode(decoded).decode() != found:
        raise BundleError(f"{where}{key} is not canonical base64")
    return decoded
