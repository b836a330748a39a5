# SPDX-License-Identifier: Apache-2.0
"""USE0xx: what a consumer requires before a model is used (`verify --require`, `open_model`).

Each is judged on what trusted signers have signed, never on what lies beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from provenance.artifacts import spdx
from provenance.attestations.signed_row import PRODUCTION, SMOKE
from provenance.attestations.statement import Statement
from provenance.evidence import releases
from provenance.evidence.releases import Release, digests_of
from provenance.evidence.rows import BundleEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Case, Phase, Rule, short, shown
from provenance.gate.rules.signatures import changed_files

AGAIN = "Do not use it. Fetch the model, its bundle and the release summary from the publisher."


class _Requirement(Rule):
    phase = Phase.REQUIREMENTS
    needs_trust = True
    of_one_file = True
    of_release = True
    for_consumer = True

    def of_row(self, case: Case, row: RowEvidence, field: str, message: str, help: str) -> Finding:
        """A finding at a field of the row; of one file alone, at the file."""
        about = row.onnx.path if row.onnx else None
        return self.in_row(case, row, field, message, help, about=about)

    def of_summary(self, summary: BundleEvidence, message: str, help: str) -> Finding:
        """A finding at the release summary."""
        return self.finding(message, help, path=summary.path)


class RowRequired(_Requirement):
    """The consumer requires a signed row, and the bundle binds none.

    ## What it does
    Takes the place of the warning ATT711 where anything is required of the row: with
    `--require row`, `production` or `no-deferrals`, with `--license-allow`, with a release summary,
    and always in `provenance.open_model`.

    ## Why it matters
    A signature over a file's bytes says nothing of its license, of smoke or production, of external
    data or exceptions. What nobody has said cannot be required.

    ## Example
    `provenance verify m.onnx --key release.pub --require production`, where `m.onnx` was signed
    with `cosign sign-blob`.

    ## How to fix
    Ask the publisher for a bundle of `provenance release`.
    """

    code = "USE001"
    slug = "row-required"

    def judge(self, case: Case) -> Iterator[Finding]:
        """In a release that is judged by its summary. `verify FILE` reports it in place of ATT711;
        elsewhere ATT701 reports the bundle.
        """
        if case.evidence.released is None or not case.require.of_row:
            return
        bound = {row.row.index for row, _ in case.signed_rows()}
        for row in case.evidence.rows:
            if row.row.index not in bound:
                path = row.bundle.path if row.bundle else case.evidence.registry.path
                yield self.finding(
                    f"{path} is not a bundle of this release that binds the row",
                    AGAIN,
                    path=path,
                    row=row.row.label,
                )


class ProductionRequired(_Requirement):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        if not case.require.production:
            return
        for row, signed in case.signed_rows():
            if signed.classification != PRODUCTION:
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


class DeferralRefused(_Requirement):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        if not case.require.no_deferrals:
            return
        of_rows = 0
        for row, signed in case.signed_rows():
            for deferral in signed.deferrals:
                of_rows += 1
                yield self.of_row(
                    case,
                    row,
                    "id",
                    f"it was signed with {_exception(deferral)}; exceptions are not allowed "
                    "(--require no-deferrals)",
                    "Do not use it. Use a release without this exception.",
                )
        if case.evidence.whole and not of_rows:
            yield from self._of_release(case)

    def _of_release(self, case: Case) -> Iterator[Finding]:
        """The deferred findings that the summary counts, where no row lists a deferral."""
        summary = case.evidence.summary
        statement = case.signed_statement(summary)
        if summary is None or statement is None:
            return
        number = releases.deferrals_of(statement)
        if number != 0:
            yield self.of_summary(
                summary,
                f"the release was made with {'an unknown number of' if number is None else number} "
                "exceptions; exceptions are not allowed (--require no-deferrals)",
                "Do not use it. Use a release without exceptions, or verify the models that you "
                "use one by one: provenance verify FILE.onnx",
            )


class LicenseRefused(_Requirement):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        if not case.require.licenses:
            return
        for row, signed in case.signed_rows():
            why = self._refusal(signed.row.get("license"), case.require.permitted)
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


class SummaryRequired(_Requirement):
    """The consumer requires a release summary, and there is none that can be judged.

    ## What it does
    With `--require summary`, `--max-age` or `--state`, looks for the release summary
    (`<registry>.vsa.sigstore.json`): named with `--summary`, or beside the bundle or the model. It
    has to be a SLSA verification summary that says PASSED and, where releases are compared, of
    which registry and when. Its signature is judged by the rules SIG6xx.

    ## Why it matters
    A bundle alone stays valid for ever. Only the summary says to which release it belongs and when
    that was.

    ## Example
    The model was fetched with its bundle, and without the summary of the release.

    ## How to fix
    Fetch the summary of the release from the publisher, and put it beside the bundle.
    """

    code = "USE005"
    slug = "summary-required"

    def judge(self, case: Case) -> Iterator[Finding]:
        summary = case.evidence.summary
        if not case.needs_summary:
            return
        if summary is None or summary.missing:
            bundle = next((r.bundle for r in case.evidence.rows if r.bundle is not None), None)
            if not case.evidence.whole and bundle is not None:  # else ATT709 has said it
                yield self.finding(
                    "there is no release summary beside the bundle or the model",
                    "Fetch <registry>.vsa.sigstore.json of the release too, or name it: --summary",
                    path=bundle.path,
                )
            return
        statement = case.signed_statement(summary)
        if statement is None:
            return
        if releases.predicate_of(statement) is None:
            if not case.evidence.whole:  # else ATT710 has said it
                yield self.of_summary(
                    summary,
                    f"{summary.path} is no release summary that says PASSED; its type is "
                    f"{statement.predicate_type[:100]}",
                    AGAIN,
                )
        elif releases.release_of(summary) is None and case.compares_releases:
            yield self.of_summary(
                summary,
                f"{summary.path} does not say of which registry it is and when it was made",
                AGAIN,
            )


class NotInRelease(_Requirement):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        summary = case.evidence.summary
        statement = case.signed_statement(summary)
        if case.evidence.whole or not case.needs_summary or statement is None:
            return
        assert summary is not None
        predicate = releases.predicate_of(statement)
        if predicate is None:
            return
        release = releases.release_of(summary)
        which = str(release) if release else "the release"
        bundles = set(digests_of(predicate.get("inputAttestations"), "uri").values())
        for row, signed in case.bound_rows():
            if not any(changed_files(row, signed)):  # SIG605 has said it
                for path, message in self._differences(row, signed, statement, bundles, which):
                    yield self.finding(message, AGAIN, path=path, row=row.row.label)

    @staticmethod
    def _differences(
        row: RowEvidence,
        signed: Statement,
        summary: Statement,
        bundles: Collection[str],
        which: str,
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
        if same and row.bundle.sha256 not in bundles:
            yield (
                row.bundle.path,
                f"{row.bundle.path} is not a bundle of {which}, which has the same files",
            )


class ReleaseTooOld(_Requirement):
    """The release is older than the consumer allows.

    ## What it does
    With `--max-age`, compares the day of the summary's `timeVerified` with today, both in UTC. A
    time that lies more than a day ahead is refused too: then one of the two clocks is wrong.

    ## Why it matters
    Whoever can keep new releases from a consumer can keep an old one alive, with everything that
    was wrong with it. An age that is limited limits that.

    ## Example
    `--max-age 90d`, and the summary says that it was made 120 days ago.

    ## How to fix
    Fetch the current release. A publisher whose models do not change signs the same release anew.
    """

    code = "USE007"
    slug = "release-too-old"

    def judge(self, case: Case) -> Iterator[Finding]:
        max_age = case.require.max_age
        if max_age is None:
            return
        for summary, release in _releases(case):
            age = (case.today - release.order.time.date()).days
            if age > max_age.days:
                yield self.of_summary(
                    summary,
                    f"{release} is {age:,} days old; allowed are {max_age.days:,}",
                    "Fetch the current release.",
                )
            elif age < -1:
                yield self.of_summary(
                    summary,
                    f"the release says that it was made on {release.order}, and today is "
                    f"{case.today}",
                    "Set the clock of this machine, or ask the publisher.",
                )


class ReleaseRolledBack(_Requirement):
    """The release is older than one that was used before.

    ## What it does
    With `--state FILE`, compares the release with the last one of the same registry that verified
    with this file, and remembers it where it is newer.

    ## Why it matters
    An old release is genuine: every signature in it is valid. Whoever serves it takes back what was
    corrected since.

    ## Example
    The release of March is served again, after that of May was used.

    ## How to fix
    Fetch the current release. If the publisher has really taken a release back, remove its registry
    from the state file. If it is another publisher's registry of the same name, give it a state
    file of its own.
    """

    code = "USE008"
    slug = "release-rolled-back"

    def judge(self, case: Case) -> Iterator[Finding]:
        for summary, release in _releases(case):
            last = (case.evidence.seen or {}).get(release.registry)
            if last is not None and release.order < last.order:
                yield self.of_summary(
                    summary,
                    f"{release} of {release.registry} is older than {last}, which was used before",
                    "Fetch the current release. Another publisher's registry of this name needs a "
                    "state file of its own.",
                )


class ReleaseAmbiguous(_Requirement):
    """Another release with the same place in the order was used before.

    ## What it does
    With `--state FILE`, refuses a release that is neither older nor newer than the last one and yet
    another.

    ## Why it matters
    It cannot be told which of the two takes the place of the other. A publisher makes one release
    after the other; two at once are a mistake, or two signers of whom one is not the publisher.

    ## Example
    Two summaries that both say `"timeVerified": "2026-05-04T10:00:00Z"`, over other files.

    ## How to fix
    Ask the publisher which one counts, and for a release that is newer than both.
    """

    code = "USE009"
    slug = "release-ambiguous"

    def judge(self, case: Case) -> Iterator[Finding]:
        for summary, release in _releases(case):
            last = (case.evidence.seen or {}).get(release.registry)
            if last is None:
                return
            if release.order == last.order and release.sha256 != last.sha256:
                yield self.of_summary(
                    summary,
                    f"another release of {release.registry}, also of {release.order}, was used "
                    f"before: the statement of its summary is {short(last.sha256)}, this one is "
                    f"{short(release.sha256)}",
                    "Ask the publisher which one counts, and for a newer release.",
                )


class AnotherHistory(_Requirement):
    """The release is later than the last one, and does not descend from it.

    ## What it does
    Each summary names the summary that it replaced, by digest. With `--state FILE`, refuses a later
    release that took the place of the very release which the last one took the place of; one that
    follows none, where the last one followed one; and the one that the last one replaced. Where
    releases were skipped in between, nothing is known, and nothing is said.

    ## Why it matters
    There are two lines of releases, each signed by somebody you trust. Either a publisher released
    from two places, or a key is in other hands: what the one line has corrected, the other one has
    not.

    ## Example
    Two machines release from the same checkout, each its own change. You have used the release of
    the one and are served that of the other.

    ## How to fix
    Ask the publisher which line counts. If the publisher started anew on purpose, remove the
    registry from the state file.
    """

    code = "USE010"
    slug = "another-history"

    def judge(self, case: Case) -> Iterator[Finding]:
        for summary, release in _releases(case):
            last = (case.evidence.seen or {}).get(release.registry)
            why = releases.divergence(release, last) if last is not None else None
            if why is not None:
                yield self.of_summary(
                    summary,
                    f"{release} of {release.registry} is of another history than {last}, which "
                    f"was used before: {why}",
                    "Ask the publisher which of the two counts. If it started anew on purpose, "
                    "remove the registry from the state file.",
                )


class FilesRequired(_Requirement):
    """The consumer requires every signed file, and one is missing.

    ## What it does
    With `--require files` or `--require production`, takes the place of the warning ATT713: a
    sidecar that was signed with the row has to be beside the model. A signed model or external-data
    file that is missing is an error in any case (ATT705).

    ## Why it matters
    The sidecar says how the model is fed. Without it, a program falls back to values that were not
    released with these weights.

    ## Example
    `provenance verify m.onnx --key release.pub --require files`, without `m.json`.

    ## How to fix
    Fetch the file from the publisher, and put it beside the model.
    """

    code = "USE011"
    slug = "files-required"

    def judge(self, case: Case) -> Iterator[Finding]:
        return iter(())  # reported by `verify FILE` in place of ATT713; ATT704 elsewhere


def _releases(case: Case) -> Iterator[tuple[BundleEvidence, Release]]:
    """The release that a trusted signer speaks of, where one has to be at hand."""
    summary = case.evidence.summary
    if case.signed_statement(summary) is None:
        return
    assert summary is not None
    release = releases.release_of(summary)
    if release is not None:
        yield summary, release


def _exception(deferral: object) -> str:
    if not isinstance(deferral, dict):
        return f"deferrals that cannot be read ({shown(deferral)})"
    words = (f"{deferral.get(key)}"[:200] for key in ("rule", "reason", "reference"))
    return "an exception to {}: {} ({})".format(*words)


RULES: Iterable[type[Rule]] = (
    RowRequired,
    ProductionRequired,
    DeferralRefused,
    LicenseRefused,
    SummaryRequired,
    NotInRelease,
    ReleaseTooOld,
    ReleaseRolledBack,
    ReleaseAmbiguous,
    AnotherHistory,
    FilesRequired,
)
