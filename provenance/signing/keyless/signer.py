# SPDX-License-Identifier: Apache-2.0
"""Signing with an identity: one certificate for a run, and several uploads at once.

What `sigstore` does not retry is retried, and nothing is given back that does not verify by the
trusted root of the very instance that signed.
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
"""A certificate that is about to expire is replaced: what is signed last still has to be
timestamped within it. Fulcio issues them for ten minutes."""


@dataclass
class KeylessSigner:
    """Signs statements with a key that lives as long as this object, certified for an identity."""

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
        """Trust in this identity alone; in none before it has signed."""
        who = self._identity
        identities = (TrustedIdentity(who.issuer, who.subject),) if who else ()
        return Trust(OF_THIS_RUN, identities=identities, root=self.instance.root)

    def distrusted(self, declared: Trust) -> str | None:
        """As `StatementSigner`: why this identity is not trusted."""
        if self._identity is None:
            return None
        judgement = verifier.who(self._identity, declared, ())
        if judgement.verdict is Verdict.VALID:
            return None
        return judgement.reason.removeprefix("by ")

    def has_signed(self, bundle: Bundle, declared: Trust | None) -> bool:
        """Whether an identity that `declared` trusts signed, or this one if it trusts none."""
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
        """As `StatementSigner`; a payload may also be the SHA-256 of a file.

        Raises InputError also, if the identity token cannot be read.
        """
        with self._warnings.listening():
            return uploads.in_parallel(
                self._bundle, payloads, signed, threads=self.threads, timeout=self.timeout
            )

    def sign_digest(self, sha256: str) -> bytes:
        """As `ArtifactSigner`. Raises as `sign`."""
        (bundle,) = self.sign([sha256], lambda: None)
        return bundle

    def _bundle(self, what: bytes | str) -> bytes:
        """The bundle of a statement, or of the bytes that have a digest."""
        signer = self._certified()
        try:
            if isinstance(what, bytes):
                made = signer.sign_dsse(Statement(what))
            else:
                digest = bytes.fromhex(what)
                made = signer.sign_artifact(Hashed(algorithm=SHA2_256, digest=digest))
        except InvalidBundle as e:
            # `sigstore` goes on where a timestamp authority fails, and may then have no time.
            warning = self._warnings.take()
            if warning is None:
                raise
            raise waiting.TransientError(f"{self.instance.source}: {warning}") from e
        data = made.to_json().encode("utf-8")
        self._identity = self._held(data, what)
        return data

    def _certified(self) -> Signer:
        """The signer of this run, with a certificate that does not expire in the next moments."""
        with self._lock:
            now = datetime.datetime.now(datetime.UTC)
            if self._identity is not None and now + MARGIN > self._identity.not_after:
                self._current = self._identity = None
            if self._current is None:
                self._current = Signer(self.tokens(), self._context)
            return self._current

    def _held(self, data: bytes, what: bytes | str) -> Identity:
        """Who signed, where the bundle is what was asked for, and holds by the instance's root."""
        try:
            bundle = bundles.decode(data)
            identity = certificates.read(bundle.certificate or b"")
        except (BundleError, CertificateError) as e:
            raise UnavailableError(
                f"{self.instance.source}: what its services answered cannot be used: {e}",
                help=uploads.DECEIVED,
            ) from e
        if len(bundle.timestamps) < self._timestamps:
            warning = self._warnings.take() or "its timestamp authority gave no timestamp"
            raise waiting.TransientError(f"{self.instance.source}: {warning}")
        who = Trust("", identities=(TrustedIdentity(identity.issuer, identity.subject),))
        sha256 = what if isinstance(what, str) else None
        judgement = verifier.judge(bundle, replace(who, root=self.instance.root), sha256)
        content = bundle.content
        said = content.payload if isinstance(content, Envelope) else content.sha256
        if judgement.verdict is not Verdict.VALID or said != what:
            raise UnavailableError(
                f"{self.instance.source}: what its services answered does not hold: "
                f"{judgement.reason or 'it is about something else'}",
                help=uploads.DECEIVED,
            )
        return identity


class _Warnings(logging.Handler):
    """What `sigstore` warns of, by thread: why a timestamp authority gave no timestamp."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._by_thread = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Remember it."""
        self._by_thread.last = record.getMessage()

    def take(self) -> str | None:
        """The last warning in this thread, which is then forgotten."""
        last: str | None = getattr(self._by_thread, "last", None)
        self._by_thread.last = None
        return last

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear what is said until the end of the block."""
        logger = logging.getLogger("sigstore")
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
