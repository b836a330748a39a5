# SPDX-License-Identifier: Apache-2.0
"""Layouts and links as in-toto reads them, after they were read strictly."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from provenance.attestations import layout_documents
from provenance.attestations.layout_documents import LAYOUT, LINK, DocumentError

_MOST: Final = 1_000
"""Steps, inspections and keys of a layout."""


@dataclass(frozen=True)
class Read:
    """A layout or link: the container that signatures are judged on, and what it says."""

    metadata: Any
    payload: Any


def read_layout(data: bytes) -> Read:
    """The layout that `data` is. Its signatures are not judged.

    Raises:
        DocumentError: If it is not a layout, or means something else than it seems to say.
    """
    found = _parsed(layout_documents.read(data, LAYOUT))
    _sound(found.payload)
    return found


def read_link(data: bytes) -> Read:
    """The link that `data` is. Its signatures are not judged.

    Raises:
        DocumentError: If it is not a link, or has other digests than SHA-256.
    """
    found = _parsed(layout_documents.read(data, LINK))
    for path, hashes in (*found.payload.materials.items(), *found.payload.products.items()):
        if set(hashes) != {"sha256"}:
            raise DocumentError(f"it has no SHA-256 of {path[:80]!r}, or something besides")
    return found


def refusals() -> tuple[type[Exception], ...]:
    """What in-toto raises on what it does not take. It checks little before it uses it."""
    from in_toto.exceptions import InvalidMetadata
    from securesystemslib.exceptions import Error

    return (Error, InvalidMetadata, ValueError, TypeError, KeyError, AttributeError)


def _parsed(envelope: Mapping[str, Any]) -> Read:
    """The layout or link in an envelope as in-toto reads it. Raises DocumentError."""
    from in_toto.models.metadata import Metadata

    try:
        metadata = Metadata.from_dict(copy.deepcopy(dict(envelope)))
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
