# SPDX-License-Identifier: Apache-2.0
"""What the release summary says, and whether that is what is here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from provenance.artifacts import repository
from provenance.artifacts.paths import FETCH, IS_POINTER
from provenance.attestations import predicates
from provenance.attestations.statement import Statement
from provenance.evidence import expected_statements, releases
from provenance.gate.finding import Finding
from provenance.gate.rules.base import short
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import (
    ALL_BUT_BLOBS,
    REGISTRY_AND_RELEASE,
    Phase,
    Scope,
    Target,
)
from provenance.gate.rules.signatures import SignatureRule


def _differing(signed: Mapping[str, str], held: Mapping[str, str | None]) -> Iterator[str]:
    """The names of which the release says something else than what is here."""
    yield from (name for name, sha256 in signed.items() if held.get(name) != sha256)
    yield from (name for name in held if name not in signed)


class SummaryMissing(SignatureRule):
    """The registry has no release summary.

    ## What it does
    Looks for `<registry>.vsa.sigstore.json` in the folder of the row bundles, when the whole
    registry is verified.

    ## Why it matters
    Row bundles say what each row is. Only the summary says which rows, bundles and documents belong
    to one release: without it, one that is missing altogether leaves no trace.

    ## Example
    The rows were signed with `provenance sign`, and never released.

    ## How to fix
    `provenance release`. To verify rows alone, name them: `provenance verify ROW…`.
    """

    code = "ATT709"
    slug = "summary-missing"
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        summary = case.evidence.summary
        if summary is not None and summary.missing and case.facts:
            yield self.finding(
                f"the release summary {summary.path} does not exist",
                "Release: provenance release --signer URI. To verify rows alone, name them.",
                path=summary.path,
            )


class SummaryStale(SignatureRule):
    """The release summary does not describe what is here.

    ## What it does
    Compares the digests in the summary with those computed now: registry, model files, sidecars,
    manifests, verdicts, bundles, and the policy. A file that another finding already names is not
    named again.

    ## Why it matters
    The summary is the one file that a consumer checks for a whole release. It has to be about this
    release.

    ## Example
    The gate verdict was edited from HOLD to PROMOTE after the release.

    ## How to fix
    Restore what was released, or release again: `provenance release`.
    """

    code = "ATT710"
    slug = "summary-stale"
    phase = Phase.OUTCOME
    applies = REGISTRY_AND_RELEASE
    scopes = (Scope.OUTCOME,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        evidence = case.evidence
        statement = case.signed_statement(evidence.summary)
        if statement is None:
            return
        assert evidence.summary is not None
        at = evidence.summary.path
        if statement.predicate_type != predicates.SLSA_SUMMARY:
            yield self.finding(
                f"{at}: its predicate is of type {statement.predicate_type[:100]}",
                "Release again: provenance release",
                path=at,
            )
            return
        told = {file for f in case.findings if f.fails for file in f.files}
        told |= {b.path for row in case.facts for b in row.bundles if b.pointer}  # by SIG602
        signed = releases.files_of(statement)
        held = expected_statements.held(evidence, case.facts)
        # The data of a model that cannot be read may be there.
        unknown = {name for row in case.facts for name in row.signed_subjects}
        unreadable = {**evidence.unreadable, **expected_statements.unreadable(evidence)}
        owners = case.owners if case.target is Target.RELEASE else {}
        # A release of which nothing was opened has failed for another reason.
        names = () if evidence.released == () else sorted(_differing(signed, held))
        for name in names:
            path = evidence.registry.absolute(name)
            now = held.get(name)
            if path in told or (name in unknown and now is None):
                continue
            if name not in signed:
                what = "is not part of the release"
            elif path in unreadable:
                what = f"was released and cannot be read: it {unreadable[path]}"
            elif now is None:
                what = "was released and is not there"
            else:
                what = f"is {short(now)}; released was {short(signed[name])}"
            yield self.finding(
                f"{path} {what}",
                FETCH
                if what.endswith(IS_POINTER)
                else "Restore what was released, or release again: provenance release",
                path=path,
                row=owners.get(path),
            )
        yield from self._policy(case, statement, at)

    def _policy(self, case: Case, statement: Statement, at: str) -> Iterator[Finding]:
        """The policy in the tree has to be the signer's. One that the user named is the user's own,
        and a release that is judged by its summary is judged by none.
        """
        found_in_tree = not case.config.named and case.evidence.released is None
        if found_in_tree and releases.policy_of(statement) != case.config.policy_sha256:
            yield self.finding(
                f"the configuration {case.config.path} has changed since the release",
                "Release again under this policy: provenance release",
                path=case.config.path,
                position=case.config.position,
            )
        if statement.predicate.get("verificationResult") != "PASSED":
            yield self.finding(
                f"{at} does not say that the release passed", "Release again.", path=at
            )


class OtherProject(SignatureRule):
    """The release summary is of another project.

    ## What it does
    Compares `resourceUri` of the summary with the URI that names this project's registry:
    `--resource-uri`, or `resource_uri` of the configuration, or what follows from the git remote
    `origin`. Also compares the path of the registry file. Where this project has no URI, nothing is
    compared, and the report says that.

    ## Why it matters
    A summary is a genuine signature over a whole release. If one publisher signs for two projects,
    or one key is trusted for both, the release of one must not pass for that of the other.

    ## Example
    The summary of `git+https://github.com/example/models#registry.json` in a clone of another
    repository.

    ## How to fix
    Fetch the summary of this project. In a mirror or a fork that ships the releases of another
    project, name that one: `--resource-uri URI`.
    """

    code = "ATT712"
    slug = "other-project"
    for_consumer = True
    applies = ALL_BUT_BLOBS
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        summary = case.evidence.summary
        statement = case.signed_statement(summary)
        if summary is None or statement is None or releases.predicate_of(statement) is None:
            return
        signed = statement.predicate.get("resourceUri")
        expected = case.resource_uri
        if expected is not None and not (
            isinstance(signed, str) and repository.is_same_project(signed, expected)
        ):
            yield self.finding(
                f"{summary.path} is the summary of the project {str(signed)[:200]!r}; expected "
                f"{expected!r}",
                "Fetch the summary of this project. In a mirror or a fork, name the project whose "
                "releases it ships: --resource-uri URI",
                path=summary.path,
            )
        elif case.evidence.whole and case.evidence.released is None:
            index = releases.index_of(statement)
            if index != case.evidence.registry.path:
                yield self.finding(
                    f"{summary.path} is the summary of the registry {str(index)[:200]!r}; the one "
                    f"that is verified is {case.evidence.registry.path!r}",
                    "Verify the registry that was released: set `registry` in the configuration "
                    "back to it.",
                    path=summary.path,
                )
