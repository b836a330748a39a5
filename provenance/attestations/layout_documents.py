# SPDX-License-Identifier: Apache-2.0
"""in-toto layouts and links (https://github.com/in-toto/specification, v1.0), in DSSE envelopes.

They are read strictly before they are passed to `in-toto`, which accepts all that `json` accepts,
including duplicate keys, and files of any size. The older format without an envelope is refused: it
signs a canonical form of the parsed document, not the bytes that are verified.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from provenance.artifacts.documents.strict_json import JsonError, parse_object, type_name
from provenance.attestations.proto_json import Message, ProtoJsonError
from provenance.attestations.statement import PAYLOAD_TYPE
from provenance.errors import UnavailableError
from provenance.frozen import dataclass

LAYOUT: Final = "layout"
LINK: Final = "link"
MAX_SIGNATURES: Final = 64
_MOST: Final = 1_000
"""Steps, inspections and keys of a layout."""

_KEY_ID: Final = re.compile(r"[0-9a-f]{8,128}")
_LINK_NAME: Final = re.compile(r"(?P<step>.+)\.(?P<key>[0-9a-f]{8})\.link", re.DOTALL)


class DocumentError(ValueError):
    """The bytes are not a signed layout or link. The message says why."""


@dataclass(frozen=True)
class Read:
    """A layout or link: in-toto's `metadata` with the signatures, and its `payload`."""

    metadata: Any
    payload: Any


def read_layout(data: bytes) -> Read:
    """Return the layout in `data`, without verifying its signatures.

    Raises:
        DocumentError: If `data` is not a layout, or the layout is misleading.
    """
    found = _read(data, LAYOUT)
    _sound(found.payload)
    return found


def read_link(data: bytes) -> Read:
    """Return the link in `data`, without verifying its signatures.

    Raises:
        DocumentError: If `data` is not a link, or has other digests than SHA-256.
    """
    found = _read(data, LINK)
    for path, hashes in (*found.payload.materials.items(), *found.payload.products.items()):
        if set(hashes) != {"sha256"}:
            raise DocumentError(f"expected exactly one digest, a SHA-256, for {path[:80]!r}")
    return found


def _read(data: bytes, kind: str) -> Read:
    """Read a layout or link strictly, and then as in-toto does. Raises DocumentError."""
    from in_toto.models.metadata import Metadata

    try:
        envelope = parse_object(data)
        if "signed" in envelope:
            raise DocumentError("expected a DSSE envelope, found the older format of in-toto")
        message = Message(envelope, "", ("payload", "payloadType", "signatures"))
        if message.text("payloadType") != PAYLOAD_TYPE:
            shown = message.text("payloadType")[:80]
            raise DocumentError(f"its payloadType is {shown!r}, not {PAYLOAD_TYPE}")
        signatures = message.messages("signatures", ("keyid", "sig"), MAX_SIGNATURES)
        for signature in signatures:
            signature.octets("sig")
        signers = tuple(s.text("keyid") for s in signatures)
        if not all(_KEY_ID.fullmatch(s) for s in signers) or len(set(signers)) != len(signers):
            raise DocumentError("each of its signatures must name a different key")
        found = parse_object(message.octets("payload")).get("_type")
    except (JsonError, ProtoJsonError) as e:
        raise DocumentError(str(e)) from e
    if found != kind:
        shown = repr(found[:40]) if isinstance(found, str) else type_name(found)
        raise DocumentError(f"its _type is {shown}, not {kind!r}")
    try:
        metadata = Metadata.from_dict(envelope)
        payload = metadata.get_payload()
        payload.validate()
    except refusals() as e:
        raise DocumentError(f"in-toto does not accept it: {first_line(e)}") from e
    return Read(metadata, payload)


def _sound(layout: Any) -> None:
    """Raise DocumentError if a layout is misleading, such as a step without a valid threshold."""
    if not layout.steps:
        raise DocumentError("it has no steps, so it would require nothing")
    if max(len(layout.steps), len(layout.inspect), len(layout.keys)) > _MOST:
        raise DocumentError(f"it has more than {_MOST:,} steps, inspections or keys")
    for item in (*layout.steps, *layout.inspect):
        if not isinstance(item.name, str) or not item.name or "/" in item.name:
            raise DocumentError(f"{str(item.name)[:40]!r} is not a valid name for a step")
    for step in layout.steps:
        if step.threshold < 1:
            raise DocumentError(
                f"step {step.name!r} has a threshold of {step.threshold}, expected 1 or more"
            )
        for key_id in step.pubkeys:
            if key_id not in layout.keys:
                raise DocumentError(
                    f"step {step.name!r} names the key {key_id[:8]}, which the layout does not have"
                )
    if [key.get("keyid") for key in layout.keys.values()] != list(layout.keys):
        raise DocumentError("it has a key under the id of another key")
    # in-toto counts ids: one key under two ids would count twice for a threshold.
    if len({_identity(key) for key in layout.keys.values()}) != len(layout.keys):
        raise DocumentError("it has the same key under two ids")


def _identity(key: Mapping[str, Any]) -> object:
    """Return a value that is equal for all spellings of one public key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    value = key.get("keyval")
    public = value.get("public") if isinstance(value, dict) else None
    if not isinstance(public, str):
        return json.dumps(value)
    try:
        loaded = load_pem_public_key(public.encode("utf-8"))
        return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return public.strip().lower()  # an Ed25519 key, in hex


def first_line(e: Exception) -> str:
    """Return the message of an error, without the trace that in-toto adds."""
    return (str(e).splitlines() or [""])[0][:300]


def refusals() -> tuple[type[Exception], ...]:
    """Return the errors that in-toto raises for invalid documents, which it checks only partly."""
    from in_toto.exceptions import InvalidMetadata
    from securesystemslib.exceptions import Error

    return (Error, InvalidMetadata, ValueError, TypeError, KeyError, AttributeError)


def link_name(step: str, key_id: str) -> str:
    """Return the file name of the link of a step, as `in-toto` expects it."""
    return f"{step}.{key_id[:8]}.link"


def step_of(file_name: str) -> tuple[str, str] | None:
    """Return the step and the start of the key id in the file name of a link, or None."""
    match = _LINK_NAME.fullmatch(file_name)
    return (match["step"], match["key"]) if match else None


def need_in_toto(what: str) -> None:
    """Raise UnavailableError if `in-toto` is not installed. `what` needs it."""
    if importlib.util.find_spec("in_toto") is None:
        raise UnavailableError(
            f"{what} needs in-toto, which is not installed",
            help="pip install 'onnx-provenance[layout]'",
        )
