# SPDX-License-Identifier: Apache-2.0
"""What a consumer requires of the release summary."""

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
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        summary = case.evidence.summary
        if not case.needs_summary:
            return
        if summary is None or summary.missing:
            bundle = next((r.bundle[0] for r in case.facts if r.bundle), None)
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


class ReleaseTooOld(Requirement):
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


class ReleaseRolledBack(Requirement):
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
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        for summary, release in _releases(case):
            last = (case.evidence.seen or {}).get(release.registry)
            if last is not None and release.order < last.order:
                yield self.of_summary(
                    summary,
                    f"{release} of {release.registry} is older than {last}, which was used before",
                    "Fetch the current release. Another publisher's registry of this name needs a "
                    "state file of its own.",
                )


class ReleaseAmbiguous(Requirement):
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
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
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


class AnotherHistory(Requirement):
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
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
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


def _releases(case: Case) -> Iterator[tuple[BundleEvidence, Release]]:
    """The release that a trusted signer speaks of, where one has to be at hand."""
    summary = case.evidence.summary
    if case.signed_statement(summary) is None:
        return
    assert summary is not None
    release = releases.release_of(summary)
    if release is not None:
        yield summary, release
