# SPDX-License-Identifier: Apache-2.0
"""A whole registry, judged unit by unit: in two rounds, because some units need to know of others.

In the first round each unit is judged by itself, wherever that is. Its facts then say which units
share more than their names told: a claim, bytes, a file that one misses and that lies elsewhere, or
what was there at the baseline. These few are judged again, here, with everything around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

from provenance.artifacts.ensemble import Documents, Manifest
from provenance.artifacts.paths import FileProblem
from provenance.artifacts.registry import Row
from provenance.artifacts.sidecar import sidecar_of
from provenance.errors import InputError, UnavailableError
from provenance.evidence.collect import complete
from provenance.evidence.evidence import BaselineEvidence, Evidence
from provenance.evidence.facts import FileFacts, RowFacts
from provenance.evidence.progress import Progress
from provenance.evidence.rows import BundleEvidence
from provenance.evidence.totals import Totals
from provenance.evidence.units import Unit, in_tasks, plan
from provenance.gate.capping import Overflow
from provenance.gate.engine import judge_tasks
from provenance.gate.finding import Finding
from provenance.gate.rules import BY_CODE, Case
from provenance.gate.units import TASK_ROWS, Context, Judged, Task, judge_task

if TYPE_CHECKING:
    from concurrent.futures import Executor


class RootNeededError(Exception):
    """Something was signed that only a trusted root can judge."""


@dataclass
class Rounds:
    """What has been judged so far of the registry of `case`, whose rows were not read.

    What is found is kept for each unit until it is known which are judged again; from then on it is
    counted where it is too much for a report.

    Attributes:
        case: What is judged, with what lies around the rows.
        for_consumer: Whether the help is for those who use what others publish.
        progress: Is notified of each row.
        facts: By its place in the registry, what is known of a row.
        evidence: What lies around the rows; after the first round also what is stray.
    """

    case: Case
    for_consumer: bool
    progress: Progress
    evidence: Evidence = field(init=False)
    facts: dict[int, RowFacts] = field(default_factory=dict)
    _claims: dict[int, str] = field(default_factory=dict)
    _findings: dict[int | str, list[Finding]] = field(default_factory=dict)
    _units: list[Unit] = field(default_factory=list)
    _again: set[int | str] = field(default_factory=set)
    _overflow: Overflow = field(init=False)

    def __post_init__(self) -> None:
        """Begin with what was read before the rows."""
        self.evidence = self.case.evidence
        self._overflow = Overflow(self.case.deferrals)

    @property
    def rows(self) -> list[RowFacts]:
        """The facts of all rows, in the order of the registry."""
        return [self.facts[row.index] for row in self._rows]

    @property
    def findings(self) -> Iterator[Finding]:
        """What was found about the units, unit by unit."""
        for found in self._findings.values():
            yield from found
        yield from self._overflow.told()

    def first(self, executor: Executor | None, rows_of_a_task: int = TASK_ROWS) -> None:
        """Judge every unit by itself, through an executor where there is one.

        Raises:
            RootNeededError: It takes a trusted root, which the context does not have.
            InputError: The rows have more together than is judged.
            UnavailableError: A worker was lost.
        """
        registry = self.evidence.registry
        context = Context.alone(self.case, for_consumer=self.for_consumer)
        self._units = self._plan()
        totals = Totals(registry.path)
        self.progress.begin("judging rows", len(registry.rows))
        tasks = (self._task(each) for each in in_tasks(self._units, rows_of_a_task))
        shared = _signed_texts(self.evidence.summary)
        with closing(judge_tasks(context, tasks, executor, shared)) as results:
            self._take_all(results, totals)

    def _take_all(self, results: Iterable[tuple[Task, Judged]], totals: Totals) -> None:
        for task, judged in results:
            if judged.needs_root:
                self._needs_root()
            totals.add(judged.totals)
            self._note_again(task, judged)
            self._take(task, judged)

    def second(self) -> None:
        """Judge those again which have to do with others, with everything around them.

        Raises:
            RootNeededError, UnavailableError: As `first`.
            InputError: A file has changed meanwhile.
        """
        self.evidence = replace(complete(self.evidence, self.rows), unread=False)
        units, taken = self._units, self._taken()
        if self._claims:
            known = {unit.content for unit in units}
            units = self._plan()
            self._again.update(unit.name for unit in units if unit.content not in known)
        again = [unit for unit in units if self._is_again(unit, taken)]
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
            judged = judge_task(context, task, taken)
            if judged.needs_root:
                self._needs_root()
            self._take(task, judged)
        _refuse_changes(before, self.facts)

    def _needs_root(self) -> NoReturn:
        trust = self.case.trust
        if trust is None or trust.root is not None:
            raise UnavailableError("a worker asks for a trusted root that it was given")
        raise RootNeededError

    @property
    def _rows(self) -> Sequence[Row]:
        return self.evidence.registry.rows

    def _plan(self) -> list[Unit]:
        evidence = self.evidence
        broken = (*evidence.unreadable, *evidence.not_documents)
        documents = Documents(evidence.documents)
        return plan(evidence.registry, self._rows, documents, self._claims, broken)

    def _task(self, units: tuple[Unit, ...]) -> Task:
        urls = {row.text("license_url") for unit in units for row in unit.rows}
        files = self.evidence.license_files
        return Task(units, {url: files[url] for url in urls if url is not None and url in files})

    def _note_again(self, task: Task, judged: Judged) -> None:
        """Which units are judged again for what was found in the first round."""
        for number, finding in judged.findings:
            if number < 0:  # it is of no single unit
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
        for facts in judged.rows:
            self.facts[facts.row.index] = facts
            self.progress.advance()
        found: dict[int, list[Finding]] = {}
        for number, finding in judged.findings:
            found.setdefault(number, []).append(finding)
        for number, findings in found.items():
            self._keep(task.units[number], findings)

    def _keep(self, unit: Unit, findings: list[Finding]) -> None:
        """Keep what was found about a unit, unless it is judged again."""
        if unit.name in self._again:
            return
        kept = findings if self._units else [f for f in findings if self._overflow.keeps(f)]
        if kept:
            self._findings.setdefault(unit.name, []).extend(kept)

    def _taken(self) -> Mapping[str, str]:
        """The models and sidecars of rows, which are no external data of others."""
        registry = self.evidence.registry
        found: dict[str, str] = {}
        for row in self._rows:
            if row.onnx is not None:
                found[registry.absolute(sidecar_of(row.onnx))] = "a sidecar"
                found[registry.absolute(row.onnx)] = "a model"
        return found

    def _is_again(self, unit: Unit, taken: Mapping[str, str]) -> bool:
        """Whether a unit has to do with others, or with the baseline."""
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
            if any(f.path in taken for f in facts.model_files if f.path not in models):
                return True
            if not row.smoke and any(m.sha256 in evidence.placeholders for m in facts.models):
                return True
            if baseline is not None and _has_changed(row, baseline):
                return True
        return False


def _signed_texts(summary: BundleEvidence | None) -> Iterator[str]:
    """The names and digests that a release summary holds: most are those of files that are here."""
    statement = summary.statement if summary is not None else None
    if statement is not None:
        for subject in statement.subjects:
            yield subject.name
            yield subject.sha256
        for text in statement.inputs.items():
            yield from text


def _has_changed(row: Row, baseline: BaselineEvidence) -> bool:
    """Whether a row is not what it was, or misses what it had."""
    former = baseline.rows.get(row.index)
    if former is None or former.row.verbatim != row.verbatim:
        return True
    return any((former.sidecar, former.int8_sidecar, former.bundle))


def _refuse_changes(then: Mapping[int, RowFacts], now: Mapping[int, RowFacts]) -> None:
    """Raises InputError where a file that was read twice was another one the second time."""
    for index, before in then.items():
        after = _files(now[index])
        for use, file in _files(before).items():
            found = after.get(use, file)
            refused = found.problem is FileProblem.UNSAFE  # now that the other rows are known
            if not refused and (found.sha256, found.problem) != (file.sha256, file.problem):
                raise InputError(
                    f"{file.path} changed while it was checked",
                    help="Check where nobody else writes, or check a copy.",
                )


def _files(row: RowFacts) -> Mapping[tuple[str, str], FileFacts]:
    """The files of a row, by what they are to it and their names."""
    uses = {
        "model": row.model_files,
        "sidecar": row.sidecars,
        "bundle": row.bundle,
        "attestation": row.attestation,
    }
    return {(use, file.name): file for use, files in uses.items() for file in files}
