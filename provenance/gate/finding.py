# SPDX-License-Identifier: Apache-2.0
"""Findings, and the report that decides the verdict."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Final

from provenance.artifacts.documents.json_edit import Edit
from provenance.artifacts.documents.strict_json import JsonPath, Position
from provenance.artifacts.paths import join
from provenance.config import Deferral
from provenance.errors import VerificationError
from provenance.evidence.facts import SignatureResult
from provenance.frozen import dataclass
from provenance.registry.rows import Classification
from provenance.signing.trust import TrustedIdentity, TrustedWorkflow


class Severity(enum.Enum):
    """The severity of a finding. Errors decide the verdict; warnings are only shown."""

    ERROR = "error"
    WARNING = "warning"


class Verdict(enum.Enum):
    """The outcome of a whole run, and its exit code."""

    VERIFIED = "verified"
    FAILED = "failed"
    NOTHING = "nothing to verify"


EXIT_CODES: Final[Mapping[Verdict, int]] = {
    Verdict.VERIFIED: 0,
    Verdict.FAILED: 1,
    Verdict.NOTHING: 3,
}


@dataclass(frozen=True, slots=True)
class Fix:
    """An edit of the JSON file at `path`, relative to the repository's root."""

    path: str
    edit: Edit


@dataclass(frozen=True, slots=True)
class Place:
    """The location of a value in an index file, which has this number in the registry.

    Units do not have the text of the file, so the position is looked up later.
    """

    file: int
    path: JsonPath = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found.

    Attributes:
        code, slug: The rule.
        severity: Whether it is an error or a warning.
        row: The id of the row it is about, or None if it is about something else.
        path: The file to edit or replace, relative to the repository's root.
        position: The position in that file, or None if it is not text.
        message: What was found and what was expected.
        help: What to do next.
        about: The file that the finding is about, often a model that a row names.
        deferred: The deferral that covers it, or None.
        ensemble: The id of the ensemble, if the finding is about an ensemble as a whole.
        fixes: The edits that `check --fix` makes, if there is exactly one right way to fix it.
        others: If it represents many findings, their files.
        more: If it represents many findings, their subjects apart from its own.
        count: The number of findings that it represents.
        place: For a row of the registry, what `position` is looked up from.
    """

    code: str
    slug: str
    severity: Severity
    row: str | None
    path: str
    position: Position | None
    message: str
    help: str
    about: str
    deferred: Deferral | None = None
    ensemble: str | None = None
    fixes: tuple[Fix, ...] = ()
    others: frozenset[str] = frozenset()
    more: tuple[str, ...] = ()
    count: int = 1
    place: Place | None = None

    @property
    def files(self) -> frozenset[str]:
        """The files that it names."""
        return self.others | {self.path, self.about}

    @property
    def subject(self) -> str:
        """The row, ensemble or file that a deferral's `rows` must match."""
        return self.row or self.ensemble or self.path

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects of all findings that it represents."""
        return (self.subject, *self.more)

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows that it is about, or an empty tuple."""
        return () if self.row is None else self.subjects

    @property
    def ensembles(self) -> tuple[str, ...]:
        """The ensembles that it is about as a whole, or an empty tuple."""
        if self.ensemble is None:
            return ()
        return (self.ensemble, *(self.more if self.row is None else ()))

    def defer(self, deferral: Deferral) -> Finding:
        """Return the same finding, covered by `deferral`."""
        return replace(self, deferred=deferral)

    @property
    def fails(self) -> bool:
        """Whether it makes the verdict FAILED."""
        return self.severity is Severity.ERROR and self.deferred is None


def by_subject(findings: Iterable[Finding]) -> Mapping[str | None, Sequence[Finding]]:
    """Return the findings by row, or else by ensemble. The others are under None."""
    found: dict[str | None, list[Finding]] = {}
    for finding in findings:
        for subject in finding.rows or finding.ensembles or (None,):
            found.setdefault(subject, []).append(finding)
    return found


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that is not shown, and the one that names its cause."""

    finding: Finding
    by: Finding


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file as it was hashed, for the report."""

    path: str
    sha256: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class RowResult:
    """One row of the report.

    Attributes:
        id: The id of the row.
        path: The path of its model.
        line: The line of the row in the registry.
        classification: What the row claims, or None if no trusted signer vouches for it.
        license: The license of the row, or None.
        verdict: The verdict on the row.
        model_files: Its model files.
        signatures: The signatures that counted.
        deferrals: The deferrals that are in force for it, as they are signed.
        origin: The declared origin of an imported model as it is signed, or None.
        absent: Its files that are not here, by name or address. Then the verdict is NOTHING,
            unless a finding about the row fails.
    """

    id: str
    path: str
    line: int
    classification: Classification | None
    license: str | None
    verdict: Verdict
    model_files: tuple[ModelFile, ...]
    signatures: tuple[SignatureResult, ...] = ()
    deferrals: tuple[Mapping[str, Any], ...] = ()
    origin: Mapping[str, Any] | None = None
    absent: tuple[str, ...] = ()

    @property
    def smoke(self) -> bool | None:
        """The `smoke` field for this classification, or None if the row claims nothing."""
        states = {Classification.SMOKE: True, Classification.PRODUCTION: False}
        return states.get(self.classification) if self.classification else None

    @property
    def signer(self) -> str | None:
        """The first signer in words, or None."""
        return self.signatures[0].signer if self.signatures else None


@dataclass(frozen=True)
class TrustResult:
    """The trust that was used.

    Attributes:
        source: Where the trust was declared.
        keys: The path and the SHA-256 of each trusted key.
        identities, workflows: The trusted identities and GitHub workflows, as declared.
        signatures: The number of signers that must sign.
        root: The source of the trusted root and its SHA-256, or None if there was no root.
    """

    source: str
    keys: tuple[tuple[str, str], ...]
    identities: tuple[TrustedIdentity, ...] = ()
    workflows: tuple[TrustedWorkflow, ...] = ()
    signatures: int = 1
    root: tuple[str, str] | None = None


@dataclass(frozen=True)
class ReleaseResult:
    """A release whose summary a trusted signer signed.

    Attributes:
        registry: The name of the registry in the summary.
        time: When the release was made, by its signer's clock.
        sha256: The digest of the summary's statement.
        version: What the publisher calls the release, or None.
        previous: The `sha256` of the release that it replaced, or None.
        folder: The registry's folder.
        signed: The SHA-256 of every file in the release and of the summary itself, by its name
            relative to `folder`; empty if a single model was judged.
    """

    registry: str
    time: str
    sha256: str
    version: str | None = None
    previous: str | None = None
    folder: str = "."
    signed: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """The path and the SHA-256 of each file in `signed`. Computed, because they are many."""
        files = {join(self.folder, name): sha256 for name, sha256 in self.signed.items()}
        return tuple(sorted(files.items()))

    def __str__(self) -> str:
        """Return version and time."""
        return self.time if self.version is None else f"{self.version}, {self.time}"


@dataclass(frozen=True)
class Report:
    """The result of a run.

    Attributes:
        registry: The path of the registry, or the name of what was judged instead.
        rows: The result of each row.
        findings: The findings.
        trust: Whose signatures counted, or None if signatures were not judged.
        written: The files that were written.
        kept: The files that were current and stayed as they are.
        notes: What else a reader should know, in words.
        fixed: The findings that `check --fix` fixed.
        diff: The edits that fixed them.
        baseline: What the registry was compared with, or None.
        not_judged: What was not judged although a reader might expect it, in words.
        root: The folder that paths of findings are relative to, or None if they are relative to
            the files that were given.
        release: The release, or None if no trusted signer signed a summary of it.
        suppressed: The findings that are left out of `findings` because one of these names their
            cause.
    """

    registry: str
    rows: tuple[RowResult, ...]
    findings: tuple[Finding, ...]
    trust: TrustResult | None = None
    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fixed: tuple[Finding, ...] = ()
    diff: str = ""
    baseline: str | None = None
    not_judged: tuple[str, ...] = ()
    root: Path | None = None
    release: ReleaseResult | None = None
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """FAILED if any finding fails. A report without judged rows is never VERIFIED."""
        if any(f.fails for f in self.findings):
            return Verdict.FAILED
        return Verdict.VERIFIED if self.judged else Verdict.NOTHING

    @property
    def judged(self) -> tuple[RowResult, ...]:
        """The rows whose files were all here."""
        return tuple(row for row in self.rows if not row.absent)

    @property
    def exit_code(self) -> int:
        """0 verified, 1 findings, 3 nothing to verify."""
        return EXIT_CODES[self.verdict]

    def require(self) -> Report:
        """Return this report if it is VERIFIED, for callers that must not continue otherwise.

        Raises:
            VerificationError: If any finding fails, or nothing was verified.
        """
        if self.verdict is not Verdict.VERIFIED:
            first = f": {self.failing[0].message}" if self.failing else ""
            raise VerificationError(
                f"{self.registry}: {self.verdict.value}{first}",
                help="See `findings` of the report: what was found, where, and what to do next.",
            )
        return self

    @property
    def failing(self) -> tuple[Finding, ...]:
        """The findings that make the verdict FAILED."""
        return tuple(f for f in self.findings if f.fails)

    @property
    def deferred(self) -> tuple[Finding, ...]:
        """The findings that a deferral covers."""
        return tuple(f for f in self.findings if f.deferred is not None)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The warnings that are not deferred."""
        return tuple(f for f in self.findings if f.severity is Severity.WARNING and not f.deferred)
