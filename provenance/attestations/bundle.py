# SPDX-License-Identifier: Apache-2.0
"""Sigstore bundles: their paths, and reading them strictly.

This module reads bundles itself instead of with `sigstore_models`, for two reasons
(docs/adr/0005-reading-bundles.md): the models refuse proto3 JSON without zero values, which is
legal and which cosign writes, and they accept base64 that is not canonical. Bundles are written
with `sigstore_models` (`provenance.signing.key_signer`).
"""

from __future__ import annotations

import base64
import posixpath
import re
import secrets
from dataclasses import replace
from typing import Final

from provenance.artifacts import paths
from provenance.artifacts.documents.strict_json import JsonError, parse_object, type_name
from provenance.attestations import log_entry, recognition
from provenance.attestations.log_entry import LogEntry
from provenance.attestations.proto_json import Message, ProtoJsonError, canonical_octets
from provenance.attestations.statement import LARGE, PAYLOAD_TYPE
from provenance.frozen import dataclass

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
V01: Final = "application/vnd.dev.sigstore.bundle+json;version=0.1"
V02: Final = "application/vnd.dev.sigstore.bundle+json;version=0.2"
MEDIA_TYPES: Final = (MEDIA_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3", V02, V01)
SUFFIX: Final = ".sigstore.json"
SUMMARY_SUFFIX: Final = f".vsa{SUFFIX}"
MAX_TIMESTAMPS: Final = 32
"""Also the most log entries and signatures that are read before their number is refused."""
MAX_CHAIN: Final = 16
MAX_SIGNERS: Final = 9
"""The most signatures of a statement: its bundle and the countersignatures beside it."""


class BundleError(ValueError):
    """The bytes are not a bundle that this project accepts. The message says why."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope with exactly one signature (DER-encoded for ECDSA)."""

    payload: bytes
    payload_type: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature over the bytes of a file, as `cosign sign-blob` writes it.

    Attributes:
        sha256, sha384: The stated digest of the file. At most one of the two is set.
        is_of_file: Whether the verified file has the stated SHA-384, or None if they have not been
            compared yet.
    """

    sha256: str | None
    signature: bytes
    sha384: str | None = None
    is_of_file: bool | None = None

    def digests(self, sha256: str | None) -> dict[str, str]:
        """Return the known digests of the verified file, whose SHA-256 is `sha256`."""
        known = {"sha256": sha256 or ""}
        return known | {"sha384": self.sha384} if self.sha384 and self.is_of_file else known


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle: its content, the claimed signer, and the evidence of the signing time.

    Attributes:
        hint: The signing client's name for its key, or None if the signature is keyless. It proves
            nothing.
        certificate: The DER certificate of a keyless signature, or None if a key signed.
        chain: Further certificates, which only bundles before v0.3 have. They are not used: only a
            trusted root decides who may issue certificates.
        entry: The entry in a transparency log, or None.
        timestamps: RFC 3161 timestamp responses, in DER.
    """

    media_type: str
    content: Envelope | MessageSignature
    hint: str | None
    certificate: bytes | None
    entry: LogEntry | None = None
    timestamps: tuple[bytes, ...] = ()
    chain: tuple[bytes, ...] = ()

    @property
    def key_sha256(self) -> str | None:
        """The hint in hex, if it is the base64 of a SHA-256, as cosign writes it.

        None for every other hint: its meaning depends on the client that wrote it.
        """
        try:
            raw = base64.b64decode(self.hint or "", validate=True)
        except ValueError:
            return None
        return raw.hex() if len(raw) == 32 else None

    @property
    def says_when(self) -> bool:
        """Whether there is evidence of the signing time: a timestamp, or the promise of a log."""
        return bool(self.timestamps) or (self.entry is not None and self.entry.promise is not None)


def seed_attestation_path(registry_folder: str, onnx: str, row_bundle: str) -> str:
    """Return the path of the seed attestation of `onnx`: beside the row bundle."""
    folder = paths.join(registry_folder, row_bundle).rpartition("/")[0]
    return paths.join(folder, f"{onnx}.provenance{SUFFIX}")


def summary_path(registry_path: str, row_bundles: list[str]) -> str:
    """Return the path of the release summary: in the deepest folder that contains all row bundles.

    Without bundles, it is beside the registry. All paths are relative to the root.
    """
    folder, _, name = registry_path.rpartition("/")
    folders = [b.rpartition("/")[0] for b in row_bundles] or [folder]
    return posixpath.join(posixpath.commonpath(folders), f"{name}{SUMMARY_SUFFIX}")


def countersignature_path(bundle: str, number: int) -> str:
    """Return the path of the second, third, … signer's signature: `m.onnx.2.sigstore.json`."""
    return f"{bundle.removesuffix(SUFFIX)}.{number}{SUFFIX}"


def decode(data: bytes) -> Bundle:
    """Return the bundle in `data`.

    Raises:
        BundleError: If `data` is not strict JSON, has an unsupported version, or does not have
            exactly one signature by one key or certificate over one message or in-toto payload.
    """
    # The payload of a large bundle is decoded separately, so that memory holds it only once.
    apart = _payload_apart(data) if len(data) > LARGE else None
    if apart is not None:
        payload, mark, rest = apart
        try:
            found = _decode(rest)
        except BundleError:
            return _decode(data)  # raises the error for the whole bundle
        if isinstance(found.content, Envelope) and found.content.payload == mark:
            return replace(found, content=replace(found.content, payload=payload))
    return _decode(data)


_PAYLOAD: Final = re.compile(rb'"payload" ?: ?"([A-Za-z0-9+/]++={0,2})"')


def _payload_apart(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return the first payload in a bundle, a mark, and the bundle with the mark in its place.

    The mark is random, so if it is the payload of the decoded envelope, the text that it replaced
    was that payload. Return None if no payload is found in the usual format.
    """
    found = _PAYLOAD.search(data)
    if found is None:
        return None
    view, (start, end) = memoryview(data), found.span(1)
    payload = canonical_octets(view[start:end])
    if payload is None:
        return None
    mark = secrets.token_bytes(24)
    return payload, mark, b"".join((view[:start], base64.b64encode(mark), view[end:]))


def _decode(data: bytes) -> Bundle:
    try:
        value = parse_object(data)
    except JsonError as e:
        named = recognition.name_of(data)
        reason = f"it is {named}, expected one Sigstore bundle" if named else f"the bundle {e}"
        raise BundleError(reason) from e
    media_type = value.get("mediaType")
    if media_type not in MEDIA_TYPES:
        named = recognition.name_of(data)
        if named not in (None, recognition.BUNDLE):
            raise BundleError(f"it is {named}, expected a Sigstore bundle")
        found = repr(media_type) if isinstance(media_type, str) else type_name(media_type)
        prefix = "unsupported: " if isinstance(media_type, str) else ""
        raise BundleError(f"{prefix}its mediaType is {found[:120]}, expected {MEDIA_TYPE}")
    known = ("mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope")
    try:
        return _bundle(media_type, Message(value, "", known))
    except ProtoJsonError as e:
        raise BundleError(str(e)) from e


def _bundle(media_type: str, value: Message) -> Bundle:
    material = value.message(
        "verificationMaterial",
        (
            "publicKey",
            "certificate",
            "x509CertificateChain",
            "tlogEntries",
            "timestampVerificationData",
        ),
    )
    hint, certificates = _signer(media_type, material)
    certificate = certificates[0] if certificates else None
    entry = _entry(media_type, material)
    timestamps = _timestamps(material)
    if certificate is not None and entry is None and not timestamps:
        raise ProtoJsonError("it has no evidence of the signing time: no log entry or timestamp")
    if value.has("messageSignature") == value.has("dsseEnvelope"):
        raise ProtoJsonError("it needs exactly one of messageSignature and dsseEnvelope")
    content: Envelope | MessageSignature
    if value.has("dsseEnvelope"):
        content = _envelope(value.message("dsseEnvelope", ("payload", "payloadType", "signatures")))
    else:
        content = _message(value.message("messageSignature", ("messageDigest", "signature")))
    return Bundle(media_type, content, hint, certificate, entry, timestamps, certificates[1:])


def _signer(media_type: str, material: Message) -> tuple[str | None, tuple[bytes, ...]]:
    of_key, of_certificate = material.has("publicKey"), material.has("certificate")
    if of_key + of_certificate + material.has("x509CertificateChain") != 1:
        raise ProtoJsonError(
            "verificationMaterial needs exactly one of publicKey, certificate and "
            "x509CertificateChain"
        )
    if of_key:
        return material.message("publicKey", ("hint",)).text("hint"), ()
    older = media_type in (V01, V02)
    if of_certificate:
        if older:
            raise ProtoJsonError("expected x509CertificateChain in a bundle before v0.3")
        return None, (material.message("certificate", ("rawBytes",)).octets("rawBytes"),)
    if not older:
        raise ProtoJsonError(
            "expected one certificate in a bundle v0.3, found an x509CertificateChain"
        )
    chain = material.message("x509CertificateChain", ("certificates",))
    certificates = chain.messages("certificates", ("rawBytes",), MAX_CHAIN)
    if not certificates:
        raise ProtoJsonError(f"{chain.where} has no certificate")
    return None, tuple(c.octets("rawBytes") for c in certificates)


def _entry(media_type: str, material: Message) -> LogEntry | None:
    entries = material.messages("tlogEntries", log_entry.FIELDS, MAX_TIMESTAMPS)
    if len(entries) > 1:
        raise ProtoJsonError(f"it has {len(entries)} log entries, expected at most one")
    if not entries:
        return None
    entry = log_entry.read(entries[0], proof_required=media_type != V01)
    if media_type == V01 and entry.promise is None:
        raise ProtoJsonError(f"{entries[0].where} has no promise, which v0.1 requires")
    return entry


def _timestamps(material: Message) -> tuple[bytes, ...]:
    if not material.has("timestampVerificationData"):
        return ()
    holder = material.message("timestampVerificationData", ("rfc3161Timestamps",))
    found = holder.messages("rfc3161Timestamps", ("signedTimestamp",), MAX_TIMESTAMPS)
    timestamps = tuple(t.octets("signedTimestamp") for t in found)
    if len(set(timestamps)) != len(timestamps):
        raise ProtoJsonError(f"{holder.where} has the same timestamp twice")
    return timestamps


def _envelope(value: Message) -> Envelope:
    payload_type = value.text("payloadType")
    if not payload_type:
        raise ProtoJsonError("dsseEnvelope has no payloadType")
    if payload_type != PAYLOAD_TYPE:
        raise ProtoJsonError(f"its payloadType is {payload_type[:80]!r}, not {PAYLOAD_TYPE}")
    signatures = value.messages("signatures", ("sig", "keyid"), MAX_TIMESTAMPS)
    if len(signatures) != 1:
        raise ProtoJsonError(f"dsseEnvelope needs exactly one signature, found {len(signatures)}")
    signatures[0].text("keyid")  # must be a string; it is not used
    return Envelope(
        payload=value.octets("payload"),
        payload_type=payload_type,
        signature=signatures[0].octets("sig"),
    )


def _message(value: Message) -> MessageSignature:
    sha256 = sha384 = None
    if value.has("messageDigest"):
        digest = value.message("messageDigest", ("algorithm", "digest"))
        algorithm = digest.text("algorithm")
        if algorithm not in ("SHA2_256", "SHA2_384"):
            raise ProtoJsonError(
                "messageSignature.messageDigest is unsupported: expected SHA2_256 or SHA2_384, "
                f"found {algorithm[:40]!r}"
            )
        stated = digest.octets("digest").hex()
        sha256, sha384 = (stated, None) if algorithm == "SHA2_256" else (None, stated)
    return MessageSignature(sha256, value.octets("signature"), sha384)
