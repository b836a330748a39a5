# SPDX-License-Identifier: Apache-2.0
"""Signing with an identity: one certificate for a run, and several uploads at the same time.

Requests that `sigstore` does not retry are retried. Only bundles that verify with the trusted root
of the signing instance are returned.
"""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from sigstore.dsse import Statement
from sigstore.hashes import Hashed
from sigstore.models import InvalidBundle
from sigstore.sign import Signer, SigningContext
from sigstore_models.common.v1 import HashAlgorithm

from provenance.attestations import bundle as bundles
from provenance.attestations.bundle import Bundle, BundleError, Envelope
from provenance.errors import UnavailableError
from provenance.signing import certificate as certificates
from provenance.signing import uploads, waiting
from provenance.signing.certificate import CertificateError, Identity
from provenance.signing.judgement import Verdict
from provenance.signing.keyless import verifier
from provenance.signing.keyless.instance import SigningInstance
from provenance.signing.keyless.token import Tokens
from provenance.signing.trust import OF_THIS_RUN, Trust, TrustedIdentity

SHA2_256: Final = HashAlgorithm.SHA2_256

MARGIN: Final = datetime.timedelta(minutes=2)
"""The remaining validity below which a certificate is replaced.

A signature must still get its timestamp while the certificate is valid. Fulcio issues certificates
for ten minutes.
"""


@dataclass
class KeylessSigner:
    """Signs statements with an identity.

    The key exists only in this object. Fulcio certifies it for the identity.

    Attributes:
        instance: The Sigstore instance.
        tokens: Returns an identity token.
        threads: The number of documents that are signed at the same time.
        timeout: The time limit for signing one document, in seconds.
    """

    instance: SigningInstance
    tokens: Tokens
    threads: int = waiting.THREADS
    timeout: float = waiting.TIMEOUT
    _context: SigningContext = field(init=False, repr=False)
    _timestamps: int = field(init=False, repr=False)
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)
    _current: Signer | None = field(init=False, repr=False, default=None)
    _identity: Identity | None = field(init=False, repr=False, default=None)
    _warnings: _Warnings = field(init=False, repr=False, default_factory=lambda: _Warnings())

    def __post_init__(self) -> None:
        self._context = SigningContext.from_trust_config(self.instance.config)
        self._timestamps = len(self.instance.config.signing_config.get_tsas())

    @property
    def own(self) -> Trust:
        """Trust in this identity alone. It is empty until the identity has signed."""
        identity = self._identity
        identities = (TrustedIdentity(identity.issuer, identity.subject),) if identity else ()
        return Trust(OF_THIS_RUN, identities=identities, root=self.instance.root)

    def distrusted(self, declared: Trust) -> str | None:
        """As `StatementSigner`."""
        if self._identity is None:
            return None
        judgement = verifier.who(self._identity, declared, ())
        if judgement.verdict is Verdict.VALID:
            return None
        return judgement.reason.removeprefix("by ")

    def has_signed(self, bundle: Bundle, declared: Trust | None) -> bool:
        """Return whether an identity in `declared` signed, or this identity if it is None."""
        if bundle.certificate is None:
            return False
        trust = declared
        if trust is None:
            token = self.tokens()
            trust = Trust("", identities=(TrustedIdentity(token.issuer, token.identity),))
        rooted = replace(trust, root=trust.root or self.instance.root)
        if verifier.judge(bundle, rooted, None).verdict is not Verdict.VALID:
            return False
        if declared is None:
            self._identity = certificates.read(bundle.certificate)
        return True

    def sign(self, payloads: Sequence[bytes | str], signed: Callable[[], None]) -> list[bytes]:
        """As `StatementSigner`. A payload may also be the SHA-256 of a file.

        Raises:
            InputError: If the file of the identity token cannot be read.
            UnavailableError: As `StatementSigner.sign`.
        """
        with self._warnings.listening():
            return uploads.in_parallel(
                self._bundle, payloads, signed, threads=self.threads, timeout=self.timeout
            )

    def sign_digest(self, sha256: str) -> bytes:
        """As `ArtifactSigner`.

        Raises:
            InputError: As `sign`.
            UnavailableError: As `sign`.
        """
        (bundle,) = self.sign([sha256], lambda: None)
        return bundle

    def _bundle(self, payload: bytes | str) -> bytes:
        """Sign a statement, or a file with this SHA-256, and return the bundle."""
        signer = self._certified()
        try:
            if isinstance(payload, bytes):
                made = signer.sign_dsse(Statement(payload))
            else:
                digest = bytes.fromhex(payload)
                made = signer.sign_artifact(Hashed(algorithm=SHA2_256, digest=digest))
        except InvalidBundle as e:
            # If a timestamp authority fails, `sigstore` continues and may end up without a time.
            warning = self._warnings.take()
            if warning is None:
                raise
            raise waiting.TransientError(f"{self.instance.source}: {warning}") from e
        data = made.to_json().encode("utf-8")
        self._identity = self._checked(data, payload)
        return data

    def _certified(self) -> Signer:
        """Return the `sigstore` signer of this run, whose certificate does not expire soon."""
        with self._lock:
            now = datetime.datetime.now(datetime.UTC)
            if self._identity is not None and now + MARGIN > self._identity.not_after:
                self._current = self._identity = None
            if self._current is None:
                self._current = Signer(self.tokens(), self._context)
            return self._current

    def _checked(self, data: bytes, payload: bytes | str) -> Identity:
        """Verify a new bundle with the trusted root of the instance, and return the identity.

        Raises:
            UnavailableError: If the bundle is not valid, or is not of `payload`.
            TransientError: If a timestamp is missing.
        """
        try:
            bundle = bundles.decode(data)
            identity = certificates.read(bundle.certificate or b"")
        except (BundleError, CertificateError) as e:
            raise UnavailableError(
                f"{self.instance.source}: its services returned an unusable answer: {e}",
                help=uploads.DECEIVED,
            ) from e
        if len(bundle.timestamps) < self._timestamps:
            warning = self._warnings.take() or "its timestamp authority returned no timestamp"
            raise waiting.TransientError(f"{self.instance.source}: {warning}")
        trust = Trust("", identities=(TrustedIdentity(identity.issuer, identity.subject),))
        sha256 = payload if isinstance(payload, str) else None
        judgement = verifier.judge(bundle, replace(trust, root=self.instance.root), sha256)
        content = bundle.content
        signed = content.payload if isinstance(content, Envelope) else content.sha256
        if judgement.verdict is not Verdict.VALID or signed != payload:
            raise UnavailableError(
                f"{self.instance.source}: its services returned an invalid answer: "
                f"{judgement.reason or 'it signs something else'}",
                help=uploads.DECEIVED,
            )
        return identity


class _Warnings(logging.Handler):
    """A log handler that keeps the last warning of `sigstore` in each thread.

    The warnings explain why a timestamp authority returned no timestamp.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._by_thread = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a warning."""
        self._by_thread.last = record.getMessage()

    def take(self) -> str | None:
        """Return the last warning in this thread, or None, and forget it."""
        last: str | None = getattr(self._by_thread, "last", None)
        self._by_thread.last = None
        return last

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Collect warnings until the end of the block."""
        logger = logging.getLogger("sigstore")
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
