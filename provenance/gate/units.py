# SPDX-License-Identifier: Apache-2.0
"""One task: units of rows, read and judged, in this process or in another one.

`judge_task` is a pure function of a context, which is the same for all tasks, and of a task. Its
result is small: findings, and facts of rows. No row, file or document of another unit has a say in
it.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, Protocol

from provenance.artifacts import limits
from provenance.artifacts.ensemble import Documents, GateVerdict, Manifest
from provenance.artifacts.packed import pack
from provenance.artifacts.registry import Registry, Row
from provenance.errors import InputError, ProvenanceError, UnavailableError
from provenance.evidence import packed_facts
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts, SignatureResult
from provenance.evidence.progress import Progress
from provenance.evidence.read_rows import RowReader
from provenance.evidence.rows import BundleEvidence, LicenseFile, RowEvidence
from provenance.evidence.totals import Totals
from provenance.evidence.units import Unit
from provenance.frozen import dataclass
from provenance.gate.conclusions import about_units, facts_of, rules_of
from provenance.gate.finding import Finding
from provenance.gate.rules import BY_CODE, Case, Phase
from provenance.runtime.run import Run, RunNames
from provenance.signing.trust import Trust


@dataclass(frozen=True)
class Context:
    """What is the same for all tasks of a run. Nothing in it grows with the rows.

    Attributes:
        case: What is judged, without rows, and without what lies around them.
        for_consumer: Whether the help is for those who use what others publish.
    """

    case: Case
    for_consumer: bool

    @classmethod
    def alone(cls, case: Case, *, for_consumer: bool) -> Context:
        """The context in which a unit is judged by itself: of all others it knows nothing."""
        evidence, nothing = case.evidence, pack(b"{}")
        registry = replace(
            evidence.registry, rows=(), packed=nothing, not_rows=(), members={}, keys=()
        )
        schema = evidence.schema and replace(evidence.schema, violations=())
        alone = Evidence(
            evidence.root,
            registry,
            (),
            evidence.whole,
            with_bundles=evidence.with_bundles,
            schema=schema,
            run=evidence.run,
        )
        return cls(
            replace(
                case,
                evidence=alone,
                catalogue={},
                _signature_sets={},
                _signed={},
                phases=tuple(p for p in case.phases if p is not Phase.BASELINE),
                known_of_another_registry=case.trust is not None and case.of_another_registry,
            ),
            for_consumer,
        )

    def opened(self) -> Context:
        """The same in the process that judges: with the rules, and for one pass of reading."""
        evidence = self.case.evidence
        evidence = replace(evidence, root=evidence.root.keeping_folders())
        return replace(self, case=replace(self.case, evidence=evidence, catalogue=BY_CODE))


@dataclass(frozen=True)
class Task:
    """Units that are judged one after the other.

    Attributes:
        units: What is judged.
        licenses: The license files that their rows point at.
        read: Their rows as they were read before, or None if they are to be read.
    """

    units: tuple[Unit, ...]
    licenses: Mapping[str, LicenseFile] = field(default_factory=dict)
    read: tuple[RowEvidence, ...] | None = None

    @property
    def rows(self) -> list[Row]:
        """The rows that are judged."""
        return [row for unit in self.units for row in unit.rows]


@dataclass(frozen=True)
class Judged:
    """What is known of the rows of a task.

    Attributes:
        rows: Facts of each row, in the order of the task.
        findings: What rules about rows and ensembles found, each with the number of its unit in
            the task, or -1 where it is of no single one. Deferrals are applied later.
        totals: What the rows have together, to be added up.
        claims: By its place, the ensemble that the sidecar of a row names.
        needs_root: Whether it was not judged, for want of a trusted root.
        runs: What came of running models, by name.
        names: The names in the models that settings may refer to, if they were run.
    """

    rows: tuple[RowFacts, ...] = ()
    findings: tuple[tuple[int, Finding], ...] = ()
    totals: Mapping[str, int] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    needs_root: bool = False
    runs: Mapping[str, Run] = field(default_factory=dict)
    names: RunNames | None = None


@dataclass(frozen=True)
class Local:
    """What a task is given, or leaves, in the process that plans all of them.

    Attributes:
        taken: As `RowReader` has it.
        runs: What came of running models before.
        kept: Where the units are kept, to be judged again.
        progress: Is notified of what is read of large files.
    """

    taken: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    kept: Kept | None = None
    progress: Progress | None = None


class Kept(Protocol):
    """Where units are kept that were read. `KeptUnits` keeps them in a file."""

    def keep(self, unit: Unit, rows: Sequence[RowEvidence]) -> None:
        """Keep the rows of a unit."""

    def rows_of(self, unit: Unit) -> Sequence[RowEvidence] | None:
        """The rows of a unit, or None if it is not kept."""


@dataclass(frozen=True)
class InMemory:
    """Keeps the units of a registry that is not large."""

    rows: dict[object, Sequence[RowEvidence]] = field(default_factory=dict)

    def keep(self, unit: Unit, rows: Sequence[RowEvidence]) -> None:
        """Keep the rows of a unit."""
        self.rows[unit.content] = rows

    def rows_of(self, unit: Unit) -> Sequence[RowEvidence] | None:
        """The rows of a unit, or None if it is not kept."""
        return self.rows.get(unit.content)


def judge_task(context: Context, task: Task, local: Local = Local()) -> Judged:  # noqa: B008 (frozen)
    """Read and judge the units of a task.

    Raises:
        InputError: The rows of the task have more together than is judged.
        UnavailableError: Models are to be run, and there is no runtime.
    """
    around = context.case.evidence
    documents = {d.path: d for unit in task.units for d in unit.documents}
    known = tuple(documents.values())
    totals = Totals(around.registry.path)
    read = task.read if task.read is not None else _read(around, task, known, totals, local)
    names: RunNames | None = None
    if around.run is not None:
        from provenance.evidence.run_models import names_in, run_models
        from provenance.runtime.trial import Runtime

        read = run_models(around.root, read, Runtime.find(), around.run, local.runs)
        names = names_in(read)
    evidence = replace(around, rows=read, documents=known, license_files=task.licenses)
    trust = context.case.trust
    if trust is not None and needs_root(trust, evidence.bundles):
        return Judged(needs_root=True)
    case = replace(context.case, evidence=evidence, _signature_sets={}, _signed={})
    rules = rules_of(case, for_consumer=context.for_consumer)
    return Judged(
        rows=tuple(facts_of(case, row) for row in read),
        findings=tuple(_by_unit(task, about_units(case, rules))),
        totals=totals.found,
        claims={
            str(row.index): id
            for row in read
            if row.sidecar is not None
            and row.sidecar.sidecar is not None
            and (id := row.sidecar.sidecar.text_at("ensemble_id")) is not None
        },
        runs={m.name: m.run for row in read for m in row.models if m.run is not None},
        names=names,
    )


def _read(
    around: Evidence,
    task: Task,
    documents: tuple[Manifest | GateVerdict, ...],
    totals: Totals,
    local: Local,
) -> tuple[RowEvidence, ...]:
    rows = task.rows
    near = [row for unit in task.units for row in unit.near]
    reader = RowReader(
        around.root,
        around.registry,
        rows + near,
        totals=totals,
        taken=local.taken,
        progress=local.progress,
    )
    read = tuple(reader.read(rows, Documents(documents), with_bundles=around.with_bundles))
    if local.kept is not None:
        left = iter(read)
        for unit in task.units:
            local.kept.keep(unit, list(islice(left, len(unit.rows))))
    return read


def _by_unit(task: Task, findings: Iterable[Finding]) -> Iterator[tuple[int, Finding]]:
    """The findings with the numbers of the units that they are of: by row, or by document."""
    of_row = {row.label: n for n, unit in enumerate(task.units) for row in unit.rows}
    of_path = {d.path: n for n, unit in enumerate(task.units) for d in unit.documents}
    for finding in findings:
        number = of_path.get(finding.path, -1)
        if finding.row is not None:
            number = of_row.get(finding.row, number)
        yield number, finding


def first_bundle(evidence: Evidence) -> BundleEvidence | None:
    """The bundle of the first row that names one: what it needs, the others most likely do."""
    for row in evidence.unread or ():
        if row.sigstore_bundle is not None:
            return RowReader(evidence.root, evidence.registry, ()).bundle_of(row)
    return None


def needs_root(trust: Trust, documents: Sequence[BundleEvidence]) -> bool:
    """Whether anything that was signed is judged by a trusted root, which the trust lacks."""
    if trust.root is not None or not trust.needs_root:
        return False
    signed = [f.bundle for document in documents for f in document.files if f.bundle is not None]
    return any(b.certificate is not None or b.timestamps for b in signed) or (
        trust.asks_when and any(b.says_when for b in signed)
    )


def step(context: bytes, task: bytes) -> bytes:
    """`judge_task` for an executor: what was pickled for it, and the result as JSON.

    An error that is the input's, or of what is not at hand, is part of the result.
    """
    from provenance.gate import wire

    try:
        judged: Judged | _Failed = judge_task(_context(context), pickle.loads(task))  # noqa: S301
    except ProvenanceError as e:
        judged = _Failed(e.exit_code, e.message, e.help)
    if isinstance(judged, _Failed):
        return wire.dump(judged)
    return wire.dump(_Sent.of(judged, _context(context).case.evidence.registry))


@dataclass(frozen=True)
class _Sent:
    """`Judged` as it travels: `signatures` are those of all rows, each once."""

    rows: tuple[tuple[int, Any], ...]
    signatures: tuple[tuple[SignatureResult, ...], ...]
    findings: tuple[tuple[int, Finding], ...]
    totals: Mapping[str, int]
    claims: Mapping[str, str]
    needs_root: bool
    runs: Mapping[str, Run]
    names: RunNames | None

    @classmethod
    def of(cls, judged: Judged, registry: Registry) -> _Sent:
        signatures: dict[tuple[SignatureResult, ...], int] = {}
        rows = [
            (
                facts.row.index,
                packed_facts.pack(
                    facts, registry, signatures.setdefault(facts.signatures, len(signatures))
                ),
            )
            for facts in judged.rows
        ]
        findings = tuple((n, replace(f, deferred=None)) for n, f in judged.findings)
        return cls(
            tuple(rows),
            tuple(signatures),
            findings,
            judged.totals,
            judged.claims,
            judged.needs_root,
            judged.runs,
            judged.names,
        )

    def judged(self, rows: Sequence[Row], registry: Registry, texts: Mapping[str, str]) -> Judged:
        """What it says of `rows`. Raises FactsError."""
        if [index for index, _ in self.rows] != [row.index for row in rows]:
            raise packed_facts.FactsError("they are of other rows than it was asked for")
        packed = zip(self.rows, rows, strict=True)
        facts = [
            packed_facts.unpack(p, row, registry, self.signatures, texts) for (_, p), row in packed
        ]
        return Judged(
            tuple(facts),
            self.findings,
            self.totals,
            self.claims,
            runs=self.runs,
            names=self.names,
        )


@dataclass(frozen=True)
class _Failed:
    """An error that ended a task."""

    code: int
    message: str
    help: str | None


@lru_cache(maxsize=2)
def _context(data: bytes) -> Context:
    """The context, which each task brings, and each process unpacks once."""
    context: Context = pickle.loads(data)  # noqa: S301
    return context.opened()


def read_result(data: object, task: Task, registry: Registry, texts: Mapping[str, str]) -> Judged:
    """What another process says of a task, with strings of `texts` where they are the same.

    Raises:
        InputError, UnavailableError: That is what it says; or UnavailableError: it is no result of
            this very task.
    """
    from provenance.gate import wire

    if not isinstance(data, bytes) or len(data) > limits.RESULT:
        raise UnavailableError("a worker gave no result, or one that is too large")
    try:
        found: _Sent | _Failed = wire.load(_Sent | _Failed, data)
        if isinstance(found, _Failed):
            kind = UnavailableError if found.code == UnavailableError.exit_code else InputError
            raise kind(found.message, help=found.help)
        if found.needs_root:
            return Judged(needs_root=True)
        rows = task.rows
        judged = found.judged(rows, registry, texts)
    except (wire.WireError, packed_facts.FactsError) as e:
        raise UnavailableError(f"a worker gave what is no result of its task: {e}") from e
    if not _is_about(judged, task, rows):
        raise UnavailableError("a worker gave a result of other rows than it was asked for")
    return judged


def _is_about(judged: Judged, task: Task, rows: Sequence[Row]) -> bool:
    """Whether a result is about these rows of a task, and about nothing else."""
    places, labels = {row.index for row in rows}, {row.label for row in rows} | {None}
    return (
        [[m.name for m in facts.models[:1]] for facts in judged.rows]
        == [[row.onnx] if row.onnx is not None else [] for row in rows]
        and judged.claims.keys() <= set(map(str, places))
        and min(judged.totals.values(), default=0) >= 0
        and all(
            -1 <= number < len(task.units)
            and (rule := BY_CODE.get(finding.code)) is not None
            and rule.of_units
            and finding.row in labels
            and finding.deferred is None
            and (finding.place is None or finding.place.row in places)
            for number, finding in judged.findings
        )
    )
