# SPDX-License-Identifier: Apache-2.0
"""in-toto layouts and links (https://github.com/in-toto/specification, v1.0), in DSSE envelopes.

They are read strictly before `in-toto` sees them: it takes what `json` takes, a key twice included,
and reads files of any size. Its older form, which signs a canonical text that is made from what was
parsed, is not read: what was signed and what is judged have to be the same bytes.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from typing import Any, Final

from provenance.artifacts.documents.strict_json import JsonError, parse_object, type_name
from provenance.attestations.proto_json import Message, ProtoJsonError
from provenance.attestations.statement import PAYLOAD_TYPE
from provenance.errors import UnavailableError

LAYOUT: Final = "layout"
LINK: Final = "link"
MAX_SIGNATURES: Final = 64
_KEY_ID: Final = re.compile(r"[0-9a-f]{8,128}")
_LINK_NAME: Final = re.compile(r"(?P<step>.+)\.(?P<key>[0-9a-f]{8})\.link", re.DOTALL)


class DocumentError(ValueError):
    """Bytes that are not a signed layout or link. The message says why."""


def read(data: bytes, kind: str) -> Mapping[str, Any]:
    """The envelope, as JSON, of the layout or link, as `kind` says, that `data` is.

    It is for `in-toto`, which changes what it is given. Nothing in it counts before a signature was
    judged.

    Raises:
        DocumentError: If it is not such a document.
    """
    try:
        envelope = parse_object(data)
        if "signed" in envelope:
            raise DocumentError("it is not in a DSSE envelope, but in the older form of in-toto")
        known = ("payload", "payloadType", "signatures")
        message = Message(envelope, "", known)
        if message.text("payloadType") != PAYLOAD_TYPE:
            shown = message.text("payloadType")[:80]
            raise DocumentError(f"its payloadType is {shown!r}, not {PAYLOAD_TYPE}")
        signatures = message.messages("signatures", ("keyid", "sig"), MAX_SIGNATURES)
        for signature in signatures:
            signature.octets("sig")
        signers = tuple(s.text("keyid") for s in signatures)
        if not all(_KEY_ID.fullmatch(s) for s in signers) or len(set(signers)) != len(signers):
            raise DocumentError("its signatures do not each name a key of their own")
        payload = parse_object(message.octets("payload"))
    except JsonError as e:
        raise DocumentError(str(e)) from e
    except ProtoJsonError as e:
        raise DocumentError(str(e)) from e
    found = payload.get("_type")
    if found != kind:
        shown = repr(found[:40]) if isinstance(found, str) else type_name(found)
        raise DocumentError(f"its _type is {shown}, not {kind!r}")
    return envelope


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
