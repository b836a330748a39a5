# SPDX-License-Identifier: Apache-2.0
"""Read and judge the units of a task, in this process or in another one.

The result of `judge_task` depends only on the context, which all tasks share, and on the rows,
files and documents of the task. So tasks can be judged in any order and in any process. The result
is small: findings, and the facts of rows.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, Protocol

from provenance.artifacts import limits
from provenance.artifacts.ensemble import Documents, GateVerdict, Manifest
from provenance.artifacts.packed import pack
from provenance.errors import InputError, ProvenanceError, UnavailableError
from provenance.evidence import packed_facts
from provenance.evidence.collect import task_reader
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
from provenance.gate.rules import BY_CODE, Case, Phase, Rule
from provenance.registry.registry import Registry
from provenance.registry.rows import Row
from provenance.runtime.run import Run, RunNames
from provenance.signing.trust import Trust


@dataclass(frozen=True)
class Context:
    """What is the same for all tasks of a run. Its size does not depend on the number of rows.

    Attributes:
        case: The case without its rows; from `alone`, also without evidence about other units.
        for_consumer: Whether the help is for consumers.
    """

    case: Case
    for_consumer: bool

    @classmethod
    def alone(cls, case: Case, *, for_consumer: bool) -> Context:
        """Return the context for judging each unit without evidence about other units."""
        evidence, nothing = case.evidence, pack(b"{}")
        files = tuple(
            replace(file, packed=nothing, not_rows=(), members={}, keys=())
            for file in evidence.registry.files
        )
        registry = replace(evidence.registry, files=files, rows=())
        schema = evidence.schema and replace(evidence.schema, violations=())
        alone = Evidence(
            evidence.root,
            registry,
            (),
            evidence.whole,
            with_bundles=evidence.with_bundles,
            schema=schema,
            run=evidence.run,
            gates=evidence.gates,
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

    @cached_property
    def rules(self) -> Sequence[Rule]:
        """The rules that judge each task."""
        return rules_of(self.case, for_consumer=self.for_consumer)

    def opened(self) -> Context:
        """Return the context with all rules and with a tree that keeps its folders open."""
        evidence = self.case.evidence
        evidence = replace(evidence, root=evidence.root.keeping_folders())
        return replace(self, case=replace(self.case, evidence=evidence, catalogue=BY_CODE))


@dataclass(frozen=True)
class Task:
    """Units that are judged together by one worker.

    Attributes:
        units: The units.
        licenses: The license files that their rows point at.
        read: Their rows if they were read before, or None if they still have to be read.
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
    """The result of a task.

    Attributes:
        rows: The facts of each row, in the order of the task.
        findings: The findings of rules about rows and ensembles, each with the number of its unit
            in the task, or -1 if it does not belong to a single one. Deferrals are applied later.
        totals: The totals of the rows, to be added up.
        claims: The ensemble that the sidecar of a row names, by the row's index. The index is a
            string, because the result is sent as JSON.
        needs_root: Whether the task was not judged because it needs a trusted root.
        runs: The results of running models, by name.
        names: The names in the models that settings may refer to, if the models were run.
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
    """The state that tasks share in the process that plans them.

    Attributes:
        taken: The files that cannot be external data, as for `RowReader`.
        runs: The results of models that ran before, by name.
        kept: Keeps the rows of each unit, to judge them again.
        progress: Receives how much of large files has been read.
    """

    taken: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    kept: Kept | None = None
    progress: Progress | None = None


class Kept(Protocol):
    """A store for the rows of units, such as `KeptUnits`, which writes them to a file."""

    def keep(self, unit: Unit, rows: Sequence[RowEvidence]) -> None:
        """Keep the rows of a unit."""

    def rows_of(self, unit: Unit) -> Sequence[RowEvidence] | None:
        """Return the rows of a unit, or None if it is not kept."""


@dataclass(frozen=True)
class InMemory:
    """A store in memory, for a small registry."""

    rows: dict[object, Sequence[RowEvidence]] = field(default_factory=dict)

    def keep(self, unit: Unit, rows: Sequence[RowEvidence]) -> None:
        """Keep the rows of a unit."""
        self.rows[unit.content] = rows

    def rows_of(self, unit: Unit) -> Sequence[RowEvidence] | None:
        """Return the rows of a unit, or None if it is not kept."""
        return self.rows.get(unit.content)


def judge_task(context: Context, task: Task, local: Local = Local()) -> Judged:  # noqa: B008 (frozen)
    """Read and judge the units of a task.

    Raises:
        InputError: If the rows of the task together exceed a limit.
        UnavailableError: If models are to be run and there is no runtime.
    """
    around = context.case.evidence
    documents = {d.path: d for unit in task.units for d in unit.documents}
    known = tuple(documents.values())
    totals = Totals(around.registry.path)
    read = task.read if task.read is not None else _read(around, task, known, totals, local)
    evidence = replace(around, rows=read, documents=known, license_files=task.licenses)
    trust = context.case.trust
    if trust is not None and needs_root(trust, evidence.bundles):
        return Judged(needs_root=True)
    names: RunNames | None = None
    if around.run is not None:
        from provenance.evidence.run_models import names_in, run_models
        from provenance.runtime.trial import Runtime

        read = run_models(around.root, read, Runtime.find(), around.run, local.runs)
        names = names_in(read)
        evidence = replace(evidence, rows=read)
    case = replace(context.case, evidence=evidence, _signature_sets={}, _signed={})
    return Judged(
        rows=tuple(facts_of(case, row) for row in read),
        findings=tuple(_by_unit(task, about_units(case, context.rules))),
        totals=totals.found,
        claims={str(row.index): row.named for row in read if row.named is not None},
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
    reader, rows = task_reader(around, task.units, totals, local.taken, local.progress)
    read = tuple(reader.read(rows, Documents(documents), with_bundles=around.with_bundles))
    if local.kept is not None:
        left = iter(read)
        for unit in task.units:
            local.kept.keep(unit, list(islice(left, len(unit.rows))))
    return read


def _by_unit(task: Task, findings: Iterable[Finding]) -> Iterator[tuple[int, Finding]]:
    """Yield each finding with the number of its unit, which its row or document determines."""
    of_row = {row.label: n for n, unit in enumerate(task.units) for row in unit.rows}
    of_path = {d.path: n for n, unit in enumerate(task.units) for d in unit.documents}
    for finding in findings:
        number = of_path.get(finding.path, -1)
        if finding.row is not None:
            number = of_row.get(finding.row, number)
        yield number, finding


def first_bundle(evidence: Evidence) -> BundleEvidence | None:
    """Return the bundle of the first row that names one: others are likely signed the same way."""
    for row in evidence.unread or ():
        if row.sigstore_bundle is not None:
            return RowReader(evidence.root, evidence.registry, ()).bundle_of(row)
    return None


def needs_root(trust: Trust, documents: Sequence[BundleEvidence]) -> bool:
    """Whether a signature needs a trusted root, and the trust has none."""
    if trust.root is not None or not trust.needs_root:
        return False
    signed = [f.bundle for document in documents for f in document.files if f.bundle is not None]
    return any(b.certificate is not None or b.timestamps for b in signed) or (
        trust.asks_when and any(b.says_when for b in signed)
    )


def step(context: bytes, task: bytes) -> bytes:
    """Run `judge_task` in a worker: the arguments are pickled, and the result is JSON.

    An InputError or UnavailableError is not raised, but returned as the result.
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
    """`Judged` as it is sent between processes.

    Many rows have equal signatures. `signatures` holds each distinct tuple once, and the packed
    facts in `rows` refer to its index.
    """

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
        """Return the result for `rows`.

        Raises:
            FactsError: If it is about other rows, or cannot be unpacked.
        """
        if [index for index, _ in self.rows] != [row.index for row in rows]:
            raise packed_facts.FactsError("the facts are about other rows than the task")
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
    """Unpickle the context. Every task carries it, but each process unpickles it only once."""
    context: Context = pickle.loads(data)  # noqa: S301
    return context.opened()


def read_result(data: object, task: Task, registry: Registry, texts: Mapping[str, str]) -> Judged:
    """Read the result of a task from another process, sharing equal strings with `texts`.

    Raises:
        InputError, UnavailableError: If the task ended with this error.
        UnavailableError: If the data is not a result of this task.
    """
    from provenance.gate import wire

    if not isinstance(data, bytes) or len(data) > limits.RESULT:
        raise UnavailableError("a worker returned no result, or one that is too large")
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
        raise UnavailableError(f"a worker returned an invalid result: {e}") from e
    if not _is_about(judged, task, rows):
        raise UnavailableError("a worker returned a result about other rows than its task")
    return judged


def _is_about(judged: Judged, task: Task, rows: Sequence[Row]) -> bool:
    """Whether a result is about these rows of a task and nothing else."""
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
            and (finding.place is None or finding.place.file in {row.source for row in rows})
            for number, finding in judged.findings
        )
    )
