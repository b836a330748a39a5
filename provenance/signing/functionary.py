# SPDX-License-Identifier: Apache-2.0
"""Functionaries: the keys that sign the steps of a pipeline, with their in-toto key ids."""

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
    """Return the key with its key id, which `securesystemslib` computes."""
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    sslib_key = SSlibKey.from_crypto(key.public_key)
    return FunctionaryKey(
        key.path, sslib_key.keyid, sslib_key.to_dict() | {"keyid": sslib_key.keyid}
    )


@dataclass(frozen=True)
class Functionary:
    """A private key that signs links and layouts, with its public key."""

    public: FunctionaryKey
    key: SigningKey = field(repr=False)

    def sign(self, document: Mapping[str, Any]) -> bytes:
        """Sign a link or layout, and check that in-toto can read and verify the result.

        Raises:
            UnavailableError: As `SigningKey.sign`.
        """
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
    """Open the private key that `uri` names. The arguments are those of `open_key`.

    Raises:
        InputError: As `open_key`, and if `uri` is `keyless`.
        UnavailableError: As `open_key`.
    """
    if uri == KEYLESS:
        raise InputError(
            f"{how.option} {KEYLESS}: in-toto supports keys only, not identities",
            help=key_advice.make_one("builder.key", how.option),
        )
    opened = open_key(uri, public_key, ask, how)
    return Functionary(functionary_key(opened.public), opened)
