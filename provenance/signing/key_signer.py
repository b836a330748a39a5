# SPDX-License-Identifier: Apache-2.0
"""Signing with a key.

Signing goes through `securesystemslib` signers and bundles through `sigstore_models`, so that what
is written is what other clients read.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provenance.attestations.bundle import MEDIA_TYPE, Bundle
from provenance.attestations.dsse import pre_authentication_encoding
from provenance.attestations.statement import PAYLOAD_TYPE
from provenance.errors import InputError
from provenance.signing import keyed, pem
from provenance.signing.judgement import Verdict
from provenance.signing.trust import OF_THIS_RUN, Trust, TrustedKey

FILE_SCHEME: Final = "file:"


@dataclass(frozen=True)
class KeySigner:
    """Signs statements with one key."""

    key: TrustedKey
    _sign: Callable[[bytes], bytes]

    @property
    def own(self) -> Trust:
        """Trust in this key alone."""
        return Trust(OF_THIS_RUN, (self.key,))

    def distrusted(self, declared: Trust) -> str | None:
        """As `StatementSigner`: why this key is not trusted."""
        return None if declared.key_for(self.key.hint) else f"the key {self.key.path}"

    def has_signed(self, bundle: Bundle, declared: Trust | None) -> bool:
        """Whether this very key made the valid signature in `bundle`."""
        return keyed.judge(bundle, self.own, None).verdict is Verdict.VALID

    def sign(self, payloads: Sequence[bytes], signed: Callable[[], None]) -> list[bytes]:
        """As `StatementSigner`.

        Raises:
            UnavailableError: The signer did not sign.
        """
        made: list[bytes] = []
        for payload in payloads:
            made.append(self._bundle(payload))
            signed()
        return made

    def _bundle(self, payload: bytes) -> bytes:
        from sigstore_models.bundle.v1 import Bundle as Model
        from sigstore_models.bundle.v1 import VerificationMaterial
        from sigstore_models.common.v1 import PublicKeyIdentifier
        from sigstore_models.intoto import Envelope as DsseEnvelope
        from sigstore_models.intoto import Signature

        signature = self._sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        model = Model(
            media_type=MEDIA_TYPE,
            verification_material=VerificationMaterial(
                public_key=PublicKeyIdentifier(hint=self.key.hint), tlog_entries=[]
            ),
            dsse_envelope=DsseEnvelope(
                # The model's bytes fields take the base64 text that proto3 JSON carries.
                payload=base64.b64encode(payload),
                payload_type=PAYLOAD_TYPE,
                signatures=[Signature(sig=base64.b64encode(signature))],
            ),
        )
        return model.to_json().encode("utf-8")


def open_signer(uri: str) -> KeySigner:
    """The signer that `uri` names: `file:PATH`, an ECDSA P-256 private key in PEM.

    Raises:
        InputError: The URI's scheme is unknown, or the file is no such key.
    """
    if not uri.startswith(FILE_SCHEME):
        scheme = uri.partition(":")[0]
        raise InputError(f"--signer {scheme}: this version signs with {FILE_SCHEME}PATH")
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    path = Path(uri.removeprefix(FILE_SCHEME))
    private = pem.load_private_key(pem.read_file(path), str(path))
    signer = CryptoSigner(private)

    def sign(data: bytes) -> bytes:
        return bytes.fromhex(signer.sign(data).signature)

    return KeySigner(TrustedKey(str(path), private.public_key()), sign)
