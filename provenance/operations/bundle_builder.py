# SPDX-License-Identifier: Apache-2.0
"""Makes the bundles of `sign`, `attest` and `release`, in memory: what is right already is kept."""

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
from provenance.signing import judging
from provenance.signing.signers import StatementSigner
from provenance.signing.trust import Trust
from provenance.version import __version__

NAMELESS: Final = (
    "the summary does not say which project it is of: set `resource_uri` in the configuration"
)


class Documents(enum.Flag):
    """Which documents are made."""

    ROWS = enum.auto()
    SEEDS = enum.auto()
    SUMMARY = enum.auto()


def admit(signer: StatementSigner, declared: Trust | None, config: Config) -> None:
    """Raises InputError where the signer is known and not trusted."""
    who = signer.distrusted(declared) if declared is not None else None
    if who is not None:
        raise InputError(
            f"the signer is not trusted by {config.path}: {who}. What it signs would not verify",
            help="Sign as somebody who is trusted, or add this signer to the trust: "
            f"{table(signer)}.",
        )


def table(signer: StatementSigner) -> str:
    """How the configuration trusts a signer."""
    return "as [[trust.key]]" if signer.own.keys else "as [[trust.github]] or [[trust.identity]]"


@dataclass(frozen=True)
class _Draft:
    """A bundle that has to be signed: where it lies, and what it has to say."""

    path: str
    payload: bytes


@dataclass
class BundleBuilder:
    """Makes bundles in memory: `written` has to be written, `kept` is right already.

    `evidence` and `rows` are those of a registry that has passed, whose `units` were kept. What is
    made takes the place of what was read there.
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
        """Sign what is wanted about rows and seeds, all at once; what there is to say about it."""
        in_force = InForce(findings)
        drafts: dict[int, list[_Draft]] = {}
        stale = 0
        self.progress.begin("preparing statements", len(self.rows))
        for evidence in self.units.each(self.evidence):
            for row in evidence.rows:
                made = drafts[row.index] = []
                if Documents.ROWS in wanted:
                    assert row.bundle is not None  # a row without sigstore_bundle is LIC203
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
        which = "1 seed is" if stale == 1 else f"{stale} seeds are"
        return [f"{which} not attested: a sidecar that describes other bytes is no provenance"]

    def summary(self, deferrals: int, version: str | None) -> list[str]:
        """Sign the summary of what the evidence is now; what there is to say about it."""
        old, registry = self.evidence.summary, self.evidence.registry
        project = self.config.project
        uri = project or registry.name_of(registry.path)
        assert old is not None  # collected with the whole registry

        def says(place: Place, previous: Release | None = None) -> Statement:
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

        if self._keeps(old, says(release_order.place_after(None)), version):
            return []
        previous = release_order.replaced(old, uri, self.trust())
        place = release_order.place_after(previous)
        draft = _Draft(old.path, _payload(old, says(place, previous)))
        self._sign([draft], "signing the summary")
        made = read_bundle(old.path, self.written[old.path], old.name)
        self.evidence = replace(self.evidence, summary=made)
        new = previous is None and not old.missing
        nameless = [] if project else [NAMELESS]
        return [*([release_order.NEW_HISTORY] if new else []), *place.notes, *nameless]

    def _bundles(self) -> list[Subject]:
        """All row bundles and seed attestations as they will be, each once."""
        found: dict[str, Subject] = {}
        for row in self.rows:
            for bundle in (*row.bundle[:1], *row.attestation[:1]):
                made = self.written.get(bundle.path)
                sha256 = bundle.sha256 if made is None else digest.of_bytes(made).sha256
                if sha256 is not None:
                    found[bundle.path] = Subject(bundle.name, sha256)
        return list(found.values())

    def trust(self) -> Trust:
        """Whose signatures count when what was made is judged before it is written."""
        own = self.signer.own
        if self.declared is None:
            return own
        # The first signer of several cannot have been countersigned yet.
        declared = replace(self.declared, signatures=1, root=self.declared.root or own.root)
        return judging.with_public_root(declared)

    def _draft(self, old: BundleEvidence, statement: Statement) -> list[_Draft]:
        """What has to be signed: nothing where the signer has signed the same already."""
        payload = _payload(old, statement)
        content = old.bundle.content if old.bundle else None
        same = isinstance(content, bundles.Envelope) and content.payload == payload
        return [] if self._kept(old, same) else [_Draft(old.path, payload)]

    def _keeps(self, old: BundleEvidence, summary: Statement, version: str | None) -> bool:
        """Whether the summary that is there says the same, and the signer has signed it."""
        release = releases.release_of(old)
        if release is None or old.statement is None or version not in (None, release.version):
            return False
        return self._kept(old, _same_release(old.statement, decode(_payload(old, summary))))

    def _kept(self, old: BundleEvidence, same: bool) -> bool:
        if not same or old.bundle is None or old.statement is None:
            return False
        if not self.signer.has_signed(old.bundle, self.declared):
            return False
        self.kept.append(old.path)
        return True

    def _sign(self, drafts: Sequence[_Draft], label: str) -> None:
        """Sign all drafts. One is signed first: then an identity is known."""
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


def _payload(old: BundleEvidence, statement: Statement) -> bytes:
    try:
        return encode(statement)
    except StatementError as e:
        raise InputError(f"{old.path}: {e}", help="Correct the row or its sidecar.") from e


def _same_release(old: Statement, new: Statement) -> bool:
    """Whether two summaries are of the same files, whenever and after whatever they were made."""
    apart = ("timeVerified", "verifier", RELEASE_FIELD)

    def rest(predicate: Mapping[str, object]) -> dict[str, object]:
        return {k: v for k, v in predicate.items() if k not in apart}

    return (
        old.subjects == new.subjects
        and old.predicate_type == new.predicate_type
        and same(rest(old.predicate), rest(new.predicate))
    )
