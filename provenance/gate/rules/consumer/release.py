# SPDX-License-Identifier: Apache-2.0
"""Requirements of a consumer on the release summary."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.evidence import releases
from provenance.evidence.releases import Release
from provenance.evidence.rows import BundleEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import short
from provenance.gate.rules.case import Case
from provenance.gate.rules.consumer.requirement import AGAIN, Requirement
from provenance.gate.rules.declaration import Scope


class SummaryRequired(Requirement):
    """The consumer requires a release summary, and it is missing or not valid.

    ## What it does
    With `--require summary`, `--max-age` or `--state`, looks for the release summary
    (`<registry>.vsa.sigstore.json`), at the path given with `--summary` or beside the bundle or the
    model. It must be a SLSA verification summary with the result PASSED. If releases are compared,
    it must also name its registry and its time. The rules SIG6xx verify its signature.

    ## Why it matters
    A bundle alone stays valid forever. Only the summary says which release it belongs to, and when
    that release was made.

    ## Example
    The model was fetched with its bundle, but without the summary of the release.

    ## How to fix
    Fetch the summary of the release from the publisher, and put it beside the bundle.
    """

    code = "USE005"
    slug = "summary-required"
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        summary = case.evidence.summary
        if not case.needs_summary:
            return
        if summary is None or summary.missing:
            bundle = next((r.bundle[0] for r in case.facts if r.bundle), None)
            if not case.evidence.whole and bundle is not None:  # else ATT709 reports it
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
            if not case.evidence.whole:  # else ATT710 reports it
                yield self.of_summary(
                    summary,
                    f"{summary.path} is not a release summary with the result PASSED; its "
                    f"predicate is of type {statement.predicate_type[:100]}",
                    AGAIN,
                )
        elif releases.release_of(summary) is None and case.compares_releases:
            yield self.of_summary(
                summary,
                f"{summary.path} does not say which registry it is about and when it was made",
                AGAIN,
            )


class ReleaseTooOld(Requirement):
    """The release is older than the consumer allows.

    ## What it does
    With `--max-age`, compares the day of the summary's `timeVerified` with today, both in UTC. A
    time more than one day in the future is refused too, because one of the two clocks is wrong.

    ## Why it matters
    An attacker who hides new releases from a consumer can keep an old release in use, with all its
    known problems. A maximum age limits for how long.

    ## Example
    `--max-age 90d`, and the summary was made 120 days ago.

    ## How to fix
    Fetch the current release. A publisher whose models do not change signs the same release again.
    """

    code = "USE007"
    slug = "release-too-old"
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        max_age = case.require.max_age
        if max_age is None:
            return
        for summary, release in _releases(case):
            age = (case.today - release.order.time.date()).days
            if age > max_age.days:
                yield self.of_summary(
                    summary,
                    f"{release} is {age:,} days old; at most {max_age.days:,} are allowed "
                    "(--max-age)",
                    "Fetch the current release.",
                )
            elif age < -1:
                yield self.of_summary(
                    summary,
                    f"the release is dated {release.order}, but today is {case.today}",
                    "Set the clock of this machine, or ask the publisher.",
                )


class ReleaseRolledBack(Requirement):
    """The release is older than a release that was used before.

    ## What it does
    With `--state FILE`, compares the release with the last verified release of the same registry in
    this file. Records the release if it is newer.

    ## Why it matters
    An old release is genuine, and all its signatures are valid. An attacker who serves it undoes
    every correction made since.

    ## Example
    The release of March is served again after the release of May was used.

    ## How to fix
    Fetch the current release. If the publisher has withdrawn a release, remove its registry from
    the state file. If another publisher has a registry with the same name, use a separate state
    file for it.
    """

    code = "USE008"
    slug = "release-rolled-back"
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        for summary, release in _releases(case):
            last = (case.evidence.seen or {}).get(release.registry)
            if last is not None and release.order < last.order:
                yield self.of_summary(
                    summary,
                    f"{release} of {release.registry} is older than {last}, which was used before",
                    "Fetch the current release. If this is another publisher's registry with the "
                    "same name, use a separate state file.",
                )


class ReleaseAmbiguous(Requirement):
    """A different release with the same time was used before.

    ## What it does
    With `--state FILE`, refuses a release that differs from the last one but is neither older nor
    newer.

    ## Why it matters
    It is not known which of the two releases replaces the other. A publisher makes one release
    after another. Two at the same time are a mistake, or one of them is not by the publisher.

    ## Example
    Two summaries over different files, both with `"timeVerified": "2026-05-04T10:00:00Z"`.

    ## How to fix
    Ask the publisher which release counts, and ask for a release that is newer than both.
    """

    code = "USE009"
    slug = "release-ambiguous"
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        for summary, release in _releases(case):
            last = (case.evidence.seen or {}).get(release.registry)
            if last is None:
                return
            if release.order == last.order and release.sha256 != last.sha256:
                yield self.of_summary(
                    summary,
                    f"another release of {release.registry} with the same time, {release.order}, "
                    f"was used before: the digest of its summary statement is "
                    f"{short(last.sha256)}, of this one {short(release.sha256)}",
                    "Ask the publisher which one counts, and ask for a newer release.",
                )


class AnotherHistory(Requirement):
    """The release is newer than the last one, but does not descend from it.

    ## What it does
    Each summary names the summary that it replaced, by digest. With `--state FILE`, refuses a newer
    release in three cases:

    - It replaced the same release as the last one did.
    - It does not replace any release, although the last one did.
    - It is the release that the last one replaced.

    If releases were skipped in between, their history is not known, and nothing is reported.

    ## Why it matters
    There are two separate lines of releases, both by signers you trust. Either the publisher
    released from two places, or a key was stolen. A correction in one line is missing in the other.

    ## Example
    Two machines release from the same checkout, each with its own change. You used the release of
    one machine and are now served that of the other.

    ## How to fix
    Ask the publisher which line counts. If the publisher intentionally started over, remove the
    registry from the state file.
    """

    code = "USE010"
    slug = "another-history"
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        for summary, release in _releases(case):
            last = (case.evidence.seen or {}).get(release.registry)
            why = releases.divergence(release, last) if last is not None else None
            if why is not None:
                yield self.of_summary(
                    summary,
                    f"{release} of {release.registry} does not descend from {last}, which was used "
                    f"before: {why}",
                    "Ask the publisher which of the two counts. If the publisher intentionally "
                    "started over, remove the registry from the state file.",
                )


def _releases(case: Case) -> Iterator[tuple[BundleEvidence, Release]]:
    """Yield the release summary and its release, if a trusted signer signed a valid summary."""
    summary = case.evidence.summary
    if case.signed_statement(summary) is None:
        return
    assert summary is not None
    release = releases.release_of(summary)
    if release is not None:
        yield summary, release
