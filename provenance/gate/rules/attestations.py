# SPDX-License-Identifier: Apache-2.0
"""ATT7xx: what the signed statements bind, and whether that is still what is here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from provenance.artifacts import repository
from provenance.artifacts.paths import FETCH, IS_POINTER
from provenance.artifacts.registry import DIGEST_FIELDS
from provenance.artifacts.strict_json import same
from provenance.attestations import predicates
from provenance.attestations import signed_row as signed_rows
from provenance.attestations.signed_row import SignedRow
from provenance.attestations.statement import Statement, StatementError
from provenance.evidence import canonical, expected_statements, releases
from provenance.evidence.releases import digests_of
from provenance.evidence.rows import RowEvidence
from provenance.gate.deferral_matching import InForce
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules.base import Case, Phase, Rule, differing, short
from provenance.gate.rules.ensembles.production import documents_are_pointers
from provenance.gate.rules.license import LICENSE_FIELDS
from provenance.gate.rules.signatures import changed_files


class _AttestationRule(Rule):
    phase = Phase.SIGNATURES
    needs_trust = True


class RowUnbound(_AttestationRule):
    """A bundle binds no registry row.

    ## What it does
    Requires that the row's bundle holds a statement of the type
    `https://onnx-provenance.dev/predicates/registry-row/v1`. A plain signature over the file, as
    `cosign sign-blob` writes it, is judged (SIG6xx) and then reported here, and so is the bundle of
    another row.

    ## Why it matters
    Such a signature says that somebody signed these bytes. It says nothing about their name, their
    license, their external data or their sidecar, and it stays valid when all of those change.

    ## Example
    A bundle with `messageSignature`, or the seed attestation under the row bundle's name.

    ## How to fix
    `provenance release` (or `provenance sign`) writes a bundle that binds the row.
    """

    code = "ATT701"
    slug = "row-unbound"
    of_one_file = True

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            fix = "Sign the row: provenance release --signer URI"
            if case.is_message_signature(row):
                found = "it signs the file's bytes alone: no name, license, external data, sidecar"
            else:
                statement = case.signed_statement(row.bundle)
                if statement is None or case.row_statement(row) is not None:
                    continue
                other = signed_rows.signed_row(statement)
                malformed = signed_rows.malformed_row(statement)
                if malformed is not None:
                    found = f"its predicate is not a valid registry row v1: {malformed}"
                elif other is None:
                    found = f"its predicate is of type {statement.predicate_type[:100]}"
                else:
                    found = f"it is the bundle of row {other.id[:100]!r}"
                    fix = "Put each bundle back where it belongs, or sign again: provenance release"
            assert row.bundle is not None
            yield self.finding(
                f"{row.bundle.path} does not bind the row: {found}",
                fix,
                path=row.bundle.path,
                row=row.row.label,
            )


class FileUncovered(_AttestationRule):
    """A model file of the row is not among the signed files.

    ## What it does
    Requires every file that the runtime opens for the row among the subjects of its bundle: the
    model, its external data, the int8 variant and its external data.

    ## Why it matters
    One file that no signature covers is enough to replace the weights. `verify FILE` with a plain
    signature names the external data of the file here: no such signature covers it.

    ## Example
    An int8 variant was added after the row was signed.

    ## How to fix
    If the file is meant, sign again: `provenance release`.
    """

    code = "ATT702"
    slug = "file-uncovered"
    of_one_file = True

    def judge(self, case: Case) -> Iterator[Finding]:
        for row, statement in case.bound_rows():
            for file in row.model_files:
                if file.sha256 is None or statement.digest_of(file.name) is not None:
                    continue
                if statement.name_of(file.sha256) is None:
                    yield self.in_row(
                        case,
                        row,
                        "onnx",
                        f"{file.path} is not among the files that the row's bundle signs",
                        "Sign again if it is meant: provenance release",
                        about=file.path,
                    )


class RowChanged(_AttestationRule):
    """The row is not the one that was signed.

    ## What it does
    Compares the row with the one in its bundle: the registry file it was read from, every field of
    the row as it is written there, and the canonical row, which is what this project understands of
    it (classification, origin, evaluated gate, files with their roles). `license` and `license_url`
    are reported by LIC205; a digest that was changed together with its file, by SIG605.

    ## Why it matters
    The bytes may be right and the row still say something that was not signed: production instead
    of smoke, another kind, another note. A row of another registry file is not the row that
    consumers of the signed registry read.

    ## Example
    Signed: `"smoke": true`. The registry: `"smoke": false`.

    ## How to fix
    Put the signed value back. If the change is right, sign again: `provenance release`.
    """

    code = "ATT703"
    slug = "row-changed"

    def judge(self, case: Case) -> Iterator[Finding]:
        registry = case.evidence.registry
        for row, statement in case.bound_rows():
            signed = case.signed_row(row)
            assert signed is not None
            if signed.index != registry.path:
                if _of_other_registry(case):
                    continue  # ATT712 reports it once
                yield self.in_row(
                    case,
                    row,
                    "id",
                    f"it was signed as a row of {signed.index[:100]!r}; the registry that is "
                    f"verified is {registry.path!r}",
                    "Set `registry` in the configuration back to the signed registry, or sign "
                    "again: provenance release",
                )
                continue
            changed = list(self._verbatim(row, statement, signed))
            if not changed:
                changed = list(self._canonical(case, row, signed))
            for field, message in changed:
                yield self.in_row(
                    case,
                    row,
                    field,
                    message,
                    "Put the signed value back, or sign again: provenance release",
                )

    @staticmethod
    def _verbatim(
        row: RowEvidence, statement: Statement, signed: SignedRow
    ) -> Iterator[tuple[str, str]]:
        """The members of the row, as the registry has it, that differ from the signed ones."""
        told = {*LICENSE_FIELDS}
        if any(changed_files(row, statement)):
            told |= {*DIGEST_FIELDS}  # SIG605 names the files, which says more
        here, there = row.row.verbatim, signed.verbatim
        for key in sorted((there.keys() | here.keys()) - told):
            now, then = here.get(key), there.get(key)
            if (key in there) != (key in here) or not same(now, then):
                shown, signed_as = differing(now, then)
                yield (
                    key,
                    f"`{key}` is {shown if key in here else 'missing'}; signed "
                    f"is {signed_as if key in there else 'missing'}",
                )

    @staticmethod
    def _canonical(case: Case, row: RowEvidence, signed: SignedRow) -> Iterator[tuple[str, str]]:
        """What of the canonical row differs although the row is written as it was signed.

        What is computed from the documents beside the model is compared where these are the signed
        ones: else ATT704 reports the sidecar, and ATT710 the manifest or verdict.
        """
        documents_differ = case.evidence.whole or any(
            signed.sidecars.get(s.name) != s.sha256 for s in row.sidecars
        )
        now = canonical.stated_row(row)
        if not documents_differ:
            now = canonical.canonical_row(case.evidence, row)
        left_out = {*LICENSE_FIELDS, *(canonical.EVALUATED if documents_differ else ())}
        for key in sorted((now.keys() | signed.row.keys()) - left_out):
            if key == "gate" and key not in now:
                continue  # its manifest or verdict is missing, which other rules report
            if not same(now.get(key), signed.row.get(key)):
                shown, signed_as = differing(now.get(key), signed.row.get(key))
                yield key, f"`{key}` of the canonical row is {shown}; signed is {signed_as}"
        files = {f.name: f for f in canonical.row_files(row)}
        for file in signed.files:
            here = files.get(file.name)
            if here is not None and here.role != file.role:
                yield (
                    "onnx",
                    f"{file.name[:100]!r} is the {here.role} of the row; signed is {file.role}",
                )


class SidecarChanged(_AttestationRule):
    """A sidecar is not the one that was signed with the row.

    ## What it does
    Compares the digest of each sidecar with the one in the row's bundle; a sidecar that is gone, or
    was added since, is reported too.

    ## Why it matters
    The sidecar decides what the model is fed: an edited mean, a swapped feature order or a new
    verdict changes every score, with not one byte of the model changed.

    ## Example
    `feature_mean` was edited after the release.

    ## How to fix
    Restore the released sidecar. If the change is meant, sign again: `provenance release`.
    """

    code = "ATT704"
    slug = "sidecar-changed"
    of_one_file = True

    def judge(self, case: Case) -> Iterator[Finding]:
        for row, statement in case.bound_rows():
            signed = digests_of(statement.predicate.get("sidecars"), "name")
            for evidence in row.sidecars:
                then, now = signed.get(evidence.name), evidence.sha256
                if then == now or evidence.pointer:  # SID405 reports pointers, to a publisher
                    continue
                if then is None:
                    what = "was not there when the row was signed"
                elif now is None:
                    what = "was signed with the row and is not there"
                else:
                    what = f"is {short(now)}; signed with the row is {short(then)}"
                yield self.finding(
                    f"the sidecar {evidence.path} {what}",
                    "Restore the released sidecar, or sign again: provenance release",
                    path=evidence.path,
                    row=row.row.label,
                )

    def judge_for_consumer(self, case: Case, help: str) -> Iterator[Finding]:
        """The same, and Git LFS pointers in place of sidecars."""
        yield from super().judge_for_consumer(case, help)
        for row in case.evidence.rows:
            for sidecar in row.sidecars:
                if sidecar.pointer:
                    yield self.finding(
                        f"the sidecar {sidecar.path} {IS_POINTER}",
                        FETCH,
                        path=sidecar.path,
                        row=row.row.label,
                    )


class FileGone(_AttestationRule):
    """The row's bundle signs a file that the row does not have.

    ## What it does
    Looks for signed files that no model of the row refers to any more.

    ## Why it matters
    The signature was made over another set of files: weights that are now inside the model, or an
    int8 variant that was removed, and with it what consumers were told to load.

    ## Example
    The bundle signs `m.int8.onnx`; the row has no int8 variant.

    ## How to fix
    Restore the file, or sign again: `provenance release`.
    """

    code = "ATT705"
    slug = "file-gone"

    def judge(self, case: Case) -> Iterator[Finding]:
        for row, statement in case.bound_rows():
            if row.misses_a_model:  # what it refers to is not known
                continue
            here = {f.name for f in row.model_files}
            present = {f.sha256 for f in row.model_files}
            for subject in statement.subjects:
                if subject.name not in here and subject.sha256 not in present:
                    yield self.in_row(
                        case,
                        row,
                        "onnx",
                        f"the row's bundle signs {subject.name[:100]!r}, which is not there",
                        "Restore the file, or sign again: provenance release",
                        about=case.evidence.registry.absolute(subject.name),
                    )


class DeferralsDiffer(_AttestationRule):
    """The deferrals in force are not those that were signed.

    ## What it does
    Compares the deferrals that cover the row now with those in its bundle.

    ## Why it matters
    A consumer reads in the bundle what was known to be wrong. An exception that was added, reworded
    or extended after the release is one that nobody signed.

    ## Example
    `expires` was moved from 2026-12-31 to 2027-12-31.

    ## How to fix
    Sign again with the deferrals as they are now: `provenance release`.
    """

    code = "ATT706"
    slug = "deferrals-differ"
    phase = Phase.OUTCOME

    def judge(self, case: Case) -> Iterator[Finding]:
        released = [f for f in case.findings if case.catalogue[f.code].phase.is_released]
        in_force = InForce(released)
        for row, statement in case.bound_rows():
            signed = statement.predicate.get("deferrals")
            now = in_force.of(row.row.label, row.manifest.id if row.manifest else None)
            if not case.evidence.whole and isinstance(signed, list):
                # What some rows do not show is neither in force nor gone.
                signed = [d for d in signed if not self._unseen(case, d)]
            if not same(signed, now):
                assert row.bundle is not None
                yield self.finding(
                    f"signed with {_deferrals(signed)}; in force {_deferrals(now)}",
                    "Sign again with the deferrals as they are now: provenance release",
                    path=row.bundle.path,
                    row=row.row.label,
                )

    @staticmethod
    def _unseen(case: Case, deferral: object) -> bool:
        code = deferral.get("rule") if isinstance(deferral, dict) else None
        return isinstance(code, str) and code in case.catalogue and not case.judged(code)


class SeedUnattested(_AttestationRule):
    """An ensemble seed has no attestation.

    ## What it does
    Requires `<onnx>.provenance.sigstore.json` beside the row bundle for every member of an ensemble
    whose sidecar describes its bytes.

    ## Why it matters
    The attestation is what links the seed to its sidecar, its corpus and its verdict. Without it
    the link is a file name.

    ## Example
    A row was signed with `provenance sign`, and `provenance attest` was forgotten.

    ## How to fix
    `provenance release`, which writes both.
    """

    code = "ATT707"
    slug = "seed-unattested"

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            attestation = row.attestation
            if (
                attestation is not None
                and attestation.missing
                and expected_statements.attestable(row)
            ):
                yield self.in_row(
                    case,
                    row,
                    "sigstore_bundle",
                    f"the seed attestation {attestation.path} does not exist",
                    "Attest the seeds: provenance release --signer URI",
                    about=attestation.path,
                )


class SeedAttestationDiffers(_AttestationRule):
    """A seed attestation does not say what is here.

    ## What it does
    Builds the attestation again from the seed's files, sidecar, manifest and verdict, and compares:
    subjects, seed, training recipe, corpus, manifest, sidecar, verdict. An attestation for a seed
    whose sidecar is stale is refused whatever it says.

    ## Why it matters
    A seed linked to another seed's sidecar, or to a verdict that has changed since, is provenance
    of something else.

    ## Example
    The attestations of seed 0 and seed 1 were swapped.

    ## How to fix
    Restore the released files, or attest again: `provenance release`.
    """

    code = "ATT708"
    slug = "seed-attestation-differs"

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            attestation = row.attestation
            statement = case.signed_statement(attestation)
            if attestation is None or statement is None or _has_pointer(case, row):
                continue
            fix = "Restore the released files, or attest again: provenance release"
            if not expected_statements.attestable(row):
                fix = f"Remove {attestation.path}: a stale sidecar is not provenance."
            for what in self._differences(case, row, statement):
                yield self.finding(
                    f"{attestation.path}: {what}",
                    fix,
                    path=attestation.path,
                    row=row.row.label,
                )

    def _differences(self, case: Case, row: RowEvidence, statement: Statement) -> Iterator[str]:
        if statement.predicate_type != predicates.SLSA_PROVENANCE:
            yield f"its predicate is of type {statement.predicate_type[:100]}"
            return
        if not expected_statements.attestable(row):
            yield "it attests a seed whose sidecar does not describe these bytes"
            return
        signed = {s.name: s.sha256 for s in statement.subjects}
        if signed != dict(expected_statements.row_subjects(row)):
            yield "it was made for other model files"
            return
        try:
            expected = expected_statements.seed_predicate(case.evidence, row)
        except StatementError as e:
            yield str(e)
            return
        yield from _differing(expected, dict(statement.predicate))


def _has_pointer(case: Case, row: RowEvidence) -> bool:
    """Whether a Git LFS pointer that another rule reports takes the place of what was attested."""
    files = (*row.model_files, *row.sidecars)
    return any(f.pointer for f in files) or documents_are_pointers(case.evidence, row)


class SummaryMissing(_AttestationRule):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        summary = case.evidence.summary
        if summary is not None and summary.missing and case.evidence.rows:
            yield self.finding(
                f"the release summary {summary.path} does not exist",
                "Release: provenance release --signer URI. To verify rows alone, name them.",
                path=summary.path,
            )


class SummaryStale(_AttestationRule):
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
    of_release = True

    def judge(self, case: Case) -> Iterator[Finding]:
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
        told |= {b.path for b in evidence.bundles if b.pointer}  # by SIG602
        signed = releases.files_of(statement)
        held = expected_statements.held(evidence)
        # The data of a model that cannot be read may be there.
        unknown = {
            s.name for row, said in case.bound_rows() if row.misses_a_model for s in said.subjects
        }
        unreadable = {**evidence.unreadable, **expected_statements.unreadable(evidence)}
        # A release of which nothing was opened has failed for another reason.
        names = () if evidence.released == () else sorted(signed.keys() | held.keys())
        for name in names:
            path = evidence.registry.absolute(name)
            now = held.get(name)
            if (name in signed and signed[name] == now) or path in told:
                continue
            if name in unknown and now is None:
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


class OtherProject(_AttestationRule):
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
    of_release = True
    of_one_file = True

    def judge(self, case: Case) -> Iterator[Finding]:
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


class SidecarAbsent(_AttestationRule):
    """A sidecar that was signed with the row is not here.

    ## What it does
    Warns a consumer who verifies one file, and has not its sidecar. With `--require files` or
    `--require production` it is an error (USE011). A sidecar with other bytes than the signed ones
    is always an error (ATT704).

    ## Why it matters
    The sidecar says how the model is fed. The publisher released the two together.

    ## Example
    `provenance verify m.onnx --key release.pub`, where `m.json` was signed and was not downloaded.

    ## How to fix
    Fetch the sidecar from the publisher, and put it beside the model.
    """

    code = "ATT713"
    slug = "sidecar-absent"
    for_consumer = True
    severity = Severity.WARNING

    def judge(self, case: Case) -> Iterator[Finding]:
        return iter(())  # reported by `verify FILE`; in a registry ATT704 reports it


class FileOnlySignature(_AttestationRule):
    """The signature of a file binds nothing but its bytes.

    ## What it does
    Warns a consumer who verifies one file whose bundle is a plain signature, as
    `cosign sign-blob` writes it. A warning does not fail the verification.

    ## Why it matters
    The bytes are those that were signed. Which model it is, under which license, smoke or
    production, with which sidecar and which external data, nobody has signed.

    ## Example
    `provenance verify model.onnx --key release.pub`, with a `messageSignature` bundle.

    ## How to fix
    Ask the publisher for a bundle of `provenance release`.
    """

    code = "ATT711"
    slug = "file-only-signature"
    for_consumer = True
    severity = Severity.WARNING

    def judge(self, case: Case) -> Iterator[Finding]:
        return iter(())  # raised by `verify FILE`, where there is no registry row to bind


def _of_other_registry(case: Case) -> bool:
    """Whether the release summary is that of another registry file, which ATT712 reports."""
    evidence = case.evidence
    summary = case.signed_statement(evidence.summary)
    if not evidence.whole or summary is None or releases.predicate_of(summary) is None:
        return False
    return releases.index_of(summary) != evidence.registry.path


def _differing(expected: Any, signed: Any, where: str = "") -> Iterator[str]:
    """The deepest members that differ, in words."""
    if isinstance(expected, dict) and isinstance(signed, dict):
        for key in sorted(expected.keys() | signed.keys()):
            yield from _differing(expected.get(key), signed.get(key), f"{where}.{key}".lstrip("."))
    elif isinstance(expected, list) and isinstance(signed, list) and len(expected) == len(signed):
        for i, (a, b) in enumerate(zip(expected, signed, strict=True)):
            yield from _differing(a, b, f"{where}[{i}]")
    elif not same(expected, signed):
        shown, signed_as = differing(expected, signed)
        yield f"`{where}` is {shown}; signed is {signed_as}"


def _deferrals(value: object) -> str:
    texts = [
        f"{d.get('rule')} until {d.get('expires') or 'its cause is gone'} ({d.get('reference')})"
        for d in (value if isinstance(value, list) else ())
        if isinstance(d, dict)
    ]
    return "; ".join(texts) or "no deferral"


RULES: Iterable[type[Rule]] = (
    RowUnbound,
    FileUncovered,
    RowChanged,
    SidecarChanged,
    FileGone,
    DeferralsDiffer,
    SeedUnattested,
    SeedAttestationDiffers,
    SummaryMissing,
    SummaryStale,
    OtherProject,
    SidecarAbsent,
    FileOnlySignature,
)
