# SPDX-License-Identifier: Apache-2.0
"""The findings of a rule, as many as a person can read and a report can hold.

A file of some hundred kilobytes can have one defect a million times, and many rows may name that
file. Every row, ensemble and file keeps a finding of each rule that fails for it: what is bounded
is how often the same is said of one of them.
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
class _More:
    """Findings that are left out: the first, how many there are, their files and their edits."""

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
        """One finding in the place of all. It fails as they do, and stays the same from run to run.

        Where it is only one, that itself.
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
    """What knows the deferral of a finding."""

    def covering(self, rule: str, subject: str) -> Deferral | None:
        """Return the deferral that covers findings of `rule` about `subject`."""


def gather(
    findings: Iterable[Finding], declared: Covering | None = None, *, of_unit: bool = False
) -> Iterator[Finding]:
    """Findings in their order: all of them, or the first of one thing and how many there are more.

    One thing is what a deferral covers as a whole or not at all: a rule, and a row, an ensemble or
    a file. If a rule is about very many things, the last ones share a finding: those that one
    deferral of `declared` covers, and those that none does.

    Findings `of_unit` are bounded for each thing alone. With those of the other units they are
    gathered again, and the same comes out whatever was a unit.
    """
    of_rule: defaultdict[str, int] = defaultdict(int)
    about: defaultdict[_Group, int] = defaultdict(int)
    more: dict[_Group, _More] = {}
    for finding in findings:
        group = _group(finding)
        many = not of_unit and of_rule[finding.code] >= limits.FINDINGS_OF_RULE
        most = 1 if many else limits.FINDINGS
        if not of_unit and group not in about and len(about) >= limits.THINGS_OF_RULE:
            group = _rest(finding, declared)
        elif finding.count == 1 and about[group] < most:
            about[group] += 1
            of_rule[finding.code] += 1
            yield _short(finding)
            continue
        _leave_out(finding, group, more)
    for rest in more.values():
        yield rest.as_finding()


class Overflow:
    """What very many units say, as it comes in: of all but the first things, how much more it is.

    What is kept and `told` is gathered again with everything else.
    """

    def __init__(self, declared: Covering) -> None:
        self._declared = declared
        self._things: dict[str, set[_Group]] = {}
        self._more: dict[_Group, _More] = {}

    def keeps(self, finding: Finding) -> bool:
        """Whether a finding is to be kept; if not, it is counted with others of its kind."""
        things, group = self._things.setdefault(finding.code, set()), _group(finding)
        if group in things or len(things) < limits.THINGS_OF_RULE:
            things.add(group)
            return True
        _leave_out(finding, _rest(finding, self._declared), self._more)
        return False

    def told(self) -> Iterator[Finding]:
        """One finding in the place of all of a kind that were not kept."""
        for rest in self._more.values():
            yield rest.as_finding()


def _leave_out(finding: Finding, group: _Group, more: dict[_Group, _More]) -> None:
    if group not in more:
        more[group] = _More(_short(finding))
    more[group].add(finding)


def _rest(finding: Finding, declared: Covering | None) -> _Group:
    """Return what findings that share one finding have in common, whatever they are about."""
    deferral = declared.covering(finding.code, finding.subject) if declared else None
    return (
        finding.code,
        finding.severity,
        finding.row is None,
        finding.ensemble is None,
        bool(finding.fixes),
        deferral.index if deferral else None,
    )


def _group(finding: Finding) -> _Group:
    of_neither = finding.row is None and finding.ensemble is None
    return (
        finding.code,
        finding.severity,
        finding.row,
        finding.ensemble,
        finding.path if of_neither else None,
        bool(finding.fixes),  # what `check --fix` makes go away, and what it does not
    )


def _short(finding: Finding) -> Finding:
    if max(len(finding.message), len(finding.help)) <= limits.MESSAGE:
        return finding
    return replace(finding, message=_cut(finding.message), help=_cut(finding.help))


def _cut(text: str) -> str:
    return text if len(text) <= limits.MESSAGE else f"{text[: limits.MESSAGE - 1]}…"
