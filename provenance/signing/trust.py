# SPDX-License-Identifier: Apache-2.0
"""Trust: the keys, identities and workflows whose signatures count.

Trust comes from the configuration or from the person who verifies; `Trust.source` names it.
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
"""The `source` of a `Trust` that contains only the signer of this run."""

GITHUB_ISSUER: Final = "https://token.actions.githubusercontent.com"
WORKFLOWS: Final = ".github/workflows/"
"""The folder of workflows in a repository."""

GITHUB_SERVER: Final = "https://github.com"
_GLOB: Final = re.compile(r"\*\*|[*?]|[^*?]+")


@dataclass(frozen=True)
class TrustedKey:
    """A public key whose signatures count.

    Attributes:
        path: The file that it was read from, for messages.
        public_key: The key.
        period: If given, only signatures with a verified time in this period count.
    """

    path: str
    public_key: EllipticCurvePublicKey = field(compare=False)
    period: Period | None = None

    @classmethod
    def of_pem(cls, data: bytes, path: str, period: Period | None = None) -> TrustedKey:
        """Return the only key in PEM `data`.

        Raises:
            InputError: Unless there is exactly one ECDSA P-256 public key.
        """
        return cls(path, pem.load_public_key(data, path), period)

    @classmethod
    def all_of_pem(
        cls, data: bytes, path: str, period: Period | None = None
    ) -> tuple[TrustedKey, ...]:
        """Return every key in PEM `data`; the paths of several keys are numbered.

        Raises:
            InputError: If there is no public key, or anything other than ECDSA P-256 public keys.
        """
        keys = pem.load_public_keys(data, path)
        if len(keys) == 1:
            return (cls(path, keys[0], period),)
        return tuple(cls(f"{path} (key {n})", key, period) for n, key in enumerate(keys, 1))

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the DER SubjectPublicKeyInfo, in lower-case hex."""
        return hashlib.sha256(pem.public_der(self.public_key)).hexdigest()

    @cached_property
    def hint(self) -> str:
        """The key hint in our bundles: the fingerprint in base64, as cosign writes it."""
        return base64.b64encode(bytes.fromhex(self.fingerprint)).decode()

    @cached_property
    def hints(self) -> frozenset[str]:
        """The key hints that cosign, this project and model_signing write for this key.

        They only decide which key is tried first. Any other string is a valid hint, too.
        """
        in_pem = pem.public_pem(self.public_key)
        digests = {hashlib.sha256(text).hexdigest() for text in (in_pem, in_pem.strip())}
        return frozenset({self.hint, self.fingerprint, *digests})

    def __str__(self) -> str:
        return f"key {self.path}"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the key as PEM, to send it to another process."""
        return TrustedKey.of_pem, (pem.public_pem(self.public_key), self.path, self.period)


@dataclass(frozen=True)
class TrustedIdentity:
    """An identity whose signatures count: exactly this subject, vouched for by this issuer."""

    issuer: str
    subject: str

    def differs(self, found: Identity) -> str | None:
        """Return the first difference between `found` and this identity, or None."""
        return _first_difference(
            ("issuer", found.issuer, self.issuer), ("subject", found.subject, self.subject)
        )

    def __str__(self) -> str:
        return f"identity {self.subject} ({self.issuer})"


@dataclass(frozen=True)
class TrustedWorkflow:
    """A GitHub Actions workflow whose signatures count.

    It is compared with the claims in the certificate. The run must belong to `repository`, and the
    signing workflow must be in the same repository. Otherwise a reusable workflow would sign for
    every repository that calls it.

    Attributes:
        repository: `owner/name`.
        workflow: The path of the workflow in the repository, or None for any of its workflows.
        ref: A pattern for the whole ref: `*` matches everything except `/`, `**` everything, and
            `?` one character other than `/`. None for any ref.
        event: The event that must have started the run, such as `push`.
        environment: The deployment environment of the job.
        owner_id, repository_id: GitHub's numeric ids. They survive renames and are never reused.
        runner_environment: `github-hosted` or `self-hosted`.
        issuer, server: Needed only for GitHub Enterprise; the defaults are those of github.com.
    """

    repository: str
    workflow: str | None = None
    ref: str | None = None
    event: str | None = None
    environment: str | None = None
    owner_id: str | None = None
    repository_id: str | None = None
    runner_environment: str | None = None
    issuer: str = GITHUB_ISSUER
    server: str = GITHUB_SERVER

    def differs(self, found: Identity) -> str | None:
        """Return the first difference between `found` and this workflow, or None."""
        claim = found.extensions.get
        home = f"{self.server}/{self.repository}"
        ref = claim(certificates.SOURCE_REPOSITORY_REF, "")
        difference = _first_difference(
            ("issuer", found.issuer, self.issuer),
            ("repository", claim(certificates.SOURCE_REPOSITORY_URI), home),
            ("event", claim(certificates.BUILD_TRIGGER), self.event),
            ("environment", claim(certificates.DEPLOYMENT_ENVIRONMENT), self.environment),
            ("owner id", claim(certificates.SOURCE_REPOSITORY_OWNER_ID), self.owner_id),
            ("repository id", claim(certificates.SOURCE_REPOSITORY_ID), self.repository_id),
            ("runner environment", claim(certificates.RUNNER_ENVIRONMENT), self.runner_environment),
        )
        if difference is not None:
            return difference
        if not ref or (self.ref is not None and _pattern(self.ref).fullmatch(ref) is None):
            return f"ref {ref[:120]!r}, expected {self.ref or 'any ref'!r}"
        workflow = f"{home}/{self.workflow}@{ref}"
        if self.workflow is None:
            workflow = claim(certificates.BUILD_SIGNER_URI, "")
            of_repository = workflow.startswith(f"{home}/{WORKFLOWS}")
            if not of_repository or not workflow.endswith(f"@{ref}"):
                return f"workflow {workflow[:120]!r}, expected one of {home}"
        return _first_difference(
            ("workflow", claim(certificates.BUILD_SIGNER_URI), workflow),
            ("workflow", claim(certificates.BUILD_CONFIG_URI), workflow),
            ("subject", found.subject, workflow),
        )

    def __str__(self) -> str:
        if self.workflow is None or self.ref is None:
            ref = "any ref" if self.ref is None else f"ref {self.ref}"
            return f"github {self.repository}, {self.workflow or 'any workflow'}, {ref}"
        return f"github {self.repository}/{self.workflow}@{self.ref}"


Entry: TypeAlias = TrustedKey | TrustedIdentity | TrustedWorkflow


@dataclass(frozen=True)
class Trust:
    """The trusted signers.

    Attributes:
        source: Where this trust comes from, for messages.
        keys: At most `pem.MAX_KEYS`; more are an InputError.
        identities: The trusted identities.
        workflows: The trusted GitHub workflows.
        signatures: The number of different signers that must sign each statement.
        root: The trusted root that verifies certificates, log entries and timestamps, or None.
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
                f"{self.source}: {len(self.keys):,} trusted keys; at most {pem.MAX_KEYS} are "
                "supported",
                help="Keep only the keys of the actual signers.",
            )

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All trusted workflows, identities and keys."""
        return (*self.workflows, *self.identities, *self.keys)

    @property
    def needs_root(self) -> bool:
        """Whether a trusted root is needed to verify signatures of any entry."""
        return bool(self.identities or self.workflows or self.asks_when)

    @property
    def asks_when(self) -> bool:
        """Whether a key is trusted only for a period, so that the time of a signature matters."""
        return any(k.period is not None for k in self.keys)

    def entries_of(self, key: TrustedKey) -> tuple[TrustedKey, ...]:
        """Return the entries of a key, one for each period in which it is trusted."""
        return self._by_key.get(key.fingerprint, ())

    def candidates(self, hint: str) -> tuple[tuple[TrustedKey, ...], ...]:
        """Return the entries of each distinct key, in the order in which to try the keys.

        The keys that `hint` names come first. The hint decides nothing else: it is not signed, and
        every client gives it another meaning.
        """
        return tuple(sorted(self._by_key.values(), key=lambda same: hint not in same[0].hints))

    @cached_property
    def _by_key(self) -> dict[str, tuple[TrustedKey, ...]]:
        entries: dict[str, tuple[TrustedKey, ...]] = {}
        for key in self.keys:
            entries[key.fingerprint] = (*entries.get(key.fingerprint, ()), key)
        return entries


def _first_difference(*claims: tuple[str, str | None, str | None]) -> str | None:
    """Return the first claim whose value differs from the expected one, or None.

    Each claim is its name, its value and the expected value. An expected None accepts any value.
    """
    for name, found, expected in claims:
        if expected is not None and found != expected:
            shown = repr(found[:120]) if found is not None else "not stated"
            return f"{name} {shown}, expected {expected!r}"
    return None


def _pattern(glob: str) -> re.Pattern[str]:
    meaning = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    steps = (meaning.get(step) or re.escape(step) for step in _GLOB.findall(glob))
    return re.compile("".join(steps), re.DOTALL)
