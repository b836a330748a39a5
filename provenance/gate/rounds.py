# SPDX-License-Identifier: Apache-2.0
"""Judge a whole registry unit by unit, in two rounds because some units depend on others.

In the first round, each unit is judged alone, in any process. The facts of all rows then show which
units depend on more than their own files: on a claimed ensemble, on equal bytes in another unit, on
a missing file that lies elsewhere, or on the baseline. In the second round, these few units are
judged again in this process, with the evidence of the whole registry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

from provenance.artifacts.ensemble import Manifest
from provenance.artifacts.paths import FileProblem
from provenance.artifacts.writing import changed
from provenance.errors import UnavailableError
from provenance.evidence.collect import complete
from provenance.evidence.collect_models import taken
from provenance.evidence.evidence import BaselineEvidence, Evidence
from provenance.evidence.facts import FileFacts, RowFacts
from provenance.evidence.progress import Progress
from provenance.evidence.rows import BundleEvidence
from provenance.evidence.totals import Totals
from provenance.evidence.units import Unit, in_tasks, plan_of
from provenance.evidence.workers import TASK_ROWS
from provenance.gate.capping import Overflow
from provenance.gate.engine import judge_tasks
from provenance.gate.finding import Finding
from provenance.gate.pool import LARGE
from provenance.gate.rules import BY_CODE, Case
from provenance.gate.units import Context, InMemory, Judged, Kept, Local, Task, judge_task
from provenance.registry.rows import Row
from provenance.runtime.run import Run, RunNames

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from provenance.evidence.kept_units import KeptUnits
    from provenance.signing.trust import Trust


class RootNeededError(Exception):
    """A signature needs a trusted root, and the trust has none."""


@dataclass
class Rounds:
    """The state of judging the registry of `case`, whose rows have not been read.

    All findings are kept per unit until it is known which units are judged again. After that,
    findings beyond the limits of a report are only counted.

    Attributes:
        case: What is judged, with the evidence around the rows.
        for_consumer: Whether the help is for consumers.
        progress: Receives each row.
        kept: Stores the units for a later judgement. Units that it already has are not read again.
        facts: The facts of each row, by its index in the registry.
        evidence: The evidence around the rows; in the second round also the stray files.
    """

    case: Case
    for_consumer: bool
    progress: Progress
    kept: KeptUnits | None = None
    _memory: Kept | None = None
    evidence: Evidence = field(init=False)
    facts: dict[int, RowFacts] = field(default_factory=dict)
    _claims: dict[int, str] = field(default_factory=dict)
    _findings: dict[int | str, list[Finding]] = field(default_factory=dict)
    _units: list[Unit] = field(default_factory=list)
    _again: set[int | str] = field(default_factory=set)
    _overflow: Overflow = field(init=False)
    _rows: Sequence[Row] = field(init=False)
    _runs: dict[str, Run] = field(default_factory=dict)
    _names: RunNames = RunNames()  # noqa: RUF009 (frozen)

    def __post_init__(self) -> None:
        """Start with the evidence that was read before the rows."""
        self.evidence = self.case.evidence
        self._overflow = Overflow(self.case.deferrals)
        self._rows = self.evidence.unread or ()

    @property
    def rows(self) -> list[RowFacts]:
        """The facts of all rows, in the order of the registry."""
        return [self.facts[row.index] for row in self._rows]

    @property
    def findings(self) -> Iterator[Finding]:
        """The findings about the units, unit by unit."""
        for found in self._findings.values():
            yield from found
        yield from self._overflow.summed_up()

    def again(self, trust: Trust) -> Rounds:
        """Return new rounds of the same registry, with a trust that has a root."""
        case = replace(self.case, trust=trust, _signature_sets={}, _signed={})
        return Rounds(case, self.for_consumer, self.progress, self.kept, self._memory)

    def run(self, executor: Executor | None, rows_of_a_task: int) -> Rounds:
        """Judge all units in both rounds. The errors are those of `first` and `second`."""
        self.first(executor, rows_of_a_task)
        self.second()
        return self

    def first(self, executor: Executor | None, rows_of_a_task: int = TASK_ROWS) -> None:
        """Judge every unit alone, through the executor if there is one.

        Raises:
            RootNeededError: If a signature needs a trusted root, which the trust does not have.
            InputError: If the rows together exceed a limit, or a setting for running models names
                nothing in any model.
            UnavailableError: If a worker was lost, or there is no runtime to run models with.
        """
        evidence = self.evidence
        context = Context.alone(self.case, for_consumer=self.for_consumer)
        self._units = plan_of(evidence)
        totals = Totals(evidence.registry.path)
        self.progress.begin("judging rows", len(self._rows))
        tasks = (self._task(each) for each in in_tasks(self._units, rows_of_a_task))
        shared = _signed_texts(evidence.summary)
        if executor is None:
            is_small = len(self._rows) < LARGE
            self._memory = self._memory or self.kept or (InMemory() if is_small else None)
        local = self._local() if executor is None else Local()
        with closing(judge_tasks(context, tasks, executor, shared, local)) as results:
            self._take_all(results, totals)
        if evidence.run is not None and evidence.whole:
            from provenance.evidence.run_models import refuse_unknown

            refuse_unknown(evidence.run, self._names, self.case.config.path)

    def _take_all(self, results: Iterable[tuple[Task, Judged]], totals: Totals) -> None:
        for task, judged in results:
            if judged.needs_root:
                self._needs_root()
            totals.add(judged.totals)
            self._note_again(task, judged)
            self._take(task, judged)

    def second(self) -> None:
        """Judge the units again that depend on others, with the evidence of the whole registry.

        Raises:
            RootNeededError, UnavailableError: As `first`.
            InputError: If a file changed during the run.
        """
        if self.evidence.wide is None:  # otherwise an earlier judgement completed it
            self.evidence = complete(self.evidence, self.rows)
        self.evidence = replace(self.evidence, unread=None)
        units = self._units
        if self._claims:
            known = {unit.content for unit in units}
            units = plan_of(self.case.evidence, self._claims)
            self._again.update(unit.name for unit in units if unit.content not in known)
        if self.kept is not None:
            self.kept.units = units
        local = self._local()
        again = [unit for unit in units if self._must_be_judged_again(unit, local.taken)]
        found, self._findings, self._again, self._units = self._findings, {}, set(), []
        renewed = {unit.name for unit in again}
        for unit in units:
            if unit.name in found and unit.name not in renewed:
                self._keep(unit, found.pop(unit.name))
        case = replace(self.case, evidence=replace(self.evidence, documents=()))
        context = Context(case, for_consumer=self.for_consumer).opened()
        read = (self.facts[row.index] for unit in again for row in unit.rows)
        before = {facts.row.index: facts for facts in read if any(_files(facts))}
        for each in in_tasks(again, TASK_ROWS):
            task = self._task(each)
            judged = judge_task(context, task, local)
            if judged.needs_root:
                self._needs_root()
            self._take(task, judged)
        _refuse_changes(before, self.facts)

    def _needs_root(self) -> NoReturn:
        trust = self.case.trust
        if trust is None or trust.root is not None:
            raise UnavailableError("a worker asked for a trusted root, but it already had one")
        raise RootNeededError

    def _task(self, units: tuple[Unit, ...]) -> Task:
        urls = {row.text("license_url") for unit in units for row in unit.rows}
        files = self.evidence.license_files
        licenses = {url: files[url] for url in urls if url is not None and url in files}
        kept = self.kept or self._memory
        read = [kept.rows_of(unit) if kept is not None else None for unit in units]
        if None in read:
            return Task(units, licenses)
        return Task(units, licenses, tuple(row for rows in read for row in rows or ()))

    def _local(self) -> Local:
        registry = self.evidence.registry
        return Local(taken(registry, registry.rows), self._runs, self._memory, self.progress)

    def _note_again(self, task: Task, judged: Judged) -> None:
        """Note which units must be judged again because of the findings of the first round."""
        for number, finding in judged.findings:
            if number < 0:  # it does not belong to a single unit
                self._again.update(unit.name for unit in task.units)
            elif BY_CODE[finding.code].looks_around:
                self._again.add(task.units[number].name)
        for unit in task.units:
            ids = {d.id for d in unit.documents if isinstance(d, Manifest)}
            for row in unit.rows:
                id = judged.claims.get(str(row.index))
                if id is not None and id not in ids:
                    self._claims[row.index] = id

    def _take(self, task: Task, judged: Judged) -> None:
        self._runs.update(judged.runs)
        self._names |= judged.names or RunNames()
        for facts in judged.rows:
            self.facts[facts.row.index] = facts
            self.progress.advance()
        found: dict[int, list[Finding]] = {}
        for number, finding in judged.findings:
            found.setdefault(number, []).append(finding)
        for number, findings in found.items():
            self._keep(task.units[number], findings)

    def _keep(self, unit: Unit, findings: list[Finding]) -> None:
        """Keep the findings about a unit, unless it is judged again."""
        if unit.name in self._again:
            return
        kept = findings if self._units else [f for f in findings if self._overflow.keeps(f)]
        if kept:
            self._findings.setdefault(unit.name, []).extend(kept)

    def _must_be_judged_again(self, unit: Unit, others: Mapping[str, str]) -> bool:
        """Whether a unit depends on others or on the baseline, and must be judged again."""
        if unit.name in self._again:
            return True
        evidence, baseline = self.evidence, self.evidence.baseline
        if (evidence.unreadable or evidence.not_documents) and (
            unit.documents or any(row.index in self._claims for row in unit.rows)
        ):
            return True
        violations = evidence.registry_wide.violations
        for row in unit.rows:
            facts = self.facts[row.index]
            if row.index in violations:
                return True
            models = {model.path for model in facts.models}
            if any(f.path in others for f in facts.model_files if f.path not in models):
                return True
            if not row.smoke and any(m.sha256 in evidence.placeholders for m in facts.models):
                return True
            if baseline is not None and _has_changed(row, baseline):
                return True
        return False


def _signed_texts(summary: BundleEvidence | None) -> Iterator[str]:
    """Yield the names and digests in a release summary, because most results repeat them."""
    statement = summary.statement if summary is not None else None
    if statement is not None:
        for subject in statement.subjects:
            yield subject.name
            yield subject.sha256
        for text in statement.inputs.items():
            yield from text


def _has_changed(row: Row, baseline: BaselineEvidence) -> bool:
    """Whether a row or its files may differ from the baseline.

    The baseline has former digests of files only if a rule needs them (see `FormerRow`).
    """
    former = baseline.rows.get(row.index)
    if former is None or former.row.verbatim != row.verbatim:
        return True
    then, now = former.row, row
    if (then.fields, then.digests, then.files, then.supplied) != (
        now.fields,
        now.digests,
        now.files,
        now.supplied,
    ):
        return True  # the same entry, read through another mapping
    return any((former.sidecar, former.int8_sidecar, former.bundle))


def _refuse_changes(then: Mapping[int, RowFacts], now: Mapping[int, RowFacts]) -> None:
    """Check that files that were read in both rounds have not changed between them.

    Raises:
        InputError: If a file changed.
    """
    for index, before in then.items():
        after = _files(now[index])
        for use, file in _files(before).items():
            found = after.get(use, file)
            refused = found.problem is FileProblem.UNSAFE  # only the other rows show it
            if not refused and (found.sha256, found.problem) != (file.sha256, file.problem):
                raise changed(file.path)


def _files(row: RowFacts) -> Mapping[tuple[str, str], FileFacts]:
    """Return the files of a row, by their use and name."""
    uses = {
        "model": row.model_files,
        "sidecar": row.sidecars,
        "bundle": row.bundle,
        "attestation": row.attestation,
    }
    return {(use, file.name): file for use, files in uses.items() for file in files}
