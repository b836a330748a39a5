# SPDX-License-Identifier: Apache-2.0
"""Rules that compare the release summary with the present files."""

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
    """Yield the names whose released and present digests differ."""
    yield from (name for name, sha256 in signed.items() if held.get(name) != sha256)
    yield from (name for name in held if name not in signed)


class SummaryMissing(SignatureRule):
    """The registry has no release summary.

    ## What it does
    Looks for `<registry>.vsa.sigstore.json` in the folder of the row bundles if the whole registry
    is verified.

    ## Why it matters
    A row bundle describes one row. Only the summary says which rows, bundles and documents belong
    to one release. Without it, a row can disappear together with its bundle unnoticed.

    ## Example
    The rows were signed with `provenance sign`, and never released.

    ## How to fix
    Run `provenance release`. To verify only some rows, name them: `provenance verify ROW…`.
    """

    code = "ATT709"
    slug = "summary-missing"
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        summary = case.evidence.summary
        if summary is not None and summary.missing and case.facts:
            yield self.finding(
                f"the release summary {summary.path} does not exist",
                "Release: provenance release --signer URI. To verify only some rows, name them.",
                path=summary.path,
            )


class SummaryStale(SignatureRule):
    """The release summary does not match the present files.

    ## What it does
    Compares the digests in the summary with those computed now, for the registry, model files,
    sidecars, manifests, verdicts, bundles and the policy. Files that another finding reports are
    not reported again.

    ## Why it matters
    The summary is the one file that consumers check for a whole release, so it must describe this
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
        reported = {file for f in case.findings if f.fails for file in f.files}
        reported |= {b.path for row in case.facts for b in row.bundles if b.pointer}  # by SIG602
        signed = releases.files_of(statement)
        held = expected_statements.held(evidence, case.facts)
        # The external data of an unreadable model is not known, and may exist.
        unknown = {name for row in case.facts for name in row.signed_subjects}
        unreadable = {**evidence.unreadable, **expected_statements.unreadable(evidence)}
        owners = case.owners if case.target is Target.RELEASE else {}
        # If no file of the release was opened, the run has failed for another reason.
        names = () if evidence.released == () else sorted(_differing(signed, held))
        for name in names:
            path = evidence.registry.absolute(name)
            now = held.get(name)
            if path in reported or (name in unknown and now is None):
                continue
            if name not in signed:
                difference = "is not part of the release"
            elif path in unreadable:
                difference = f"was released, but cannot be read: it {unreadable[path]}"
            elif now is None:
                difference = "was released, but is missing"
            else:
                difference = (
                    f"has the digest {short(now)}; the released digest is {short(signed[name])}"
                )
            yield self.finding(
                f"{path} {difference}",
                FETCH
                if difference.endswith(IS_POINTER)
                else "Restore what was released, or release again: provenance release",
                path=path,
                row=owners.get(path),
            )
        yield from self._policy(case, statement, at)

    def _policy(self, case: Case, statement: Statement, at: str) -> Iterator[Finding]:
        """Compare the configuration found in the repository with the signed policy.

        A configuration that the user named is the user's own policy and is not compared. Neither is
        that of a release verified by its summary alone.
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
    """The release summary belongs to another project.

    ## What it does
    Compares `resourceUri` of the summary with the URI of this project's registry. The URI comes
    from `--resource-uri`, from `resource_uri` of the configuration, or from the git remote
    `origin`. Also compares the path of the registry file. If the project has no URI, the comparison
    is skipped, and the report mentions that.

    ## Why it matters
    If one publisher signs for two projects, or one key is trusted for both, every summary has a
    valid signature. The release of one project must not pass as a release of the other.

    ## Example
    The summary of `git+https://github.com/example/models#registry.json` in a clone of another
    repository.

    ## How to fix
    Fetch the summary of this project. In a mirror or a fork that ships the releases of another
    project, name that project: `--resource-uri URI`.
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
                    f"{summary.path} is the summary of the registry {str(index)[:200]!r}; the "
                    f"registry being verified is {case.evidence.registry.path!r}",
                    "Verify the registry that was released: set `registry` in the configuration "
                    "back to its path.",
                    path=summary.path,
                )
