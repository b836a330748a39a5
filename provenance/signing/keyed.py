# SPDX-License-Identifier: Apache-2.0
"""Signing with a key, and judging a bundle's signature against trusted keys.

Signing goes through `securesystemslib` signers and bundles through `sigstore_models`, so that what
is written is what other clients read. Verifying uses `cryptography` alone: it is what a consumer
waits for, and there is one algorithm.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provenance.artifacts import limits, paths
from provenance.attestations.bundle import MEDIA_TYPE, Bundle, Envelope
from provenance.attestations.dsse import pre_authentication_encoding
from provenance.attestations.statement import PAYLOAD_TYPE
from provenance.errors import InputError, UnavailableError
from provenance.signing import log_body, pem
from provenance.signing.judgement import Judgement, Moment, Signer, Verdict
from provenance.signing.trust import Trust, TrustedKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

FILE_SCHEME: Final = "file:"
SIGNER_HELP: Final = (
    "Sign with a local key: provenance keygen release, then --signer file:release.key "
    "(or set PROVENANCE_SIGNER)."
)


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


def judge(bundle: Bundle, trust: Trust, artifact_sha256: str | None) -> Judgement:
    """Whether a trusted key made the signature in `bundle`, which no certificate made.

    Raises:
        UnavailableError: A key counts for some time only, and there is no trusted root to judge
            a timestamp by.
    """
    # A hint is a claim: it narrows the choice of key and proves nothing. Without one, each may be.
    candidates = trust.keys_for(bundle.hint) if bundle.hint else trust.keys
    if not candidates:
        return Judgement(
            Verdict.UNTRUSTED,
            reason=f"by a key that is not trusted (hint {(bundle.hint or '')[:64]!r})",
            help="If you know the signer, add the key to [[trust.key]] or give it with --key.",
        )
    made = [k for k in candidates if _is_valid(bundle, k.public_key, artifact_sha256)]
    if not made:
        return Judgement(Verdict.INVALID, reason="it was changed after it was signed")
    reason = log_body.contradicts(bundle, made[0].public_key, artifact_sha256)
    if reason is not None:
        return Judgement(Verdict.INVALID, reason=reason)
    return _in_time(bundle, made, trust)


def _in_time(bundle: Bundle, made: Sequence[TrustedKey], trust: Trust) -> Judgement:
    """One key may be trusted for several periods; each that holds the moment is an entry."""
    dated = any(k.period is not None for k in made)
    moments: tuple[Moment, ...] = ()
    # Without a period nobody asks when, and a consumer with a key needs no trusted root.
    if dated:
        from provenance.signing import timestamps

        try:
            moments = timestamps.judge(bundle, trust.root)
        except timestamps.TimestampError as e:
            return Judgement(Verdict.INVALID, reason=str(e))
    entries = tuple(
        k
        for k in made
        if k.period is None or (moments and all(k.period.contains(m.time) for m in moments))
    )
    if not entries:
        if not moments:
            reason = "the key counts only for some time, and no timestamp says when it signed"
        else:
            reason = (
                f"it was made at {moments[0].time.isoformat()}, and the key counts {made[0].period}"
            )
        return Judgement(
            Verdict.UNTRUSTED,
            reason=f"by {made[0].path}: {reason}",
            help="Sign with a timestamp while the key counts, or correct its period in the trust.",
        )
    key = entries[0]
    return Judgement(
        Verdict.VALID, Signer(key.path, None, f"key {key.fingerprint}", entries, moments)
    )


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
