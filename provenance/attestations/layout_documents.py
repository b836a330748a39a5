# SPDX-License-Identifier: Apache-2.0
"""in-toto layouts and links (https://github.com/in-toto/specification, v1.0), in DSSE envelopes.

They are read strictly before `in-toto` sees them: it takes what `json` takes, a key twice included,
and reads files of any size. Its older form, which signs a canonical text that is made from what was
parsed, is not read: what was signed and what is judged have to be the same bytes.
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
    """Bytes that are not a signed layout or link. The message says why."""


@dataclass(frozen=True)
class Read:
    """A layout or link: the container that signatures are judged on, and what it says."""

    metadata: Any
    payload: Any


def read_layout(data: bytes) -> Read:
    """Return the layout in `data`; its signatures are not judged.

    Raises:
        DocumentError: If it is not a layout, or means something else than it seems to say.
    """
    found = _read(data, LAYOUT)
    _sound(found.payload)
    return found


def read_link(data: bytes) -> Read:
    """Return the link in `data`; its signatures are not judged.

    Raises:
        DocumentError: If it is not a link, or has other digests than SHA-256.
    """
    found = _read(data, LINK)
    for path, hashes in (*found.payload.materials.items(), *found.payload.products.items()):
        if set(hashes) != {"sha256"}:
            raise DocumentError(f"it has no SHA-256 of {path[:80]!r}, or something besides")
    return found


def _read(data: bytes, kind: str) -> Read:
    """Read a layout or link strictly, and then as in-toto does. Raises DocumentError."""
    from in_toto.models.metadata import Metadata

    try:
        envelope = parse_object(data)
        if "signed" in envelope:
            raise DocumentError("it is not in a DSSE envelope, but in the older form of in-toto")
        message = Message(envelope, "", ("payload", "payloadType", "signatures"))
        if message.text("payloadType") != PAYLOAD_TYPE:
            shown = message.text("payloadType")[:80]
            raise DocumentError(f"its payloadType is {shown!r}, not {PAYLOAD_TYPE}")
        signatures = message.messages("signatures", ("keyid", "sig"), MAX_SIGNATURES)
        for signature in signatures:
            signature.octets("sig")
        signers = tuple(s.text("keyid") for s in signatures)
        if not all(_KEY_ID.fullmatch(s) for s in signers) or len(set(signers)) != len(signers):
            raise DocumentError("its signatures do not each name a key of their own")
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
        raise DocumentError(f"in-toto does not take it: {first_line(e)}") from e
    return Read(metadata, payload)


def _sound(layout: Any) -> None:
    """Raises DocumentError where a layout means something else than it seems to say."""
    if not layout.steps:
        raise DocumentError("it has no steps: nothing would have to be done")
    if max(len(layout.steps), len(layout.inspect), len(layout.keys)) > _MOST:
        raise DocumentError(f"it has more than {_MOST:,} steps, inspections or keys")
    for item in (*layout.steps, *layout.inspect):
        if not isinstance(item.name, str) or not item.name or "/" in item.name:
            raise DocumentError(f"{str(item.name)[:40]!r} is no name for a step")
    for step in layout.steps:
        if step.threshold < 1:
            raise DocumentError(f"step {step.name!r} has a threshold of {step.threshold}")
        for key_id in step.pubkeys:
            if key_id not in layout.keys:
                raise DocumentError(
                    f"step {step.name!r} names the key {key_id[:8]}, which it does not hold"
                )
    if [key.get("keyid") for key in layout.keys.values()] != list(layout.keys):
        raise DocumentError("it holds a key under another id than its own")
    # in-toto counts ids: one key under two of them would do a step twice.
    if len({_identity(key) for key in layout.keys.values()}) != len(layout.keys):
        raise DocumentError("it holds one key under two ids")


def _identity(key: Mapping[str, Any]) -> object:
    """What is the same for one public key however it is written: wrapped, in upper case, in PEM."""
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
    """What an error says, without the trace that in-toto adds."""
    return (str(e).splitlines() or [""])[0][:300]


def refusals() -> tuple[type[Exception], ...]:
    """What in-toto raises on what it does not take. It checks little before it uses it."""
    from in_toto.exceptions import InvalidMetadata
    from securesystemslib.exceptions import Error

    return (Error, InvalidMetadata, ValueError, TypeError, KeyError, AttributeError)


def link_name(step: str, key_id: str) -> str:
    """The name of the file with the link of a step: what `in-toto` looks for."""
    return f"{step}.{key_id[:8]}.link"


def step_of(file_name: str) -> tuple[str, str] | None:
    """The step and the beginning of the key id that a file name says; None where it says none."""
    match = _LINK_NAME.fullmatch(file_name)
    return (match["step"], match["key"]) if match else None


def need_in_toto(what: str) -> None:
    """Raises UnavailableError where `in-toto` is not installed."""
    if importlib.util.find_spec("in_toto") is None:
        raise UnavailableError(
            f"{what} needs in-toto, which is not installed",
            help="pip install 'onnx-provenance[layout]'",
        )
