# SPDX-License-Identifier: Apache-2.0
"""Build the bundles of `sign`, `attest` and `release` in memory, except those that are current."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from provenance.artifacts import digest
from provenance.artifacts.documents.strict_json import same
from provenance.attestations import bundle as bundles
from provenance.attestations.predicates import RELEASE_FIELD
from provenance.attestations.statement import Statement, StatementError, Subject, decode, encode
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence import canonical, expected_statements, releases
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts
from provenance.evidence.kept_units import KeptUnits
from provenance.evidence.progress import Progress
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.releases import Release
from provenance.evidence.rows import BundleEvidence
from provenance.frozen import dataclass
from provenance.gate.deferral_matching import InForce
from provenance.gate.finding import Finding
from provenance.operations import release_order
from provenance.operations.release_order import Place
from provenance.registry.withdrawn import Withdrawal, WithdrawnError
from provenance.signing import judging
from provenance.signing.signers import StatementSigner
from provenance.signing.trust import Trust
from provenance.version import __version__

NAMELESS: Final = (
    "the summary does not name the project of this release: set `resource_uri` in the configuration"
)


class Documents(enum.Flag):
    """The documents to sign."""

    ROWS = enum.auto()
    SEEDS = enum.auto()
    SUMMARY = enum.auto()


def admit(signer: StatementSigner, declared: Trust | None, config: Config) -> None:
    """Refuse a signer whose identity is known and not trusted.

    Raises:
        InputError: If `declared` does not trust the signer.
    """
    distrusted = signer.distrusted(declared) if declared is not None else None
    if distrusted is not None:
        raise InputError(
            f"{config.path} does not trust {distrusted}: its signatures would not verify",
            help=f"Use a trusted signer, or add this one to the trust: {table(signer)}.",
        )


def table(signer: StatementSigner) -> str:
    """Return how the configuration can trust a signer, as the end of a sentence."""
    return "as [[trust.key]]" if signer.own.keys else "as [[trust.github]] or [[trust.identity]]"


@dataclass(frozen=True)
class _Draft:
    """A bundle to be signed: its path and its payload."""

    path: str
    payload: bytes


@dataclass
class BundleBuilder:
    """Builds bundles in memory, from a registry that has passed all checks.

    Attributes:
        config: The configuration.
        declared: The trust that it declares, or None.
        evidence: The evidence of the registry. The method `summary` puts the new summary into it.
        rows: The facts of its rows.
        units: The units as they were read. New bundles replace the ones that were read.
        signer: The signer of the bundles.
        progress: Receives what is being done.
        written: The new bundles, by path. They still have to be written.
        kept: The paths of the bundles that are current and stay as they are.
    """

    config: Config
    declared: Trust | None
    evidence: Evidence
    rows: Sequence[RowFacts]
    units: KeptUnits
    signer: StatementSigner
    progress: Progress
    written: dict[str, bytes] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    def documents(self, wanted: Documents, findings: Sequence[Finding]) -> list[str]:
        """Sign the `wanted` documents of rows and seeds together, and return notes for the user."""
        in_force = InForce(findings)
        drafts: dict[int, list[_Draft]] = {}
        stale = 0
        self.progress.begin("preparing statements", len(self.rows))
        for evidence in self.units.each(self.evidence):
            for row in evidence.rows:
                made = drafts[row.index] = []
                if row.absent or row.remote:
                    self.progress.advance()
                    continue
                if Documents.ROWS in wanted:
                    assert row.bundle is not None  # LIC203 reports rows without sigstore_bundle
                    deferrals = in_force.of(row.label, row.manifest.id if row.manifest else None)
                    statement = canonical.row_statement(evidence, row, deferrals)
                    made += self._draft(row.bundle, statement)
                if Documents.SEEDS in wanted and row.is_seed:
                    if row.attestation is not None and expected_statements.attestable(row):
                        statement = expected_statements.seed_statement(evidence, row)
                        made += self._draft(row.attestation, statement)
                    else:
                        stale += 1
                self.progress.advance()
        self._sign([d for index in sorted(drafts) for d in drafts[index]], "signing documents")
        if not stale:
            return []
        seeds = "1 seed was" if stale == 1 else f"{stale} seeds were"
        return [f"{seeds} not attested: the sidecar describes other bytes than the model has"]

    def summary(self, deferrals: int, version: str | None) -> list[str]:
        """Sign the release summary, unless it is current, and return notes for the user."""
        old, registry = self.evidence.summary, self.evidence.registry
        project = self.config.project
        uri = project or registry.name_of(registry.path)
        assert old is not None  # collected with the whole registry

        def statement(place: Place, previous: Release | None = None) -> Statement:
            return expected_statements.summary_statement(
                self.evidence,
                self.rows,
                self._bundles(),
                resource_uri=uri,
                policy_path=self.config.path,
                policy_sha256=self.config.policy_sha256,
                deferrals=deferrals,
                tool_version=__version__,
                time_verified=place.time,
                version=version,
                previous=previous.sha256 if previous else None,
            )

        if self._keep_summary(old, statement(release_order.place_after(None)), version):
            return []
        previous = release_order.replaced(old, uri, self.trust())
        place = release_order.place_after(previous)
        draft = _Draft(old.path, _payload(old, statement(place, previous)))
        self._sign([draft], "signing the summary")
        made = read_bundle(old.path, self.written[old.path], old.name)
        self.evidence = replace(
            self.evidence,
            summary=made,
            formerly_withdrawn=_withdrawn_by(old) if previous is not None else (),
        )
        new = previous is None and not old.missing
        nameless = [] if project else [NAMELESS]
        return [*([release_order.NEW_HISTORY] if new else []), *place.notes, *nameless]

    def _bundles(self) -> list[Subject]:
        """Return all row bundles and seed attestations as they will be written, each once."""
        found: dict[str, Subject] = {}
        for row in self.rows:
            for bundle in (*row.bundle[:1], *row.attestation[:1]):
                made = self.written.get(bundle.path)
                sha256 = bundle.sha256 if made is None else digest.of_bytes(made).sha256
                if sha256 is not None:
                    found[bundle.path] = Subject(bundle.name, sha256)
        return list(found.values())

    def trust(self) -> Trust:
        """Return the trust that the new bundles are verified with before they are written."""
        own = self.signer.own
        if self.declared is None:
            return own
        # If several signers are required, the others cannot have countersigned yet.
        declared = replace(self.declared, signatures=1, root=self.declared.root or own.root)
        return judging.with_public_root(declared)

    def _draft(self, old: BundleEvidence, statement: Statement) -> list[_Draft]:
        """Return the bundle to sign, or an empty list if the signer has signed the same payload."""
        payload = _payload(old, statement)
        content = old.bundle.content if old.bundle else None
        same = isinstance(content, bundles.Envelope) and content.payload == payload
        return [] if self._keep(old, same) else [_Draft(old.path, payload)]

    def _keep_summary(self, old: BundleEvidence, summary: Statement, version: str | None) -> bool:
        """Keep the existing summary, and return True, if this signer signed the same content."""
        release = releases.release_of(old)
        if release is None or old.statement is None or version not in (None, release.version):
            return False
        return self._keep(old, _same_release(old.statement, decode(_payload(old, summary))))

    def _keep(self, old: BundleEvidence, same: bool) -> bool:
        if not same or old.bundle is None or old.statement is None:
            return False
        if not self.signer.has_signed(old.bundle, self.declared):
            return False
        self.kept.append(old.path)
        return True

    def _sign(self, drafts: Sequence[_Draft], label: str) -> None:
        """Sign all drafts, and check after the first one that the signer is trusted.

        A keyless signer has no known identity before its first signature.

        Raises:
            InputError: If the signer is not trusted.
        """
        if not drafts:
            return
        self.progress.begin(label, len(drafts))
        payloads = [d.payload for d in drafts]
        signed = self.signer.sign(payloads[:1], self.progress.advance)
        admit(self.signer, self.declared, self.config)
        signed += self.signer.sign(payloads[1:], self.progress.advance)
        for draft, data in zip(drafts, signed, strict=True):
            self.written[draft.path] = data
        self.units.made = self.written


def _withdrawn_by(summary: BundleEvidence) -> tuple[Withdrawal, ...]:
    """Return the models that a summary with a trusted signature withdraws.

    Raises:
        InputError: If they cannot be read.
    """
    assert summary.statement is not None  # it names a release
    try:
        return releases.withdrawn_of(summary.statement)
    except WithdrawnError as e:
        raise InputError(
            f"{summary.path}: the withdrawn models of the previous release cannot be read: {e}",
            help="Release with the version of this program that made it, or a newer one.",
        ) from e


def _payload(old: BundleEvidence, statement: Statement) -> bytes:
    try:
        return encode(statement)
    except StatementError as e:
        raise InputError(f"{old.path}: {e}", help="Correct the row or its sidecar.") from e


def _same_release(old: Statement, new: Statement) -> bool:
    """Whether two summaries have the same content, apart from time, tool and predecessor."""
    apart = ("timeVerified", "verifier", RELEASE_FIELD)

    def rest(predicate: Mapping[str, object]) -> dict[str, object]:
        return {k: v for k, v in predicate.items() if k not in apart}

    return (
        old.subjects == new.subjects
        and old.predicate_type == new.predicate_type
        and same(rest(old.predicate), rest(new.predicate))
    )
