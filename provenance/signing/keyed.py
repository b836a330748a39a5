# SPDX-License-Identifier: Apache-2.0
"""Signing with a key, and judging a bundle's signature against trusted keys.

Signing goes through `securesystemslib` signers and bundles through `sigstore_models`, so that what
is written is what other clients read. Verifying uses `cryptography` alone: it is what a consumer
waits for, and there is one algorithm.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provenance.artifacts import limits, paths
from provenance.attestations.bundle import MEDIA_TYPE, Bundle, Envelope
from provenance.attestations.statement import PAYLOAD_TYPE
from provenance.errors import InputError, UnavailableError
from provenance.signing import pem
from provenance.signing.trust import Trust, TrustedKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

FILE_SCHEME: Final = "file:"
SIGNER_HELP: Final = (
    "Sign with a local key: provenance keygen release, then --signer file:release.key "
    "(or set PROVENANCE_SIGNER)."
)


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What a DSSE signature is over (https://github.com/secure-systems-lab/dsse, protocol v1.0.0).

    Both lengths are in bytes, as ASCII decimals.
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class KeySigner:
    """Signs statements with one key."""

    key: TrustedKey
    _sign: Callable[[bytes], bytes]

    def sign(self, payload: bytes) -> bytes:
        """A v0.3 bundle (JSON) with `payload`, an in-toto statement, in a DSSE envelope.

        Raises:
            UnavailableError: The signer did not sign.
        """
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
        raise InputError(
            f"--signer {scheme}: this version signs with {FILE_SCHEME}PATH", help=SIGNER_HELP
        )
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    path = Path(uri.removeprefix(FILE_SCHEME))
    private = pem.load_private_key(read_key_file(path), str(path))
    signer = CryptoSigner(private)

    def sign(data: bytes) -> bytes:
        return bytes.fromhex(signer.sign(data).signature)

    return KeySigner(TrustedKey(str(path), private.public_key()), sign)


def require_signer(uri: str | None) -> KeySigner:
    """The signer that `uri` names.

    Raises:
        UnavailableError: There is none.
        InputError: As `open_signer`.
    """
    if uri is None:
        raise UnavailableError("no signer: nothing says who signs", help=SIGNER_HELP)
    return open_signer(uri)


def read_key_file(path: Path) -> bytes:
    """The bytes of a key file that the user named.

    Raises:
        InputError: It cannot be read as a regular, small file.
    """
    try:
        return paths.read_named_file(path, limits.KEY)
    except paths.FileError as e:
        raise InputError(f"key {path}: {e.message}", help=e.help) from e


class Verdict(enum.Enum):
    """What was found out about a bundle's signature."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN_KEY = "unknown key"
    NOT_A_KEY = "not a key signature"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one signature, and the trusted key that made it where it is valid."""

    verdict: Verdict
    key: TrustedKey | None = None


def judge(bundle: Bundle, trust: Trust, artifact_sha256: str | None) -> Judgement:
    """Whether a trusted key made the signature in `bundle`.

    A DSSE envelope carries what was signed. A message signature is over a file's bytes, which are
    given as `artifact_sha256`, the digest that was computed from them.
    """
    if bundle.hint is None:
        return Judgement(Verdict.NOT_A_KEY)
    # A hint is a claim: it narrows the choice of key and proves nothing. Without one, each may be.
    named = trust.key_for(bundle.hint)
    candidates = trust.keys if bundle.hint == "" else (named,) if named is not None else ()
    if not candidates:
        return Judgement(Verdict.UNKNOWN_KEY)
    for key in candidates:
        if _is_valid(bundle, key.public_key, artifact_sha256):
            return Judgement(Verdict.VALID, key)
    return Judgement(Verdict.INVALID)


def _is_valid(bundle: Bundle, key: EllipticCurvePublicKey, artifact_sha256: str | None) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    content = bundle.content
    try:
        if isinstance(content, Envelope):
            data = pre_authentication_encoding(content.payload_type, content.payload)
            key.verify(content.signature, data, ec.ECDSA(hashes.SHA256()))
        elif artifact_sha256 is None:
            return False
        else:
            prehashed = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
            key.verify(content.signature, bytes.fromhex(artifact_sha256), prehashed)
    except InvalidSignature:
        return False
    return True
