# SPDX-License-Identifier: Apache-2.0
"""What a consumer requires of each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provenance.artifacts import spdx
from provenance.attestations.signed_row import PRODUCTION, SMOKE
from provenance.attestations.statement import Statement
from provenance.evidence import releases
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules import foreign_statements
from provenance.gate.rules.base import short, shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.consumer.requirement import AGAIN, Requirement
from provenance.gate.rules.declaration import Scope, Target
from provenance.gate.rules.signed_files import absent_sidecars


class RowRequired(Requirement):
    """The consumer requires a signed row, and the bundle binds none.

    ## What it does
    Takes the place of the warning ATT711 where anything is required of the row: with
    `--require row`, `production` or `no-deferrals`, with `--license-allow`, with a release summary,
    and always in `provenance.open_model`.

    ## Why it matters
    A signature over a file's bytes says nothing of its license, of smoke or production, of external
    data or exceptions. What nobody has said cannot be required.

    ## Example
    `provenance verify-model m.onnx --key release.pub --require production`, where `m.onnx` was
    signed with `cosign sign-blob`.

    ## How to fix
    Ask the publisher for a bundle of `provenance release`.
    """

    code = "USE001"
    slug = "row-required"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        """Elsewhere ATT701 reports the bundle."""
        if case.target is Target.MODEL and case.needs_row:
            message = foreign_statements.covers_bytes(case, row)
            if message is not None and row.bundle is not None:
                yield self.finding(
                    f"{message}; required is a bundle that does",
                    foreign_statements.ASK,
                    path=row.bundle.path,
                    row=row.label,
                )
        of_release = case.target is Target.RELEASE and case.require.of_row
        if of_release and case.signed_row(row) is None:
            path = row.bundle.path if row.bundle else case.evidence.registry.path
            yield self.finding(
                f"{path} is not a bundle of this release that binds the row",
                AGAIN,
                path=path,
                row=row.label,
            )


class ProductionRequired(Requirement):
    """The consumer requires a production model, and the row was not signed as one.

    ## What it does
    With `--require production`, refuses a row that was signed as smoke, and one that claims
    neither (unclaimed). A row is signed as production if it says `"smoke": false` and the evidence
    that `promote` demands was there.

    ## Why it matters
    Smoke weights load, run and give numbers of the right shape that mean nothing (ADR-1105). A row
    that claims nothing has no evidence behind it.

    ## Example
    The row was signed with `"smoke": true`.

    ## How to fix
    Use a release in which the model is a production model.
    """

    code = "USE002"
    slug = "production-required"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        signed = case.signed_row(row) if case.require.production else None
        if signed is not None and signed.classification != PRODUCTION:
            found = (
                "as a smoke model"
                if signed.classification == SMOKE
                else "without a claim to be a production model (unclaimed)"
            )
            yield self.of_row(
                case,
                row,
                "smoke",
                f"it was signed {found}; expected a production model",
                "Do not use it. Use a release in which it is a production model.",
            )


class DeferralRefused(Requirement):
    """The consumer accepts no exceptions, and what is verified was signed with one.

    ## What it does
    With `--require no-deferrals`, refuses a row whose bundle lists a deferral, a finding for each.
    For a whole registry or release, also refuses a summary that counts deferred findings: they may
    be about files that no row has.

    ## Why it matters
    A deferral says that something was known to be wrong and was shipped all the same. Whether that
    matters is for the consumer to say.

    ## Example
    Signed with a deferral of SID402: the sidecar describes the former weights.

    ## How to fix
    Use a release without the exception, or do not require `no-deferrals`.
    """

    code = "USE003"
    slug = "deferral-refused"
    scopes = (Scope.ROW, Scope.DOCUMENT)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        signed = case.signed_row(row) if case.require.no_deferrals else None
        for deferral in signed.deferrals if signed else ():
            yield self.of_row(
                case,
                row,
                "id",
                f"it was signed with {_exception(deferral)}; exceptions are not allowed "
                "(--require no-deferrals)",
                "Do not use it. Use a release without this exception.",
            )

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        """The deferred findings that the summary counts, where no row lists a deferral."""
        summary = case.evidence.summary
        statement = case.signed_statement(summary)
        if not case.require.no_deferrals or not case.evidence.whole:
            return
        if summary is None or statement is None or any(r.signed_deferrals for r in case.facts):
            return
        number = releases.deferrals_of(statement)
        if number != 0:
            yield self.of_summary(
                summary,
                f"the release was made with {'an unknown number of' if number is None else number} "
                "exceptions; exceptions are not allowed (--require no-deferrals)",
                "Do not use it. Use a release without exceptions, or verify the models that you "
                "use one by one: provenance verify-model FILE.onnx",
            )


def _exception(deferral: Mapping[str, Any]) -> str:
    words = (f"{deferral.get(key)}"[:200] for key in ("rule", "reason", "reference"))
    return "an exception to {}: {} ({})".format(*words)


class LicenseRefused(Requirement):
    """The model's license is none that the consumer allows.

    ## What it does
    With `--license-allow`, reads the signed license as an SPDX expression: `A OR B` is allowed
    where one of them is, `A AND B` where both are. `-or-later` and `WITH` make another id, which
    has to be named itself. A license that was not signed, or that is no expression, is not allowed.

    ## Why it matters
    The license decides whether the model may be used at all, and the signed one is what the
    publisher has promised.

    ## Example
    Allowed is `MIT`; the row was signed under `MIT AND CC-BY-NC-4.0`.

    ## How to fix
    Allow the license, after somebody has read it, or use another model.
    """

    code = "USE004"
    slug = "license-refused"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        signed = case.signed_row(row) if case.require.licenses else None
        why = self._refusal(signed.row.get("license"), case.require.permitted) if signed else None
        if why is not None:
            yield self.of_row(
                case,
                row,
                "license",
                f"{why}; allowed are {', '.join(case.require.licenses)}"[:400],
                "Do not use it, or allow its license.",
            )

    @staticmethod
    def _refusal(license: object, permitted: frozenset[str]) -> str | None:
        if not isinstance(license, str) or not license:
            return "it was signed without a license"
        try:
            refused = spdx.refused_ids(license, permitted)
        except spdx.NotAnExpressionError:
            return f"its license {shown(license)} is not an SPDX license expression"
        if not refused:
            return None
        names = "" if refused == (license,) else f", which needs {', '.join(refused)[:100]}"
        return f"its license is {license[:100]}{names}"


class NotInRelease(Requirement):
    """The model is not part of the release that the summary describes.

    ## What it does
    Looks for every model file, by name and digest, and for the bundle, by digest, in the release
    summary. Of a whole registry ATT710 says the same.

    ## Why it matters
    Each file can be genuine and the set never released: an old model in a new release, a new model
    under an old summary, a bundle from before the license was corrected.

    ## Example
    The summary of the last release, and a model and bundle of the release before.

    ## How to fix
    Fetch the model, its bundle and the release summary again, of one release.
    """

    code = "USE006"
    slug = "not-in-release"
    yields_to = ("SIG605",)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if case.evidence.whole or not case.needs_summary:
            return
        summary, signed = case.evidence.summary, case.row_statement(row)
        statement = case.signed_statement(summary)
        if statement is None or signed is None:
            return
        assert summary is not None
        if releases.predicate_of(statement) is None:
            return
        release = releases.release_of(summary)
        which = str(release) if release else "the release"
        for path, message in self._differences(case, row, signed, statement, which):
            yield self.finding(message, AGAIN, path=path, row=row.label)

    @staticmethod
    def _differences(
        case: Case, row: RowEvidence, signed: Statement, summary: Statement, which: str
    ) -> Iterator[tuple[str, str]]:
        same = True
        for file in row.model_files:
            released = summary.digest_of(file.name)
            is_signed = signed.digest_of(file.name) is not None  # else SIG606 and ATT702 say why
            if file.sha256 is None or released == file.sha256 or not is_signed:
                continue
            same = False
            if released is None:
                yield file.path, f"{file.path} is not part of {which}"
            else:
                yield (
                    file.path,
                    f"{file.path} is {short(file.sha256)}; in {which} it is {short(released)}",
                )
        assert row.bundle is not None
        if same and row.bundle.sha256 not in case.released_bundles:
            yield (
                row.bundle.path,
                f"{row.bundle.path} is not a bundle of {which}, which has the same files",
            )


class FilesRequired(Requirement):
    """The consumer requires every signed file, and one is missing.

    ## What it does
    With `--require files` or `--require production`, takes the place of the warning ATT713: a
    sidecar that was signed with the row has to be beside the model. A signed model or external-data
    file that is missing is an error in any case (ATT705).

    ## Why it matters
    The sidecar says how the model is fed. Without it, a program falls back to values that were not
    released with these weights.

    ## Example
    `provenance verify-model m.onnx --key release.pub --require files`, without `m.json`.

    ## How to fix
    Fetch the file from the publisher, and put it beside the model.
    """

    code = "USE011"
    slug = "files-required"
    applies = frozenset({Target.MODEL})

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for name, message, help in absent_sidecars(case, row) if case.require.sidecars else ():
            yield self.finding(message, help, path=name, row=row.label)
