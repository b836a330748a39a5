# SPDX-License-Identifier: Apache-2.0
"""Requirements of a consumer on each row."""

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
    """The consumer requires a signed row, and the bundle does not bind one.

    ## What it does
    Replaces the warning ATT711 if the consumer requires anything of the row: with `--require row`,
    `--require production` or `--require no-deferrals`, with `--license-allow`, with a release
    summary, and always in `provenance.open_model`.

    ## Why it matters
    A signature over a file's bytes says nothing about its license, its classification, its external
    data or its exceptions, so these requirements cannot be checked.

    ## Example
    `provenance verify-model m.onnx --key release.pub --require production`, if `m.onnx` was signed
    with `cosign sign-blob`.

    ## How to fix
    Ask the publisher for a bundle of `provenance release`.
    """

    code = "USE001"
    slug = "row-required"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        """Return the findings for a single model or a release; ATT701 covers a registry."""
        if case.target is Target.MODEL and case.needs_row:
            message = foreign_statements.covers_bytes(case, row)
            if message is not None and row.bundle is not None:
                yield self.finding(
                    f"{message}; expected a bundle that binds the row",
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
    With `--require production`, refuses a row that was signed as smoke or as unclaimed. A row is
    signed as production if it says `"smoke": false` and the evidence that `promote` demands exists.

    ## Why it matters
    Smoke weights load, run and return numbers of the right shape that mean nothing (ADR-1105). An
    unclaimed row has no evidence behind it.

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
            claim = (
                "as a smoke model"
                if signed.classification == SMOKE
                else "without a claim to be a production model (unclaimed)"
            )
            yield self.of_row(
                case,
                row,
                "smoke",
                f"it was signed {claim}; expected a production model",
                "Do not use it. Use a release in which it is a production model.",
            )


class DeferralRefused(Requirement):
    """The consumer accepts no deferrals, and the row or release was signed with one.

    ## What it does
    With `--require no-deferrals`, refuses a row whose bundle lists deferrals, with one finding for
    each. For a whole registry or release, also refuses a summary that counts deferred findings,
    because these can be about files without a row.

    ## Why it matters
    A deferral declares a known problem that was released anyway. The consumer decides whether it
    matters.

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
        """Report the deferred findings that the summary counts, if no row lists a deferral."""
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
    """The consumer does not allow the model's license.

    ## What it does
    With `--license-allow`, reads the signed license as an SPDX expression. `A OR B` is allowed if
    one of the two is allowed, `A AND B` if both are. Ids with `-or-later` or `WITH` must be allowed
    separately. A license that is unsigned or not a valid expression is not allowed.

    ## Why it matters
    The license decides whether you may use the model at all. The signed license is the one that the
    publisher promised.

    ## Example
    `--license-allow MIT`, and the row was signed under `MIT AND CC-BY-NC-4.0`.

    ## How to fix
    Read the license and allow it, or use another model.
    """

    code = "USE004"
    slug = "license-refused"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        signed = case.signed_row(row) if case.require.licenses else None
        reason = (
            self._refusal(signed.row.get("license"), case.require.permitted) if signed else None
        )
        if reason is not None:
            yield self.of_row(
                case,
                row,
                "license",
                f"{reason}; allowed: {', '.join(case.require.licenses)}"[:400],
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
    Looks in the release summary for every model file, by name and digest, and for the bundle, by
    digest. For a whole registry, ATT710 does this.

    ## Why it matters
    Each file can be genuine although the combination was never released: an old model in a new
    release, a new model under an old summary, or a bundle from before the license was corrected.

    ## Example
    The summary is from the last release, the model and its bundle from the release before.

    ## How to fix
    Fetch the model, its bundle and the release summary again, all from the same release.
    """

    code = "USE006"
    slug = "not-in-release"
    yields_to = ("SIG605", "USE012")

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
            is_signed = signed.digest_of(file.name) is not None  # else SIG606 or ATT702 reports it
            if file.sha256 is None or released == file.sha256 or not is_signed:
                continue
            same = False
            if released is None:
                yield file.path, f"{file.path} is not part of {which}"
            else:
                yield (
                    file.path,
                    f"{file.path} has the digest {short(file.sha256)}; in {which} it is "
                    f"{short(released)}",
                )
        assert row.bundle is not None
        if same and row.bundle.sha256 not in case.released_bundles:
            yield (
                row.bundle.path,
                f"{row.bundle.path} is not a bundle of {which}, although the model files are the "
                "same",
            )


class FilesRequired(Requirement):
    """The consumer requires every signed file, and one is missing.

    ## What it does
    With `--require files` or `--require production`, requires every sidecar that was signed with
    the row to be beside the model. This replaces the warning ATT713. A missing model or
    external-data file is always an error (ATT705).

    ## Why it matters
    The sidecar says what inputs the model expects. Without it, a program falls back to values that
    were not released with these weights.

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
