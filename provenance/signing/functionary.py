# SPDX-License-Identifier: Apache-2.0
"""Who does a step of a pipeline: a key, under the id that in-toto knows it by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from provenance.attestations.layout import FunctionaryKey
from provenance.attestations.statement import PAYLOAD_TYPE, pre_authentication_encoding
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.signing import key_advice
from provenance.signing.key_uris import KEYLESS, Given, SigningKey, open_key
from provenance.signing.schemes import Ask
from provenance.signing.sigstore_json import base64_of
from provenance.signing.trust import TrustedKey


def functionary_key(key: TrustedKey) -> FunctionaryKey:
    """Return the same key with the id that `securesystemslib` gives it."""
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    found = SSlibKey.from_crypto(key.public_key)
    return FunctionaryKey(key.path, found.keyid, found.to_dict() | {"keyid": found.keyid})


@dataclass(frozen=True)
class Functionary:
    """A private key that signs links and layouts."""

    public: FunctionaryKey
    key: SigningKey = field(repr=False)

    def sign(self, document: Mapping[str, Any]) -> bytes:
        """Return a signed link or layout that in-toto has read. Raises as `SigningKey.sign`."""
        from in_toto.models.metadata import Metadata

        payload = json.dumps(document, sort_keys=True).encode("utf-8")
        signature = self.key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        envelope = {
            "payload": base64_of(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": self.public.key_id, "sig": base64_of(signature)}],
        }
        data = json.dumps(envelope, sort_keys=True).encode("utf-8")
        read = Metadata.from_dict(json.loads(data))
        read.get_payload()
        read.verify_signature(dict(self.public.as_json))
        return data + b"\n"


def open_functionary(
    uri: str, how: Given, public_key: Path | None = None, ask: Ask | None = None
) -> Functionary:
    """Return the functionary whose private key `uri` names, as the user gave it by `how`.

    `public_key`, `ask` and errors are those of `open_key`.
    """
    if uri == KEYLESS:
        raise InputError(
            f"{how.option} {KEYLESS}: in-toto knows people by their keys, not by their identities",
            help=key_advice.make_one("builder.key", how.option),
        )
    opened = open_key(uri, public_key, ask, how)
    return Functionary(functionary_key(opened.public), opened)
