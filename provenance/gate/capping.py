# SPDX-License-Identifier: Apache-2.0
"""Limit the findings of a rule to a number that a person can read and a report can hold.

A file of a few hundred kilobytes can have the same defect a million times, and many rows may name
that file. Every row, ensemble and file keeps a finding of each rule that fails for it. The limit
applies to repeated findings of one rule about the same row, ensemble or file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from provenance.artifacts import limits
from provenance.config import Deferral
from provenance.gate.finding import Finding, Fix

_Group: TypeAlias = tuple[object, ...]


@dataclass(slots=True)
class _LeftOut:
    """Findings that are left out: the first of them, their number, their files and their edits."""

    first: Finding
    count: int = 0
    files: set[str] = field(default_factory=set)
    subjects: dict[str, None] = field(default_factory=dict)
    fixes: dict[tuple[object, ...], Fix] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        self.count += finding.count
        self.subjects |= dict.fromkeys(finding.subjects)
        self.files |= finding.files
        for fix in finding.fixes:
            self.fixes.setdefault((fix.path, type(fix.edit), fix.edit.path), fix)

    def as_finding(self) -> Finding:
        """Return one finding that represents all of them, or the only one unchanged.

        It fails if they do, and is the same in every run.
        """
        if self.count == 1:
            return self.first
        things = len(self.subjects)
        others = f" about {things:,} {self._kind}s" if things > 1 else ""
        return replace(
            self.first,
            message=f"{self.count:,} more of these findings{others}, the first of them here",
            about=self.first.path,
            fixes=tuple(self.fixes.values()),
            others=frozenset(self.files),
            more=tuple(self.subjects)[1:],
            count=self.count,
        )

    @property
    def _kind(self) -> str:
        if self.first.row is not None:
            return "row"
        return "file" if self.first.ensemble is None else "ensemble"


class Covering(Protocol):
    """Something that finds the deferral of a finding."""

    def covering(self, rule: str, subject: str) -> Deferral | None:
        """Return the deferral that covers findings of `rule` about `subject`."""


def gather(
    findings: Iterable[Finding], declared: Covering | None = None, *, of_unit: bool = False
) -> Iterator[Finding]:
    """Yield the findings in order, those beyond the limits replaced by a finding with their number.

    The limits apply to each thing that a deferral covers as a whole or not at all: a rule together
    with a row, an ensemble or a file. If a rule is about very many things, the last ones share
    findings: one for each deferral of `declared` that covers some, and one for those without.

    Findings `of_unit` are only limited per thing. They are gathered again with those of the other
    units, and the result does not depend on how rows were grouped into units.
    """
    of_rule: defaultdict[str, int] = defaultdict(int)
    about: defaultdict[_Group, int] = defaultdict(int)
    more: dict[_Group, _LeftOut] = {}
    for finding in findings:
        group = _group_of(finding)
        many = not of_unit and of_rule[finding.code] >= limits.FINDINGS_OF_RULE
        most = 1 if many else limits.FINDINGS
        if not of_unit and group not in about and len(about) >= limits.THINGS_OF_RULE:
            group = _shared_group(finding, declared)
        elif finding.count == 1 and about[group] < most:
            about[group] += 1
            of_rule[finding.code] += 1
            yield _shortened(finding)
            continue
        _leave_out(finding, group, more)
    for rest in more.values():
        yield rest.as_finding()


class Overflow:
    """Counts findings of very many units as they arrive, beyond those about the first things.

    The findings that were kept, and those of `summed_up`, are gathered again with all others.
    """

    def __init__(self, declared: Covering) -> None:
        self._declared = declared
        self._things: dict[str, set[_Group]] = {}
        self._more: dict[_Group, _LeftOut] = {}

    def keeps(self, finding: Finding) -> bool:
        """Whether a finding is to be kept. If not, it is counted together with similar ones."""
        things, group = self._things.setdefault(finding.code, set()), _group_of(finding)
        if group in things or len(things) < limits.THINGS_OF_RULE:
            things.add(group)
            return True
        _leave_out(finding, _shared_group(finding, self._declared), self._more)
        return False

    def summed_up(self) -> Iterator[Finding]:
        """Yield one finding for each group of findings that were not kept."""
        for rest in self._more.values():
            yield rest.as_finding()


def _leave_out(finding: Finding, group: _Group, more: dict[_Group, _LeftOut]) -> None:
    if group not in more:
        more[group] = _LeftOut(_shortened(finding))
    more[group].add(finding)


def _shared_group(finding: Finding, declared: Covering | None) -> _Group:
    """Return what findings have in common that are represented by one finding."""
    deferral = declared.covering(finding.code, finding.subject) if declared else None
    return (
        finding.code,
        finding.severity,
        finding.row is None,
        finding.ensemble is None,
        bool(finding.fixes),
        deferral.index if deferral else None,
    )


def _group_of(finding: Finding) -> _Group:
    of_neither = finding.row is None and finding.ensemble is None
    return (
        finding.code,
        finding.severity,
        finding.row,
        finding.ensemble,
        finding.path if of_neither else None,
        bool(finding.fixes),  # keeps those that `check --fix` fixes apart from the others
    )


def _shortened(finding: Finding) -> Finding:
    if max(len(finding.message), len(finding.help)) <= limits.MESSAGE:
        return finding
    return replace(finding, message=_cut(finding.message), help=_cut(finding.help))


def _cut(text: str) -> str:
    return text if len(text) <= limits.MESSAGE else f"{text[: limits.MESSAGE - 1]}…"
