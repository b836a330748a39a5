# SPDX-License-Identifier: Apache-2.0
"""What a rule is, and what it is given.

A rule is a class: its code is stable and never reused, its docstring is its page. What it judges,
where it applies and what it yields to is data. Judging is a pure function of the case: it reads no
file and asks no clock.
"""

from __future__ import annotations

import datetime
import enum
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from itertools import takewhile
from typing import Any, ClassVar, Final, TypeAlias

from provenance.artifacts.documents.strict_json import JsonPath, Position
from provenance.artifacts.forms import shown as shown
from provenance.artifacts.paths import FETCH
from provenance.artifacts.sidecar import Document
from provenance.attestations import signed_row
from provenance.attestations.bundle import Envelope, MessageSignature
from provenance.attestations.signed_row import SignedRow
from provenance.attestations.statement import Statement
from provenance.config import Config
from provenance.evidence import releases
from provenance.evidence.ensembles import Ensemble
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts
from provenance.evidence.rows import BundleEvidence, ModelEvidence, RowEvidence
from provenance.frozen import dataclass
from provenance.gate import signature_set
from provenance.gate.deferral_matching import Deferrals
from provenance.gate.finding import Finding, Fix, Place, Severity, by_subject
from provenance.gate.requirements import EXPECTED_TYPES, NOTHING, Require
from provenance.gate.signature_set import SignatureSet
from provenance.signing.trust import Trust

FIX_COMMAND: Final = "provenance check --fix"
_QUOTED: Final = re.compile(r"([\"`])(\w+)\1", re.ASCII)


class Phase(enum.Enum):
    """When a rule is judged. Each phase sees what the earlier ones concluded.

    A value says what is judged and, where not every run judges it, which does.
    """

    ARTIFACTS = "what can be judged before anything is signed"
    RUNTIME = "how the models run (--run)"
    BASELINE = "changes since a baseline (--baseline)"
    CLAIMS = "whether the evidence for what the rows claim is there"
    SIGNATURES = "signatures (verify)"
    PIPELINE = "the steps of the release (verify --layout)"
    OUTCOME = "what follows from the findings: deferrals, the release summary"
    REQUIREMENTS = "what a consumer requires (verify --require)"

    @property
    def is_released(self) -> bool:
        """Whether a release judges it: only then can what it finds have been signed as deferred."""
        unreleased = (Phase.RUNTIME, Phase.BASELINE, Phase.PIPELINE, Phase.REQUIREMENTS)
        return self not in unreleased

    @property
    def is_open(self) -> bool:
        """Whether a run that does not judge it leaves something open. Who has no layout or requires
        nothing, misses nothing.
        """
        return self not in (Phase.PIPELINE, Phase.REQUIREMENTS)


class Scope(enum.Enum):
    """What a rule looks at, at once."""

    ROW = "a row and its files"
    ENSEMBLE = "an ensemble: a manifest, its members and the verdicts on it"
    REGISTRY = "all rows together"
    DOCUMENT = "a document that is not of one row"
    OUTCOME = "what the other rules found"


class Target(enum.Enum):
    """What is verified as a whole."""

    REGISTRY = "the registry of a repository"
    RELEASE = "a release by its summary"
    MODEL = "one model by its bundle"
    BLOB = "any file by a bundle"


REGISTRY: Final = frozenset({Target.REGISTRY})
REGISTRY_AND_MODEL: Final = REGISTRY | {Target.MODEL}
REGISTRY_AND_RELEASE: Final = REGISTRY | {Target.RELEASE}
ALL_BUT_BLOBS: Final = REGISTRY_AND_MODEL | {Target.RELEASE}
EVERYWHERE: Final = frozenset(Target)


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
    catalogue: Mapping[str, Rule] = field(default_factory=dict)
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


class Rule:
    """One rule. Subclasses set `code` and `slug` and write the page in their docstring.

    For each of its `scopes` a rule has the method that judges it.

    Attributes:
        consumer_advice: The help for those who use a model and can neither edit nor sign it; None
            where the publisher is spoken to.
    """

    code: ClassVar[str]
    slug: ClassVar[str]
    severity: ClassVar[Severity] = Severity.ERROR
    deferrable: ClassVar[bool] = False
    phase: ClassVar[Phase] = Phase.ARTIFACTS
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.ROW,)
    """What it looks at, at once."""
    applies: ClassVar[frozenset[Target]] = REGISTRY
    """Where it is judged."""
    yields_to: ClassVar[tuple[str, ...]] = ()
    """The rules whose failing finding about the same row or file says the same cause: then this
    one's is suppressed, and listed as that."""
    looks_around: ClassVar[bool] = False
    """Whether what it says of a unit depends on what lies around it: strays, other rows' files, the
    baseline. It may say something first without, and is judged again with all that."""
    needs_trust: ClassVar[bool] = False
    """Whether it judges what was signed, and so can say nothing where nobody is trusted."""
    needs_whole: ClassVar[bool] = False
    """Whether it is judged only where the whole registry is: some rows do not show it."""
    about_rows: ClassVar[bool] = True
    """Whether its findings are about rows. Others are about an ensemble, a file, or a row that is
    gone: a deferral names that, and is stale where none of it is found."""
    for_consumer: ClassVar[bool] = False
    """Whether its help is for those who use a model too, and not only for its publisher."""
    consumer_help: ClassVar[str | None] = None
    """Its help for those who use a model, if there is more to say than the command has."""
    escalates: ClassVar[str | None] = None
    """The rule that this one takes the place of, for rows where no deferral may cover it."""

    def __init__(self, consumer_advice: str | None = None) -> None:
        """Make the rule for a publisher, or with `consumer_advice` for those who use a model."""
        self.consumer_advice = consumer_advice

    def judge_row(self, case: Case, row: RowEvidence) -> Iterable[Finding]:
        """The findings about one row of the unit in `case`."""
        raise NotImplementedError

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterable[Finding]:
        """The findings about one ensemble of the unit in `case`."""
        raise NotImplementedError

    def judge_whole(self, case: Case) -> Iterable[Finding]:
        """The findings about all rows, a document, or an outcome."""
        raise NotImplementedError

    def judge_unit(self, case: Case) -> Iterator[Finding]:
        """The findings about the rows and ensembles of a unit."""
        if Scope.ENSEMBLE in self.scopes:
            for ensemble in case.evidence.ensembles:
                yield from self.judge_ensemble(case, ensemble)
        if Scope.ROW in self.scopes:
            for row in case.evidence.rows:
                yield from self.judge_row(case, row)

    @property
    def of_units(self) -> bool:
        """Whether it judges units."""
        return Scope.ROW in self.scopes or Scope.ENSEMBLE in self.scopes

    @property
    def of_whole(self) -> bool:
        """Whether it judges what is not of one unit."""
        return any(s not in (Scope.ROW, Scope.ENSEMBLE) for s in self.scopes)

    def finding(
        self,
        message: str,
        help: str,
        *,
        path: str,
        row: str | None = None,
        position: Position | None = None,
        place: Place | None = None,
        about: str | None = None,
        ensemble: str | None = None,
        fixes: tuple[Fix, ...] = (),
        for_consumer: bool = False,
    ) -> Finding:
        """A finding of this rule, at `path`, the file that has to be edited.

        Where there are `fixes`, the help ends with the command that makes them, unless it names
        another one. Those who use what others publish are given no edits, and advice of their own,
        unless `help` is for them too.
        """
        if self.consumer_advice is not None and not (self.for_consumer or for_consumer):
            of_pointer = FETCH.partition(": ")[2] in help
            help, fixes = FETCH if of_pointer else self.consumer_help or self.consumer_advice, ()
        if fixes and ": provenance " not in help:
            help = f"{help.removesuffix('.')}: {FIX_COMMAND}"
        return Finding(
            code=self.code,
            slug=self.slug,
            severity=self.severity,
            row=row,
            path=path,
            position=position,
            message=message,
            help=help,
            about=about or path,
            ensemble=ensemble,
            fixes=fixes,
            place=place,
        )

    def in_row(
        self,
        case: Case,
        row: RowEvidence | RowFacts,
        field: str | None,
        message: str,
        help: str,
        *,
        below: JsonPath = (),
        about: str | None = None,
        fixes: tuple[Fix, ...] = (),
    ) -> Finding:
        """A finding at a field of a row in the registry; `about` is the file it speaks of.

        `below` leads to what has to be edited: in the field, or in the row as it is written. If
        there is no registry, the finding is at the file.
        """
        registry = case.evidence.registry
        if case.alone:
            return self.finding(message, help, path=about or registry.path, row=row.label)
        entry = row.row if isinstance(row, RowFacts) else row.entry
        where = below
        if field is not None:
            is_there = field in entry.fields
            where = (case.name_of(field), *below) if is_there else ()
        return self.finding(
            message,
            help,
            path=registry.path,
            row=row.label,
            position=entry.position,
            place=Place(entry.index, where) if where else None,
            about=about,
            fixes=fixes,
        )

    def at(
        self,
        document: Document,
        where: JsonPath,
        message: str,
        help: str,
        *,
        row: str | None = None,
        ensemble: Ensemble | None = None,
        fixes: tuple[Fix, ...] = (),
    ) -> Finding:
        """A finding at a member of a document, or at what holds it where it is missing."""
        return self.finding(
            message,
            help,
            path=document.path,
            row=row,
            position=document.locate(*_existing(document, where)),
            ensemble=ensemble.manifest.id if ensemble else None,
            fixes=fixes,
        )


class ModelRule(Rule):
    """A rule about each model of a row: the `.onnx`, and its int8 variant."""

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        """The findings about the models of one row."""
        for model in row.models:
            yield from self.judge_model(case, row, model)

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterable[Finding]:
        """The findings about one model."""
        raise NotImplementedError


def _existing(document: Document, where: JsonPath) -> JsonPath:
    """As much of a path as there is in the document."""
    here: Any = document.value
    for n, step in enumerate(where):
        in_object = isinstance(here, dict) and step in here
        in_list = isinstance(here, list) and isinstance(step, int) and step < len(here)
        if not in_object and not in_list:
            return where[:n]
        here = here[step]
    return where


def differing(now: object, then: object, limit: int = 60) -> tuple[str, str]:
    """Two values as they are shown side by side; long texts from where they begin to differ."""
    a, b = repr(now), repr(then)
    if max(len(a), len(b)) <= limit:
        return a, b
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))
    start = max(0, len(list(alike)) - 10)

    def cut(text: str) -> str:
        lead = "…" if start else ""
        return f"{lead}{text[start : start + limit]}{'…' if len(text) > start + limit else ''}"

    return cut(a), cut(b)


def some(names: Sequence[str], limit: int, between: str = ", ") -> str:
    """The first of several names, and how many more there are."""
    more = len(names) - limit
    return between.join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def command(*words: str) -> str:
    """A command of ours as it can be pasted into a shell, whatever ids and names are in it."""
    return shlex.join(("provenance", *words))


def accept(row: RowEvidence, *options: str) -> str:
    """The command that takes the files of a row as they are now: their digests, and no others."""
    label = row.label
    return command("hash", label, "--write", *options, "--accept", label)


def short(sha256: str | None) -> str:
    """A digest as people compare it: its first 12 digits."""
    return f"{sha256[:12]}…" if sha256 else "none"
