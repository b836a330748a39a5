# SPDX-License-Identifier: Apache-2.0
"""The configuration that `init` writes, on request with today's findings as deferrals.

With these deferrals, only new findings fail from then on.
"""

from __future__ import annotations

import glob
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from provenance.artifacts.documents.toml_text import quoted
from provenance.config import PYPROJECT
from provenance.frozen import dataclass
from provenance.gate.finding import Finding
from provenance.gate.rules import BY_CODE
from provenance.operations.adoption.first_registry import FirstRegistry
from provenance.operations.adoption.proposal import Proposal, array
from provenance.operations.adoption.workflows import Found, Remote, Signer

REASON: Final = "TODO: why is this shipped all the same?"
REFERENCE: Final = "TODO"
_NUMBERED: Final = re.compile(r"(.*\D)\d+", re.DOTALL)
_MANY: Final = 3
"""From this many on, names that differ only in a final number are written as one pattern."""


@dataclass(frozen=True)
class Recorded:
    """A deferral whose reason is still to be written, and the number of findings it covers."""

    rule: str
    rows: tuple[str, ...]
    findings: int

    @property
    def slug(self) -> str:
        """The name of the rule."""
        return BY_CODE[self.rule].slug


@dataclass(frozen=True)
class Initialised:
    """The configuration that `init` writes, and what it found in the repository.

    Attributes:
        path: The file that the configuration is written into.
        found: The index, and how it is read.
        keys: The public keys in the repository.
        remote: The origin of the clone.
        workflows: The workflows that sign.
        signers: The workflows that are trusted, and those that are only in comments.
        recorded: The deferrals that were written.
        todo: The number of TODOs in these deferrals.
        left: For each other rule that fails, by code and name, the number of findings; or None if
            no check was run.
        fixable: How many of these findings `check --fix` fixes.
        first: The registry, if it was written for models without an index, or None.
    """

    path: str
    found: Proposal
    keys: tuple[str, ...]
    remote: Remote
    workflows: Found
    signers: tuple[Signer, ...] = ()
    recorded: tuple[Recorded, ...] = ()
    todo: int = 0
    left: Mapping[tuple[str, str], int] | None = None
    fixable: int = 0
    first: FirstRegistry | None = None

    def text(self) -> str:
        """Return the text of the configuration, with a comment above each key."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        if self.path == PYPROJECT:
            yield "[tool.provenance]"
        if self.first is not None:
            yield "# The registry: a row for each model (docs: Registry)."
            yield from self.first.settings
            yield ""
        elif self.found.is_stock:
            yield from self.found.lines()
            yield ""
        if self.remote.github is not None and self.remote.upstream is None:
            yield "# This repository. License URLs into it are compared with the license files."
            yield f"repository = {quoted(self.remote.github)}"
            yield ""
        yield "# What `provenance check` compares the registry with, to report what was lost since."
        yield f"# baseline = {quoted(f'git:origin/{self.remote.default_branch}')}"
        if not self.found.is_stock:  # keys of the whole file come before tables
            yield ""
            yield from self.found.lines(self._name(""))
        yield from self._trusted_keys()
        yield from self._trusted_workflows()
        yield from self._deferrals()

    def _name(self, table: str) -> str:
        """Return the name of a table in the file; of an empty name, what stands before names."""
        return f"tool.provenance.{table}" if self.path == PYPROJECT else table

    def _trusted_keys(self) -> Iterator[str]:
        yield ""
        yield "# Whose signatures count: public keys. Make a pair with: provenance keygen release"
        for key in self.keys:
            yield f"[[{self._name('trust.key')}]]"
            yield f"path = {quoted(key)}"
        if not self.keys:
            yield f"# [[{self._name('trust.key')}]]"
            yield '# path = "release.pub"'

    def _trusted_workflows(self) -> Iterator[str]:
        """Yield a table for each ref of each workflow that signs, as a comment if it is unsure."""
        if not self.signers:
            return
        yield ""
        yield "# Whose signatures count: your workflows that sign with their own identity."
        yield "# Keep those that release, and add `owner_id`, which survives renames (docs: Trust)."
        for number, signer in enumerate(self.signers):
            if number:
                yield ""
            mark = "# " if signer.unsure else ""
            if signer.unsure:
                yield f"# Not in force: {signer.unsure}."
            yield f"{mark}[[{self._name('trust.github')}]]"
            yield f"{mark}repository = {quoted(signer.repository)}"
            tools = ", ".join(signer.workflow.tools)
            yield f"{mark}workflow = {quoted(signer.workflow.path)}  # {tools}"
            yield f"{mark}ref = {quoted(signer.ref)}"

    def _deferrals(self) -> Iterator[str]:
        yield ""
        if not self.recorded:
            yield "# A known exception, with its reason. It fails as soon as its cause is gone."
            yield f"# [[{self._name('deferral')}]]"
            yield '# rule = "SID402"'
            yield '# rows = ["my_ensemble_seed*"]'
            yield '# reason = "why this is shipped anyway"'
            yield '# reference = "the decision: an ADR, an issue"'
            yield "# expires = 2026-12-31"
            return
        yield "# The findings when this file was written. Replace each TODO by the reason and the"
        yield "# decision, or fix the cause and remove the table: a TODO fails (DEF906). `expires`"
        yield "# can set a last day. A deferral fails as soon as its cause is gone."
        for number, deferral in enumerate(self.recorded):
            if number:
                yield ""
            yield f"[[{self._name('deferral')}]]"
            yield f"rule = {quoted(deferral.rule)}  # {deferral.slug}"
            yield from array("rows", deferral.rows)
            yield f"reason = {quoted(REASON)}"
            yield f"reference = {quoted(REFERENCE)}"


def record(findings: Iterable[Finding], labels: Sequence[str]) -> tuple[Recorded, ...]:
    """Return a deferral for each rule that fails and can be deferred.

    Findings that `check --fix` fixes need no deferral. `labels` are the ids of all rows.
    """
    by_rule: dict[str, list[str]] = {}
    for finding in findings:
        rule = BY_CODE[finding.code]
        matched = finding.row is not None or not rule.about_rows
        if finding.fails and rule.deferrable and matched and not finding.fixes:
            by_rule.setdefault(finding.code, []).extend(finding.subjects)
    return tuple(
        Recorded(code, tuple(_patterns(dict.fromkeys(subjects), labels)), len(subjects))
        for code, subjects in sorted(by_rule.items())
    )


def _patterns(subjects: Mapping[str, None], labels: Sequence[str]) -> Iterator[str]:
    """Yield patterns that match the subjects, and none of the other labels."""
    names = sorted({*labels, *subjects})
    families: dict[str, list[str]] = {}
    for subject in subjects:
        match = _NUMBERED.fullmatch(subject)
        families.setdefault(match[1] if match else subject, []).append(subject)
    for stem, members in families.items():
        first = bisect_left(names, stem)
        behind = first + len(members)
        alone = behind == len(names) or not names[behind].startswith(stem)
        if len(members) >= _MANY and alone:
            yield f"{glob.escape(stem)}*"
        else:
            yield from map(glob.escape, members)
