# SPDX-License-Identifier: Apache-2.0
"""What a rule is given: evidence, trust, exceptions, and what was found so far."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Final, TypeAlias

from provenance.artifacts.forms import shown as shown
from provenance.attestations import signed_row
from provenance.attestations.bundle import Envelope, MessageSignature
from provenance.attestations.signed_row import SignedRow
from provenance.attestations.statement import Statement
from provenance.config import Config
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

_QUOTED: Final = re.compile(r"([\"`])(\w+)\1", re.ASCII)


_Asked: TypeAlias = tuple[int, str | None]
"""A bundle, by its `id()`, and the digest of the file that it is asked about."""


@dataclass(frozen=True, slots=True)
class _Believed:
    """What trusted signers said of `row`, and the row as they signed it."""

    row: RowEvidence  # with it, so that no other one ever has its id
    statement: Statement | None
    signed: SignedRow | None


def _stated(row: RowEvidence, statement: Statement | None) -> SignedRow | None:
    """The row that a statement binds, where it is `row`."""
    signed = signed_row.signed_row(statement)
    return signed if signed is not None and signed.id == row.entry.text("id") else None


@dataclass(frozen=True)
class Case:
    """What is judged: evidence, whose signatures count, the declared exceptions, and the date.

    `trust` is None where signatures are not judged. `findings` are those of earlier phases, with
    deferrals applied. `catalogue` holds all rules by code, `phases` those that are judged in this
    run: a rule that was not judged cannot show that the cause of a deferral is gone. `require` is
    what the consumer requires beyond that it verifies. `resource_uri` names the project whose
    release summary it has to be, or is None if that is not known. `predicate_types` are those of
    statements by others that count for a model or file; with None each does for a file.

    `evidence.rows` are those of one unit, which rules about rows and ensembles judge. `facts` are
    those of all selected rows, from which the other rules conclude.
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
    _signature_sets: dict[_Asked, tuple[BundleEvidence, SignatureSet]] = field(default_factory=dict)
    _signed: dict[int, _Believed] = field(default_factory=dict)

    def judged(self, code: str) -> bool:
        """Whether the rule is judged in this run, for all that is selected."""
        rule = self.catalogue[code]
        return rule.phase in self.phases and (self.evidence.whole or not rule.needs_whole)

    @property
    def compares_releases(self) -> bool:
        """Whether it matters when the release was made."""
        return self.require.max_age is not None or self.evidence.seen is not None

    @property
    def needs_row(self) -> bool:
        """Whether the bundle has to bind the row."""
        return self.require.of_row or self.needs_summary

    @property
    def needs_summary(self) -> bool:
        """Whether a release summary has to be at hand."""
        return self.require.of_release or self.evidence.seen is not None

    @property
    def alone(self) -> bool:
        """Whether a file is judged by its bundle, without a registry."""
        return self.target in (Target.MODEL, Target.BLOB)

    @cached_property
    def subjects(self) -> Mapping[str, set[str]]:
        """What the findings so far are about, by their rules and by the rules that these escalate.

        A row where a sterner rule took over has not been cured: that rule fails by itself.
        """
        found: dict[str, set[str]] = {}
        for finding in self.findings:
            for code in (finding.code, self.catalogue[finding.code].escalates):
                if code is not None:
                    found.setdefault(code, set()).update(finding.subjects)
        return found

    @cached_property
    def by_subject(self) -> Mapping[str | None, Sequence[Finding]]:
        """The findings so far, by the row or else the ensemble that they are about."""
        return by_subject(self.findings)

    @cached_property
    def by_path(self) -> Mapping[str, Sequence[Finding]]:
        """The findings so far, by the files that have to be edited."""
        found: dict[str, list[Finding]] = {}
        for finding in self.findings:
            for path in (finding.path, *finding.others):
                found.setdefault(path, []).append(finding)
        return found

    def found(self, code: str, row: RowEvidence) -> bool:
        """Whether a rule has a finding about the row so far, deferred or not."""
        return any(f.code == code for f in self.by_subject.get(row.label, ()) if f.row is not None)

    def fails(self, code: str, row: RowEvidence) -> bool:
        """Whether a rule has a finding about the row that fails."""
        about = self.by_subject.get(row.label, ())
        return any(f.code == code and f.fails for f in about if f.row is not None)

    @cached_property
    def deferrals(self) -> Deferrals:
        """The declared exceptions, by what they cover."""
        return Deferrals(self.config.deferrals)

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """The row of each file that belongs to one, by its path."""
        return {path: row.label for row in reversed(self.facts) for path in row.paths}

    @cached_property
    def texts(self) -> frozenset[str]:
        """The paths of all JSON files that are there: a finding about one is at least at its start.

        Of one file alone, the model takes the place of the registry.
        """
        evidence, summary = self.evidence, self.evidence.summary
        there = {evidence.registry.path, *evidence.unreadable, *evidence.stray_bundles}
        there |= {d.path for d in (*evidence.documents, *evidence.stray_sidecars)}
        there |= {s.path for s in evidence.strays if s.path.endswith(".json")}
        there |= {summary.path} if summary is not None and not summary.missing else set()
        there.update(s.path for row in self.facts for s in row.sidecars if not s.missing)
        bundles = (b for row in self.facts for b in (row.bundle, row.attestation) if b)
        there.update(file.path for b in bundles if not b[0].missing for file in b)
        there.difference_update(f.path for row in self.facts for f in row.model_files)
        return frozenset(there)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place in the registry of each selected row, by its label."""
        return {facts.label: facts.row.index for facts in self.facts}

    def name_of(self, field: str) -> str:
        """What the registry calls a field, for messages."""
        return self.evidence.registry.names.of(field)

    def in_its_words(self, text: str) -> str:
        """A text about a row with the registry's own names for the fields in it, in quotes."""
        return _QUOTED.sub(lambda m: f"{m[1]}{self.name_of(m[2])}{m[1]}", text)

    def declare_first(self, *keys: str) -> str:
        """Return the step before an advice that adds `keys` to a row, or "" if none is needed.

        It is needed where the schema that the registry names forbids them (REG114).
        """
        schema = self.evidence.schema
        closed = [key for key in keys if schema is not None and key in schema.undeclared]
        if schema is None or not closed:
            return ""
        called = " and ".join(f"`{key[:60]}`" for key in closed)
        return f"Declare {called} in the schema: {schema.path}{schema.undeclared[closed[0]]}. "

    def signature_set(
        self, document: BundleEvidence, artifact_sha256: str | None = None
    ) -> SignatureSet:
        """The judgement on the signatures of a well-formed bundle. Each is computed once."""
        assert self.trust is not None
        assert document.bundle is not None
        if isinstance(document.bundle.content, Envelope):
            artifact_sha256 = None
        asked = (id(document), artifact_sha256)
        known = self._signature_sets.get(asked)
        if known is None:
            judged = signature_set.judge(document, self.trust, artifact_sha256)
            # With the document itself, so that no other one ever has its id.
            known = self._signature_sets[asked] = document, judged
        return known[1]

    def row_signatures(self, row: RowEvidence) -> SignatureSet | None:
        """The judgement on a row's bundle, None where there is no well-formed one."""
        if row.bundle is None or row.bundle.bundle is None:
            return None
        return self.signature_set(row.bundle, row.onnx.sha256 if row.onnx else None)

    def signed_statement(self, bundle: BundleEvidence | None) -> Statement | None:
        """What trusted signers said in `bundle`; None where too few trusted signatures are valid.

        Everything that is concluded from a statement goes through here: nothing that was not
        signed by those whose signatures count is ever believed.
        """
        if bundle is None or bundle.bundle is None or bundle.statement is None:
            return None
        return bundle.statement if self.signature_set(bundle).counts else None

    def row_statement(self, row: RowEvidence) -> Statement | None:
        """What a trusted signer said of this very row; None where nobody did.

        A genuine bundle of another row, or of another kind, says nothing of this one.
        """
        return self._believed(row).statement

    def signed_row(self, row: RowEvidence) -> SignedRow | None:
        """The row as trusted signers signed it; None if they did not.

        In a release that is judged by its summary, the row bundles count by their digests, which
        the summary signs.
        """
        if self.evidence.released is None:
            return self._believed(row).signed
        if row.bundle is None or row.bundle.sha256 not in self.released_bundles:
            return None
        return _stated(row, row.bundle.statement)

    def _believed(self, row: RowEvidence) -> _Believed:
        """What trusted signers signed of a row, computed once."""
        known = self._signed.get(id(row))
        if known is None:
            statement = self.signed_statement(row.bundle)
            signed = _stated(row, statement)
            known = _Believed(row, statement if signed is not None else None, signed)
            self._signed[id(row)] = known
        return known

    @cached_property
    def of_another_registry(self) -> bool:
        """Whether the release summary is that of another registry file, which ATT712 reports."""
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
        found = self.row_signatures(row)
        return found is not None and found.counts
