# SPDX-License-Identifier: Apache-2.0
"""A finding, and the report that owns the verdict."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from provenance.artifacts.documents.json_edit import Edit
from provenance.artifacts.documents.strict_json import JsonPath, Position
from provenance.artifacts.registry import Classification
from provenance.config import Deferral
from provenance.errors import VerificationError
from provenance.evidence.facts import SignatureResult
from provenance.frozen import dataclass
from provenance.signing.trust import TrustedIdentity, TrustedWorkflow


class Severity(enum.Enum):
    """Errors decide the verdict; warnings are shown."""

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
    """What is at a path below a row of the registry.

    Units know no more of the registry's text than that: where it stands, the judge looks up.
    """

    row: int
    path: JsonPath = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule concluded.

    Attributes:
        code, slug: The rule.
        row: The id of the row it is about, None for the registry as a whole.
        path: The file that has to be edited or replaced, relative to the repository's root.
        position: Where in that file, where it is text.
        message: What was found and what was expected.
        help: What to do next.
        about: The file that the finding speaks of, often a model that a row names.
        deferred: The deferral that covers it.
        ensemble: The id of the ensemble that it is about, where it is about one as a whole.
        fixes: Edits that make it go away, where there is one right way to: what `check --fix` does.
        others: The files of the findings in whose place it stands, where it does for many.
        more: What these are about, besides its own subject: rows, ensembles or files as that is.
        count: For how many findings it stands.
        place: The same as `position` for a row in the registry, until that is looked up.
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
        """The files that it names, to be edited or as what it speaks of."""
        return self.others | {self.path, self.about}

    @property
    def subject(self) -> str:
        """What a deferral's `rows` must match: the row, or the ensemble, or the file."""
        return self.row or self.ensemble or self.path

    @property
    def subjects(self) -> tuple[str, ...]:
        """Return the subjects of all findings in whose place it stands."""
        return (self.subject, *self.more)

    @property
    def rows(self) -> tuple[str, ...]:
        """Return the rows that it is about; empty if it is about something else."""
        return () if self.row is None else self.subjects

    @property
    def ensembles(self) -> tuple[str, ...]:
        """Return the ensembles that it is about as a whole; or an empty tuple."""
        if self.ensemble is None:
            return ()
        return (self.ensemble, *(self.more if self.row is None else ()))

    def defer(self, deferral: Deferral) -> Finding:
        """The same finding, covered by `deferral`."""
        return replace(self, deferred=deferral)

    @property
    def fails(self) -> bool:
        """Whether it alone makes the verdict FAILED."""
        return self.severity is Severity.ERROR and self.deferred is None


def by_subject(findings: Iterable[Finding]) -> Mapping[str | None, Sequence[Finding]]:
    """Findings by the rows or else the ensembles that they are about, or None."""
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
        classification: What the row claims; None if no trusted signer has said it.
        origin: The declared origin of an imported model, as it is signed; None of any other.
        signatures: Those that counted.
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

    @property
    def smoke(self) -> bool | None:
        """The `smoke` field that stands for the classification; None if nothing is claimed."""
        states = {Classification.SMOKE: True, Classification.PRODUCTION: False}
        return states.get(self.classification) if self.classification else None

    @property
    def signer(self) -> str | None:
        """Who signed, as a person would say it, the first of several."""
        return self.signatures[0].signer if self.signatures else None


@dataclass(frozen=True)
class TrustResult:
    """The trust that was used.

    Attributes:
        keys: Path and SHA-256 of each trusted key.
        identities, workflows: The others, as they were declared.
        signatures: How many signers had to sign.
        root: Where the trusted root was read, and its SHA-256; None where there was none.
    """

    source: str
    keys: tuple[tuple[str, str], ...]
    identities: tuple[TrustedIdentity, ...] = ()
    workflows: tuple[TrustedWorkflow, ...] = ()
    signatures: int = 1
    root: tuple[str, str] | None = None


@dataclass(frozen=True)
class ReleaseResult:
    """The release that a trusted signer has summarised.

    Attributes:
        registry: What the summary calls the registry.
        time: When the release was made, as its signer's clock said.
        sha256: The digest of the summary's statement.
        version: What the publisher calls it, where it has a name.
        previous: The `sha256` of the release that it replaced, where it says so.
        files: Path and SHA-256 of every file that is part of it, and of the summary itself; none
            where a single model was judged.
    """

    registry: str
    time: str
    sha256: str
    version: str | None = None
    previous: str | None = None
    files: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Version and time."""
        return self.time if self.version is None else f"{self.version}, {self.time}"


@dataclass(frozen=True)
class Report:
    """Everything a run concluded.

    Attributes:
        release: Which release it is of, where a trusted signer says so.
        trust: Whose signatures counted, None where no signature was judged.
        baseline: What was compared with, None where nothing was.
        suppressed: The findings that yield to one of `findings`, and are not among these.
        fixed: The findings that `check --fix` made go away; `diff` is how.
        not_judged: What a reader might take for judged and was not, in words.
        root: The folder that paths of findings are relative to; None where they are relative to
            the files that were given.
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
        """FAILED where any finding counts; an empty set is never VERIFIED."""
        if any(f.fails for f in self.findings):
            return Verdict.FAILED
        return Verdict.VERIFIED if self.rows else Verdict.NOTHING

    @property
    def exit_code(self) -> int:
        """0 verified, 1 findings, 3 nothing to verify."""
        return EXIT_CODES[self.verdict]

    def require(self) -> Report:
        """This report, where it is VERIFIED: for callers who must not go on otherwise.

        Raises:
            VerificationError: There are findings, or nothing was verified.
        """
        if self.verdict is not Verdict.VERIFIED:
            first = f": {self.failing[0].message}" if self.failing else ""
            raise VerificationError(
                f"{self.registry}: {self.verdict.value}{first}",
                help="`findings` of the report says what, where, and what to do.",
            )
        return self

    @property
    def failing(self) -> tuple[Finding, ...]:
        """The findings that decide."""
        return tuple(f for f in self.findings if f.fails)

    @property
    def deferred(self) -> tuple[Finding, ...]:
        """The findings that a deferral covers."""
        return tuple(f for f in self.findings if f.deferred is not None)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that are only shown."""
        return tuple(f for f in self.findings if f.severity is Severity.WARNING and not f.deferred)
