# SPDX-License-Identifier: Apache-2.0
"""Open the key that a URI names, in a file, a token or a KMS, with `securesystemslib`.

Each signature is verified with the public key that the user gave. The role in a KMS therefore needs
only the permission to sign.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from threading import BoundedSemaphore
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from provenance.errors import InputError, UnavailableError
from provenance.frozen import dataclass
from provenance.signing import key_advice, pem
from provenance.signing.schemes import BY_NAME, FILE, PASSPHRASE, SCHEMES, Ask, Scheme
from provenance.signing.trust import TrustedKey
from provenance.signing.waiting import redacted

# Its failures are raised as exceptions, so they must not be logged as well.
logging.getLogger("securesystemslib").addHandler(logging.NullHandler())


KEYLESS: Final = "keyless"
"""The signer URI for an identity instead of a key."""


@dataclass(frozen=True)
class Given:
    """How the user names a key: the option, and how to give its public key. For messages."""

    option: str
    public_key: str


SIGNER: Final = Given("--signer", "with --public-key PEM, or in PROVENANCE_PUBLIC_KEY")
LINK_KEY: Final = Given("--link-key", "in PROVENANCE_LINK_PUBLIC_KEY, as the path of a PEM file")


@dataclass
class SigningKey:
    """A key that makes ECDSA signatures (DER), with its public key.

    After the first failure it is not used again, because a token locks itself after a few wrong
    PINs.
    """

    public: TrustedKey
    scheme: Scheme
    _sign: Callable[[bytes], bytes] = field(repr=False)
    _turn: BoundedSemaphore = field(init=False, repr=False)
    _failed: UnavailableError | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self._turn = BoundedSemaphore(self.scheme.threads)

    def sign(self, data: bytes) -> bytes:
        """Return a signature over `data`. May be called from several threads.

        Raises:
            UnavailableError: If the key does not sign, or does not match its public key.
        """
        with self._turn:
            if self._failed is not None:
                raise self._failed
            try:
                return self._signature(data)
            except UnavailableError as e:
                self._failed = e
                raise

    def _signature(self, data: bytes) -> bytes:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        signature = self._sign(data)
        try:
            self.public.public_key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as e:
            raise UnavailableError(
                f"the signer {self.scheme.name}: {self.public.path} is not the public key of this "
                "signer",
                help="Give the public key of the key that the URI names.",
            ) from e
        return signature


def open_key(
    uri: str, public_key: Path | None = None, ask: Ask | None = None, how: Given = SIGNER
) -> SigningKey:
    """Open the key that `uri` names.

    Args:
        uri: The URI, in one of the forms in `provenance.signing.schemes`.
        public_key: The public key. Required unless the private key is in a file.
        ask: Asks the user for a passphrase or a PIN that is not in the environment.
        how: How the user gave the URI, for messages.

    Raises:
        InputError: If the scheme is unknown, or a file is not an ECDSA P-256 key.
        UnavailableError: If the client library or the secret is missing, or the secret is wrong.
    """
    scheme = BY_NAME.get(uri.partition(":")[0])
    if scheme is None or ":" not in uri:
        known = ", ".join(s.name for s in SCHEMES)
        raise InputError(
            f"{how.option} {uri.partition(':')[0]}: unknown kind of signer",
            help=f"Use one of these kinds: {known}.",
        )
    given = None
    if public_key is not None:
        given = TrustedKey.of_pem(pem.read_file(public_key), str(public_key))
    if scheme is FILE:
        return _of_file(uri.partition(":")[2], given, ask)
    if given is None:
        raise InputError(
            f"{how.option} {scheme.name}: the public key is missing",
            help=f"Give it {how.public_key}. To get it:\n{scheme.public_key_of(uri)}",
        )
    _refuse_unknown_parameters(uri, scheme, how)
    return SigningKey(given, scheme, _remote(uri, scheme, given, ask))


def _of_file(name: str, given: TrustedKey | None, ask: Ask | None) -> SigningKey:
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    path = Path(name)
    private = pem.load_private_key(
        pem.read_file(path, key_advice.make_one(name)),
        str(path),
        lambda: PASSPHRASE.get(f"the key {path}", ask),
    )
    public = TrustedKey(str(path), private.public_key())
    if given is not None and given.fingerprint != public.fingerprint:
        raise InputError(
            f"{given.path} is not the public key of {path}",
            help="Do not give a public key: the file of the private key contains it.",
        )
    signer = CryptoSigner(private)
    return SigningKey(public, FILE, lambda data: bytes.fromhex(signer.sign(data).signature))


def _refuse_unknown_parameters(uri: str, scheme: Scheme, how: Given) -> None:
    """Refuse unknown parameters in a URI, which `securesystemslib` would ignore.

    The message does not repeat them: they may be secrets such as `?pin=1234`.

    Raises:
        InputError: If there is such a parameter.
    """
    known = {name for name, _ in parse_qsl(urlsplit(scheme.form).query)}
    try:
        given = {name for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True)}
    except ValueError as e:
        raise InputError(f"{how.option} {scheme.name}: not a URI: {e}") from e
    if given - known:
        raise InputError(
            f"{how.option} {scheme.name}: unknown parameter in the signer URI",
            help=f"The form is {scheme.form}. If the parameter was a secret, change the secret: "
            "others could see it on the command line.",
        )


def _remote(
    uri: str, scheme: Scheme, public: TrustedKey, ask: Ask | None
) -> Callable[[bytes], bytes]:
    """Return the signing function of a `securesystemslib` signer.

    Its exceptions are those of the client library below it; its documentation says to catch all.

    Raises:
        UnavailableError: If the signer cannot be opened.
    """
    from securesystemslib.exceptions import UnsupportedLibraryError
    from securesystemslib.signer import Signer, SSlibKey  # type: ignore[attr-defined]

    secret = scheme.secret.get(f"the key {uri}", ask) if scheme.secret else None
    key = SSlibKey.from_crypto(public.public_key)
    try:
        signer = Signer.from_priv_key_uri(uri, key, lambda _: secret or "")
    except UnsupportedLibraryError as e:
        raise UnavailableError(
            f"the signer {scheme.name}: its client library is not installed",
            help=f'pip install "securesystemslib[{scheme.extra}]"',
        ) from e
    except Exception as e:
        raise _explained(e, scheme, secret, "cannot be opened") from e

    def sign(data: bytes) -> bytes:
        try:
            return bytes.fromhex(signer.sign(data).signature)
        except Exception as e:
            raise _explained(e, scheme, secret, "does not sign") from e

    return sign


def _explained(error: Exception, scheme: Scheme, secret: str | None, what: str) -> UnavailableError:
    text = " ".join(str(error).split())
    if secret:
        text = text.replace(secret, f"[{scheme.secret.name if scheme.secret else 'secret'}]")
    cause = ": ".join(t for t in (type(error).__name__, redacted(text)[:200]) if t)
    return UnavailableError(f"the signer {scheme.name}: {what}: {cause}", help=scheme.check)
