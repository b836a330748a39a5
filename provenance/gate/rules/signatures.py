# SPDX-License-Identifier: Apache-2.0
"""SIG6xx: whether bundles exist and are valid, who signed them, and which files they cover."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provenance.artifacts.paths import FETCH, IS_POINTER
from provenance.attestations.bundle import countersignature_path
from provenance.attestations.statement import Statement
from provenance.evidence.rows import BundleEvidence, FileEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules import foreign_statements
from provenance.gate.rules.base import Rule, short
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import EVERYWHERE, REGISTRY_AND_MODEL, Phase, Scope, Target
from provenance.gate.rules.registry import outside
from provenance.gate.rules.signed_files import misnamed_files
from provenance.gate.signature_set import SignatureSet
from provenance.signing.judgement import Verdict


def changed_files(row: RowEvidence, statement: Statement) -> Iterator[tuple[FileEvidence, str]]:
    """Yield the model files that differ from the signed ones, with their signed digests.

    Skips a file if its row still declares the signed digest: ART302 reports it.
    """
    for file in row.model_files:
        signed = statement.digest_of(file.name)
        if file.sha256 and signed and signed not in (file.sha256, row.declared(file)):
            yield file, signed


class SignatureRule(Rule):
    """A rule about what was signed."""

    phase = Phase.SIGNATURES
    needs_trust = True


class _DocumentRule(SignatureRule):
    """A rule about the bundles of each row and the bundle of the release summary."""

    applies = EVERYWHERE
    scopes = (Scope.ROW, Scope.DOCUMENT)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for document in (row.bundle, row.attestation):
            if document is not None and not document.missing:
                yield from self.judge_document(case, row, document)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        summary = case.evidence.summary
        if summary is not None and not summary.missing:
            yield from self.judge_document(case, None, summary)

    def judge_document(
        self, case: Case, row: RowEvidence | None, document: BundleEvidence
    ) -> Iterator[Finding]:
        raise NotImplementedError


class BundleMissing(SignatureRule):
    """A row's bundle does not exist.

    ## What it does
    Looks for the file that `sigstore_bundle` names.

    ## Why it matters
    The row is not signed. Nothing proves that the publisher released these bytes together with this
    license and this sidecar.

    ## Example
    `"sigstore_bundle": "m.onnx.sigstore.json"`, and no such file beside the registry.

    ## How to fix
    Sign the row: `provenance release`. A consumer fetches the bundle from the same source as the
    model.
    """

    code = "SIG601"
    slug = "bundle-missing"
    applies = REGISTRY_AND_MODEL
    consumer_help = "Fetch the bundle from the publisher, or do not use the model."

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if row.absent or row.remote:
            return  # such a row is not signed; the report names it
        if row.bundle is not None and row.bundle.missing:
            yield self.in_row(
                case,
                row,
                "sigstore_bundle",
                f"the bundle {row.bundle.path} does not exist: the row is not signed",
                "Sign the release: provenance release --signer URI",
                about=row.bundle.path,
            )


class BundleMalformed(_DocumentRule):
    """A bundle cannot be read, or its signature is of an unsupported kind.

    ## What it does
    Reads each bundle strictly. It must be a Sigstore bundle v0.1 to v0.3, in JSON without duplicate
    keys or unknown fields and with canonical base64. It must hold one signature by one key or
    certificate, and at most one log entry, whose proof and checkpoint belong to the same tree. The
    payload must be an in-toto Statement v1 whose subjects each have one name and one SHA-256. For a
    consumer, statements of other predicate types follow the in-toto rules for consumers instead. If
    this version cannot verify the algorithm, the log entry or the timestamp, the message calls it
    unsupported.

    ## Why it matters
    If two programs can read a file differently, one can verify it as one thing and the other use it
    as another. A signature that cannot be verified proves nothing.

    ## Example
    A DSSE envelope with two signatures.

    ## How to fix
    Sign again: `provenance release`.
    """

    code = "SIG602"
    slug = "bundle-malformed"

    def judge_document(
        self, case: Case, row: RowEvidence | None, document: BundleEvidence
    ) -> Iterator[Finding]:
        label = row.label if row else None
        for bundle in document.files:
            reason = bundle.malformed
            if bundle.problem is not None:
                value = row.entry.sigstore_bundle if row else None
                if value is not None and outside(case, value) is not None:
                    continue  # REG107 reports it
                reason = bundle.problem.message
            if reason is not None:
                yield self.finding(
                    f"the bundle {bundle.path} {IS_POINTER}"
                    if bundle.pointer
                    else f"the bundle {bundle.path} cannot be verified: {reason}",
                    FETCH if bundle.pointer else "Sign again: provenance release --signer URI",
                    path=bundle.path,
                    row=label,
                )
        signatures = _signatures(case, row, document) if document.bundle else None
        for bundle, judgement in signatures.judgements if signatures else ():
            if judgement.verdict is Verdict.UNSUPPORTED:
                yield self.finding(
                    f"the signature in {bundle.path} cannot be verified: {judgement.reason}",
                    judgement.help or "Sign again: provenance release --signer URI",
                    path=bundle.path,
                    row=label,
                    for_consumer=True,  # fetching the bundle again would not help
                )


def _signatures(case: Case, row: RowEvidence | None, document: BundleEvidence) -> SignatureSet:
    sha256 = row.onnx.sha256 if row and row.onnx and document is row.bundle else None
    return case.signature_set(document, sha256)


class _Judged(_DocumentRule):
    def judge_document(
        self, case: Case, row: RowEvidence | None, document: BundleEvidence
    ) -> Iterator[Finding]:
        if document.bundle is None:
            return
        signatures = _signatures(case, row, document)
        if signatures.is_flawless:
            return
        label = row.label if row else None
        for bundle, message, help in self.conclude(signatures, document):
            yield self.finding(message, help, path=bundle.path, row=label)

    def conclude(
        self, signature_set: SignatureSet, document: BundleEvidence
    ) -> Iterator[tuple[BundleEvidence, str, str]]:
        raise NotImplementedError


class SignatureInvalid(_Judged):
    """A signature is not valid.

    ## What it does
    Verifies the signature of each bundle, over its DSSE envelope or the model's bytes, with each
    trusted key or with the bundle's certificate. If no trusted key made the signature, this rule
    reports it if the bundle's hint names a trusted key; otherwise SIG604 does.

    A certificate must be for code signing, issued by an authority of the trusted root, valid at the
    time of use, and logged. Every log entry and timestamp in the bundle must be complete, must come
    from a log or authority that was in service at that time, and must belong to this signature.

    ## Why it matters
    The statement, the signature or the model was changed after signing, or the evidence of time and
    signer belongs to another signature.

    ## Example
    One digit of a digest in the bundle was edited. The log entry belongs to another artifact. The
    timestamp is later than the end of the certificate's validity.

    ## How to fix
    Restore the bundle from the release. If the change is intended, sign again:
    `provenance release`.
    """

    code = "SIG603"
    slug = "signature-invalid"

    def conclude(
        self, signature_set: SignatureSet, document: BundleEvidence
    ) -> Iterator[tuple[BundleEvidence, str, str]]:
        for bundle, judgement in signature_set.judgements:
            if judgement.verdict is Verdict.INVALID:
                yield (
                    bundle,
                    f"the signature in {bundle.path} is not valid: {judgement.reason}",
                    "Restore the released bundle and files, or sign again: provenance release",
                )


class SignerUntrusted(_Judged):
    """A bundle was signed by an untrusted signer.

    ## What it does
    Compares the signer with the configured trust. Each trusted key is tried on the signature. The
    identity in a certificate is compared character by character. The key hint in a bundle is not
    authenticated and only decides which key is tried first. If no trusted key made the signature,
    the content may also have changed since it was signed; the two cases cannot be distinguished.
    Every result shows the trust that was used.

    ## Why it matters
    Anyone can make a valid signature. It counts only if you chose to trust the signer.

    ## Example
    The release was signed with a new key, and `[[trust.key]]` names the old one. Or the signing
    workflow ran for `refs/heads/main`, and `[[trust.github]]` has `ref = "refs/tags/v*"`.

    ## How to fix
    If you know the signer, add it to the trust, or name it with `--key` or `--identity`. If not, do
    not use the model.
    """

    code = "SIG604"
    slug = "signer-untrusted"
    for_consumer = True

    def conclude(
        self, signature_set: SignatureSet, document: BundleEvidence
    ) -> Iterator[tuple[BundleEvidence, str, str]]:
        if signature_set.counted:
            return  # further signatures by untrusted signers do no harm
        for bundle, judgement in signature_set.judgements:
            if judgement.verdict is Verdict.UNTRUSTED:
                yield bundle, f"{bundle.path} was signed {judgement.reason}", judgement.help


class BytesNotSigned(SignatureRule):
    """A model file differs from the signed file.

    ## What it does
    Compares the digest of each model file with the one that the row's bundle signs under its name.

    ## Why it matters
    The file was replaced after the release was signed. The change is detected even if the digest in
    the registry was changed with it.

    ## Example
    The bundle signs `weights.onnx.data` as `447334948e1c…`; the file is `fa89df1b2567…`.

    ## How to fix
    Restore the released file. If the change is intended, sign again: `provenance release`.
    """

    code = "SIG605"
    slug = "bytes-not-signed"
    applies = REGISTRY_AND_MODEL | {Target.BLOB}

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        statement = case.row_statement(row)
        changed = () if statement is None else changed_files(row, statement)
        for file, signed in changed:
            yield self.in_row(
                case,
                row,
                "onnx",
                f"{file.path} has the digest {short(file.sha256)}; the signed digest is "
                f"{short(signed)}",
                "Restore the released file, or sign again: provenance release",
                about=file.path,
            )
        foreign = foreign_statements.expected(case, row) if case.alone else None
        not_among = foreign_statements.not_among(row, foreign) if foreign else None
        if not_among is not None and row.onnx is not None:
            yield self.finding(*not_among, path=row.onnx.path, row=row.label, for_consumer=True)


class SignedUnderAnotherName(SignatureRule):
    """A file was signed under another name.

    ## What it does
    Compares the name of each model file with the name under which its digest is signed.

    ## Why it matters
    If two genuine models or bundles are swapped, every signature is valid, but each model is used
    in place of the other.

    ## Example
    `seed0.onnx` holds the bytes that were signed as `seed1.onnx`.

    ## How to fix
    Put files and bundles back under the names they were released with.
    """

    code = "SIG606"
    slug = "signed-under-another-name"
    applies = REGISTRY_AND_MODEL
    for_consumer = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for file, name in misnamed_files(case, row):
            if name is not None:
                yield self.in_row(
                    case,
                    row,
                    "onnx",
                    f"the bytes of {file.path} are signed under the name {name[:100]!r}",
                    "Put files and bundles back under the names they were released with.",
                    about=file.path,
                )


class StrayBundle(SignatureRule):
    """A bundle does not belong to any row, seed or release.

    ## What it does
    Lists the bundles in the folders of the row bundles, and reports those that are not the bundle
    of a row, a seed or the release summary.

    ## Why it matters
    A left-over bundle is a valid signature over a file that is no longer released. An attacker who
    copies the old model back finds its signature beside it.

    ## Example
    `vmaf_tiny_v1.onnx.sigstore.json`, after the row was removed.

    ## How to fix
    Remove the file.
    """

    code = "SIG607"
    slug = "stray-bundle"
    scopes = (Scope.REGISTRY,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        for path in case.evidence.stray_bundles:
            yield self.finding(
                f"{path} does not belong to any row, seed or release", "Remove it.", path=path
            )


class SignersTooFew(_Judged):
    """A bundle has fewer trusted signers than required.

    ## What it does
    Counts the trusted signers of each bundle and of the countersignatures beside it
    (`<bundle>.2.sigstore.json`, …) over the same statement. Each signer counts once, under a
    separate trust entry. `signatures = 2` in `[trust]` requires two signers.

    ## Why it matters
    If two signers are required, one stolen key or one compromised workflow is not enough to make a
    release.

    ## Example
    `signatures = 2`, and only the release workflow has signed. The reviewer's countersignature is
    missing.

    ## How to fix
    Let another trusted signer sign the same statement.
    """

    code = "SIG608"
    slug = "signers-too-few"
    consumer_help = (
        "Do not use it before the other signers have signed it. Their signatures are beside the "
        "bundle, in NAME.2.sigstore.json and so on."
    )

    def conclude(
        self, signature_set: SignatureSet, document: BundleEvidence
    ) -> Iterator[tuple[BundleEvidence, str, str]]:
        count, required = len(signature_set.counted), signature_set.wanted
        if 0 < count < required:
            names = ", ".join(f"{s.name} ({entry})" for s, entry in signature_set.counted)
            yield (
                document,
                f"{document.path} was signed by {count} of {required} required signers: {names}",
                "Let another trusted signer sign the same statement, into "
                f"{countersignature_path(document.path, count + 1)}.",
            )


RULES: Iterable[type[Rule]] = (
    BundleMissing,
    BundleMalformed,
    SignatureInvalid,
    SignerUntrusted,
    BytesNotSigned,
    SignedUnderAnotherName,
    StrayBundle,
    SignersTooFew,
)
