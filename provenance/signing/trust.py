# SPDX-License-Identifier: Apache-2.0
"""Whose signatures count.

`source` says whose decision that is: the configuration's, or the person's who verifies.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.signing import certificate as certificates
from provenance.signing import pem
from provenance.signing.certificate import Identity
from provenance.signing.trusted_root import Period, TrustedRoot

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

OF_THIS_RUN: Final = "the signer of this run"
"""The source of a trust in nobody but whoever signs just now."""

GITHUB_ISSUER: Final = "https://token.actions.githubusercontent.com"
GITHUB_SERVER: Final = "https://github.com"
_GLOB: Final = re.compile(r"\*\*|[*?]|[^*?]+")


@dataclass(frozen=True)
class TrustedKey:
    """A public key whose signatures count. `path` is where it was read, for messages.

    With a `period`, only those that were verifiably made in it.
    """

    path: str
    public_key: EllipticCurvePublicKey = field(compare=False)
    period: Period | None = None

    @classmethod
    def of_pem(cls, data: bytes, path: str, period: Period | None = None) -> TrustedKey:
        """Return the one key in PEM `data`. Raises InputError."""
        return cls(path, pem.load_public_key(data, path), period)

    @classmethod
    def all_of_pem(
        cls, data: bytes, path: str, period: Period | None = None
    ) -> tuple[TrustedKey, ...]:
        """Return every key in PEM `data`, each of several with its number. Raises InputError."""
        keys = pem.load_public_keys(data, path)
        if len(keys) == 1:
            return (cls(path, keys[0], period),)
        return tuple(cls(f"{path} (key {n})", key, period) for n, key in enumerate(keys, 1))

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of its DER SubjectPublicKeyInfo, lower-case hex."""
        return hashlib.sha256(pem.public_der(self.public_key)).hexdigest()

    @cached_property
    def hint(self) -> str:
        """The hint that our bundles carry for it: its fingerprint in base64, as of cosign."""
        return base64.b64encode(bytes.fromhex(self.fingerprint)).decode()

    @cached_property
    def hints(self) -> frozenset[str]:
        """The hints that clients are known to give it: cosign, this project, model_signing.

        They only say which key to try first. Any other string is a legal hint of the key too.
        """
        in_pem = pem.public_pem(self.public_key)
        digests = {hashlib.sha256(text).hexdigest() for text in (in_pem, in_pem.strip())}
        return frozenset({self.hint, self.fingerprint, *digests})

    def __str__(self) -> str:
        return f"key {self.path}"

    def __reduce__(self) -> tuple[object, ...]:
        """How it is sent to another process: the key as PEM."""
        return TrustedKey.of_pem, (pem.public_pem(self.public_key), self.path, self.period)


@dataclass(frozen=True)
class TrustedIdentity:
    """An identity whose signatures count: exactly this subject, vouched for by this issuer."""

    issuer: str
    subject: str

    def differs(self, found: Identity) -> str | None:
        """The first thing in which `found` is somebody else, None where it is this one."""
        return _first_difference(
            ("issuer", found.issuer, self.issuer), ("subject", found.subject, self.subject)
        )

    def __str__(self) -> str:
        return f"identity {self.subject} ({self.issuer})"


@dataclass(frozen=True)
class TrustedWorkflow:
    """A GitHub Actions workflow whose signatures count.

    It is matched on what the issuer says in the certificate, claim by claim. The run has to belong
    to `repository`, and the workflow that signs has to be this one of the same repository: a
    workflow that other repositories may call would otherwise sign for each of them.

    Attributes:
        repository: `owner/name`.
        workflow: The path of the workflow in the repository.
        ref: A pattern for the whole ref: `*` matches all but `/`, `**` everything, `?` one
            character that is no `/`.
        event: What may have started the run, such as `push`.
        environment: The deployment environment of the job.
        owner_id, repository_id: GitHub's numbers. They survive renames, and nobody gets them again.
        runner_environment: `github-hosted` or `self-hosted`.
        issuer, server: Others than github.com's for GitHub Enterprise.
    """

    repository: str
    workflow: str
    ref: str
    event: str | None = None
    environment: str | None = None
    owner_id: str | None = None
    repository_id: str | None = None
    runner_environment: str | None = None
    issuer: str = GITHUB_ISSUER
    server: str = GITHUB_SERVER

    def differs(self, found: Identity) -> str | None:
        """The first thing in which `found` is another workflow, None where it is this one."""
        said = found.extensions.get
        home = f"{self.server}/{self.repository}"
        ref = said(certificates.SOURCE_REPOSITORY_REF, "")
        difference = _first_difference(
            ("issuer", found.issuer, self.issuer),
            ("repository", said(certificates.SOURCE_REPOSITORY_URI), home),
            ("event", said(certificates.BUILD_TRIGGER), self.event),
            ("environment", said(certificates.DEPLOYMENT_ENVIRONMENT), self.environment),
            ("owner id", said(certificates.SOURCE_REPOSITORY_OWNER_ID), self.owner_id),
            ("repository id", said(certificates.SOURCE_REPOSITORY_ID), self.repository_id),
            ("runner environment", said(certificates.RUNNER_ENVIRONMENT), self.runner_environment),
        )
        if difference is not None:
            return difference
        if not ref or _pattern(self.ref).fullmatch(ref) is None:
            return f"ref {ref[:120]!r}, expected {self.ref!r}"
        workflow = f"{home}/{self.workflow}@{ref}"
        return _first_difference(
            ("workflow", said(certificates.BUILD_SIGNER_URI), workflow),
            ("workflow", said(certificates.BUILD_CONFIG_URI), workflow),
            ("subject", found.subject, workflow),
        )

    def __str__(self) -> str:
        return f"github {self.repository}/{self.workflow}@{self.ref}"


Entry: TypeAlias = TrustedKey | TrustedIdentity | TrustedWorkflow


@dataclass(frozen=True)
class Trust:
    """The trusted signers, and where that trust comes from.

    Attributes:
        keys: At most `pem.MAX_KEYS`; more are an InputError.
        signatures: How many different signers have to have signed the same statement.
        root: What certificates, log entries and timestamps are judged by.
    """

    source: str
    keys: tuple[TrustedKey, ...] = ()
    identities: tuple[TrustedIdentity, ...] = ()
    workflows: tuple[TrustedWorkflow, ...] = ()
    signatures: int = 1
    root: TrustedRoot | None = None

    def __post_init__(self) -> None:
        if len(self.keys) > pem.MAX_KEYS:
            raise InputError(
                f"{self.source}: {len(self.keys):,} trusted keys; at most {pem.MAX_KEYS} count",
                help="Each may have to be tried on every signature: keep those of who signs.",
            )

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All who are trusted."""
        return (*self.workflows, *self.identities, *self.keys)

    @property
    def needs_root(self) -> bool:
        """Whether anything in it can be judged only with a trusted root."""
        return bool(self.identities or self.workflows or self.asks_when)

    @property
    def asks_when(self) -> bool:
        """Whether a key counts for some time only, so that it matters when it signed."""
        return any(k.period is not None for k in self.keys)

    def entries_of(self, key: TrustedKey) -> tuple[TrustedKey, ...]:
        """Return the entries of this very key: one for each period in which it counts."""
        return self._by_key.get(key.fingerprint, ())

    def candidates(self, hint: str) -> tuple[tuple[TrustedKey, ...], ...]:
        """Return the entries of each distinct key, in the order in which to try the keys.

        Keys that `hint` may name come first. It decides nothing else: it is not signed, and its
        meaning is up to the client that wrote it.
        """
        return tuple(sorted(self._by_key.values(), key=lambda same: hint not in same[0].hints))

    @cached_property
    def _by_key(self) -> dict[str, tuple[TrustedKey, ...]]:
        found: dict[str, tuple[TrustedKey, ...]] = {}
        for key in self.keys:
            found[key.fingerprint] = (*found.get(key.fingerprint, ()), key)
        return found


def _first_difference(*claims: tuple[str, str | None, str | None]) -> str | None:
    """Compares found with expected, character by character; None is expected of nobody."""
    for name, found, expected in claims:
        if expected is not None and found != expected:
            shown = repr(found[:120]) if found is not None else "not stated"
            return f"{name} {shown}, expected {expected!r}"
    return None


def _pattern(glob: str) -> re.Pattern[str]:
    meaning = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    steps = (meaning.get(step) or re.escape(step) for step in _GLOB.findall(glob))
    return re.compile("".join(steps), re.DOTALL)
