# SPDX-License-Identifier: Apache-2.0
"""The input of a rule: evidence, trust, deferrals, and the findings so far."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import field
from functools import cached_property
from typing import TypeAlias

from provenance.artifacts.forms import shown as shown
from provenance.attestations import signed_row
from provenance.attestations.bundle import Envelope, MessageSignature
from provenance.attestations.signed_row import SignedRow
from provenance.attestations.statement import Statement
from provenance.config import LIBVMAF, Config
from provenance.evidence import releases
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts
from provenance.evidence.rows import BundleEvidence, RowEvidence
from provenance.frozen import dataclass
from provenance.gate import signature_set
from provenance.gate.deferral_matching import Deferrals
from provenance.gate.finding import Finding, by_subject
from provenance.gate.requirements import EXPECTED_TYPES, NOTHING, Require
from provenance.gate.rules.declaration import Declaration, Phase, Target
from provenance.gate.signature_set import SignatureSet
from provenance.signing.trust import Trust

_SignatureKey: TypeAlias = tuple[int, str | None]
"""The `id()` of a bundle, and the digest of the file whose signature is verified."""


@dataclass(frozen=True, slots=True)
class _TrustedRow:
    """The statement of trusted signers about `row`, and the row as they signed it."""

    row: RowEvidence  # kept alive, so that its `id()` is not reused
    statement: Statement | None
    signed: SignedRow | None


def _bound_row(row: RowEvidence, statement: Statement | None) -> SignedRow | None:
    """Return the signed row that a statement binds, if it has the id of `row`, or None."""
    signed = signed_row.signed_row(statement)
    return signed if signed is not None and signed.id == row.entry.text("id") else None


@dataclass(frozen=True)
class Case:
    """The evidence to judge, and everything else that a rule needs.

    Attributes:
        evidence: The evidence. Its `rows` are those of one unit, for rules about rows and
            ensembles.
        trust: The trusted signers, or None if signatures are not judged.
        config: The configuration, with the deferrals.
        today: The date of the run.
        facts: The facts of all selected rows, for rules that do not judge units.
        findings: The findings of earlier phases, with deferrals applied.
        catalogue: All rules by code.
        phases: The phases that this run judges. The cause of a deferral can be gone only if its
            rule was judged.
        require: The requirements of the consumer beyond a valid signature.
        resource_uri: The URI of the project whose release summary is expected, or None if it is
            not known.
        target: The subject that the run verifies.
        predicate_types: The predicate types that count for a model or file, for statements other
            than row bundles. None accepts every type for a file.
        known_of_another_registry: The value of `of_another_registry` if the evidence is one unit.
    """

    evidence: Evidence
    trust: Trust | None
    config: Config
    today: datetime.date
    facts: tuple[RowFacts, ...] = ()
    findings: tuple[Finding, ...] = ()
    catalogue: Mapping[str, Declaration] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    require: Require = NOTHING
    resource_uri: str | None = None
    target: Target = Target.REGISTRY
    predicate_types: Collection[str] | None = EXPECTED_TYPES
    known_of_another_registry: bool = False
    _signature_sets: dict[_SignatureKey, tuple[BundleEvidence, SignatureSet]] = field(
        default_factory=dict
    )
    _signed: dict[int, _TrustedRow] = field(default_factory=dict)

    def judged(self, code: str) -> bool:
        """Whether this run judges the rule for all selected rows."""
        rule = self.catalogue[code]
        return rule.phase in self.phases and (self.evidence.whole or not rule.needs_whole)

    @property
    def for_libvmaf(self) -> bool:
        """Whether the registry must have the format that libvmaf reads."""
        return LIBVMAF in self.config.consumers and self.evidence.registry.stock is not None

    @property
    def compares_releases(self) -> bool:
        """Whether the time of the release matters."""
        return self.require.max_age is not None or self.evidence.seen is not None

    @property
    def needs_row(self) -> bool:
        """Whether the bundle must bind the row."""
        return self.require.of_row or self.needs_summary

    @property
    def needs_summary(self) -> bool:
        """Whether a release summary is required."""
        return self.require.of_release or self.evidence.seen is not None

    @property
    def alone(self) -> bool:
        """Whether a single file is judged by its bundle, without a registry."""
        return self.target in (Target.MODEL, Target.BLOB)

    @cached_property
    def subjects(self) -> Mapping[str, set[str]]:
        """The subjects of the findings so far, by the codes of their rules.

        A finding of a rule that escalates another rule counts for both: the cause of the other rule
        is not gone.
        """
        subjects: dict[str, set[str]] = {}
        for finding in self.findings:
            for code in (finding.code, self.catalogue[finding.code].escalates):
                if code is not None:
                    subjects.setdefault(code, set()).update(finding.subjects)
        return subjects

    @cached_property
    def by_subject(self) -> Mapping[str | None, Sequence[Finding]]:
        """The findings so far, by the row, or else the ensemble, that they are about."""
        return by_subject(self.findings)

    @cached_property
    def by_path(self) -> Mapping[str, Sequence[Finding]]:
        """The findings so far, by the paths of the files to edit."""
        findings: dict[str, list[Finding]] = {}
        for finding in self.findings:
            for path in (finding.path, *finding.others):
                findings.setdefault(path, []).append(finding)
        return findings

    def found(self, code: str, row: RowEvidence) -> bool:
        """Whether a rule has a finding about the row so far, deferred or not."""
        return any(f.code == code for f in self.by_subject.get(row.label, ()) if f.row is not None)

    def fails(self, code: str, row: RowEvidence) -> bool:
        """Whether a rule has a finding about the row that fails."""
        about = self.by_subject.get(row.label, ())
        return any(f.code == code and f.fails for f in about if f.row is not None)

    @cached_property
    def deferrals(self) -> Deferrals:
        """The declared deferrals, by the findings that they cover."""
        return Deferrals(self.config.deferrals)

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """The label of the row that each file belongs to, by the path of the file."""
        return {path: row.label for row in reversed(self.facts) for path in row.paths}

    @cached_property
    def texts(self) -> Set[str]:
        """The paths of all existing JSON files: a finding about one of them always has a line.

        If a single file is judged, the model takes the place of the registry.
        """
        evidence, summary = self.evidence, self.evidence.summary
        paths = {evidence.registry.path, *evidence.unreadable, *evidence.stray_bundles}
        paths |= {d.path for d in (*evidence.documents, *evidence.stray_sidecars)}
        paths |= {s.path for s in evidence.strays if s.path.endswith(".json")}
        paths |= {summary.path} if summary is not None and not summary.missing else set()
        paths.update(s.path for row in self.facts for s in row.sidecars if not s.missing)
        bundles = (b for row in self.facts for b in (row.bundle, row.attestation) if b)
        paths.update(file.path for b in bundles if not b[0].missing for file in b)
        paths.difference_update(f.path for row in self.facts for f in row.model_files)
        return paths

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The index in the registry of each selected row, by its label."""
        return {facts.label: facts.row.index for facts in self.facts}

    def declare_first(self, *keys: str) -> str:
        """Return the step before adding `keys` to a row, or an empty string if none is needed.

        It is needed if the registry's schema does not allow the keys (REG114).
        """
        schema = self.evidence.schema
        undeclared = [key for key in keys if schema is not None and key in schema.undeclared]
        if schema is None or not undeclared:
            return ""
        names = " and ".join(f"`{key[:60]}`" for key in undeclared)
        return f"Declare {names} in the schema: {schema.path}{schema.undeclared[undeclared[0]]}. "

    def signature_set(
        self, document: BundleEvidence, artifact_sha256: str | None = None
    ) -> SignatureSet:
        """Return the judgement on the signatures of a well-formed bundle, computed once."""
        assert self.trust is not None
        assert document.bundle is not None
        if isinstance(document.bundle.content, Envelope):
            artifact_sha256 = None
        key = (id(document), artifact_sha256)
        known = self._signature_sets.get(key)
        if known is None:
            judged = signature_set.judge(document, self.trust, artifact_sha256)
            # Keeps the document alive, so that its `id()` is not reused.
            known = self._signature_sets[key] = document, judged
        return known[1]

    def row_signatures(self, row: RowEvidence) -> SignatureSet | None:
        """Return the judgement on a row's bundle, or None if there is no well-formed bundle."""
        if row.bundle is None or row.bundle.bundle is None:
            return None
        return self.signature_set(row.bundle, row.onnx.sha256 if row.onnx else None)

    def signed_statement(self, bundle: BundleEvidence | None) -> Statement | None:
        """Return the statement in `bundle`, or None without enough valid trusted signatures.

        All rules read statements through this method, so that they never use unsigned content.
        """
        if bundle is None or bundle.bundle is None or bundle.statement is None:
            return None
        return bundle.statement if self.signature_set(bundle).counts else None

    def row_statement(self, row: RowEvidence) -> Statement | None:
        """Return the signed statement about this row, or None.

        A validly signed statement about another row, or of another type, does not count.
        """
        return self._trusted_row(row).statement

    def signed_row(self, row: RowEvidence) -> SignedRow | None:
        """Return the row as trusted signers signed it, or None if they did not.

        In a release that is verified by its summary, a row bundle counts if the signed summary
        lists its digest.
        """
        if self.evidence.released is None:
            return self._trusted_row(row).signed
        if row.bundle is None or row.bundle.sha256 not in self.released_bundles:
            return None
        return _bound_row(row, row.bundle.statement)

    def _trusted_row(self, row: RowEvidence) -> _TrustedRow:
        """Return the signed statement about a row, computed once."""
        known = self._signed.get(id(row))
        if known is None:
            statement = self.signed_statement(row.bundle)
            signed = _bound_row(row, statement)
            known = _TrustedRow(row, statement if signed is not None else None, signed)
            self._signed[id(row)] = known
        return known

    @cached_property
    def of_another_registry(self) -> bool:
        """Whether the release summary belongs to another registry file. ATT712 reports it."""
        evidence, summary = self.evidence, self.signed_statement(self.evidence.summary)
        if not evidence.whole or summary is None or releases.predicate_of(summary) is None:
            return self.known_of_another_registry
        return releases.index_of(summary) != evidence.registry.path

    @cached_property
    def released_bundles(self) -> frozenset[str]:
        """The digests of the bundles that the release summary lists."""
        summary = self.signed_statement(self.evidence.summary)
        return frozenset(summary.inputs.values() if summary is not None else ())

    def is_message_signature(self, row: RowEvidence) -> bool:
        """Whether the row's bundle is a valid signature over the file's bytes alone."""
        bundle = row.bundle.bundle if row.bundle else None
        if bundle is None or not isinstance(bundle.content, MessageSignature):
            return False
        signatures = self.row_signatures(row)
        return signatures is not None and signatures.counts
